"""What checkpoints cost: a share of training time, and seconds to write and to go on from a large one.

Command: `python benchmarks/checkpoints.py [--minutes 1] [--large efficientnetv2-l] [--seconds 180]`

1. EfficientNetV2-B0 at 64x64, batch 32: seconds for which training stands still for one checkpoint, and how much slower
   steps are while it is written behind their back, against steps without; both as a share of the time between two.
2. EfficientNetV2-L with Adam: seconds for which training stands still, seconds until the checkpoint is on the disk,
   checksum included, seconds to read, verify and put it back.

Writes `benchmarks/results/<date>-checkpoints.json`.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from saving import save

from photofinish.config import BenchmarkSettings, CellSettings, TrainingSettings
from photofinish.config.checkpoints import CheckpointEvery
from photofinish.models import Anatomy, Head, build
from photofinish.runs import unheard, versions
from photofinish.runs.checkpoints import Beginning, CheckpointStore
from photofinish.study.benchmark.measures import noise
from photofinish.training.checkpointing import Keeper
from photofinish.training.loop import Trainer

NEVER = CheckpointEvery(minutes=0)


def trainer_of(name: str, size: int, batch: int) -> Trainer:
    """Return a network in training on noise, its step compiled."""
    model = build(name, Head(10), image_size=size, seed=0).model
    settings = BenchmarkSettings(models=(name,), image_size=size, batch_size=batch)
    training = TrainingSettings(epochs=1, batch_size=batch, optimizer="adam")
    trainer = Trainer(model, noise(settings), size, training, 0, Anatomy(), unheard, chained=False)
    trainer.begin_stage(trainer.stages[1])
    return trainer


def keeper_of(trainer: Trainer, folder: Path) -> Keeper:
    """Return what saves it."""
    cell = CellSettings(model="benchmark", training=trainer.settings)
    begun = Beginning(
        settings=cell, data=trainer.data.record, sources={}, versions=versions(), every=NEVER, folder=str(folder)
    )
    return Keeper(CheckpointStore(folder), begun, NEVER, print, time.perf_counter())


def take(trainer: Trainer, steps: int) -> float:
    """Take steps; return seconds."""
    indices = np.arange(steps * trainer.settings.batch_size) % len(trainer.data.images)
    start = time.perf_counter()
    trainer.train_epoch(1, indices)
    return time.perf_counter() - start


def price(seconds: float, minutes: float) -> dict[str, Any]:
    """Measure what a checkpoint costs training, in turns with and without."""
    trainer = trainer_of("efficientnetv2-b0", 64, 32)
    take(trainer, 10)
    steps = max(5, int(seconds / 10 / (take(trainer, 20) / 20)))
    extra, still = [], []
    with tempfile.TemporaryDirectory() as folder:
        keeper = keeper_of(trainer, Path(folder))
        for _ in range(5):
            without = take(trainer, steps)
            start = time.perf_counter()
            keeper.save(trainer.learner, trainer.course)
            still.append(time.perf_counter() - start)
            extra.append(still[-1] + take(trainer, steps) - without)
            keeper.close()
    return {
        "steps_in_a_turn": steps,
        "stands_still_seconds": still,
        "extra_seconds": extra,
        "share_of_training": statistics.median(extra) / (60 * minutes),
    }


def large(name: str) -> dict[str, Any]:
    """Measure writing and reading of a large network with its optimiser."""
    trainer = trainer_of(name, 64, 4)
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        keeper = keeper_of(trainer, Path(folder))
        for _ in range(3):
            start = time.perf_counter()
            keeper.save(trainer.learner, trainer.course)
            still = time.perf_counter() - start
            keeper.close()
            written = time.perf_counter() - start
            size = sum(path.stat().st_size for path in keeper.store.checkpoints[0].iterdir())
            start = time.perf_counter()
            if not keeper.restore(trainer.learner, trainer.course):
                raise RuntimeError("the checkpoint was not found")
            restored = time.perf_counter() - start
            rows.append({"stands_still": still, "written": written, "restored": restored, "bytes": size})
    return {"model": name, "rounds": rows}


def main() -> None:
    """Measure both and print them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=1.0)
    parser.add_argument("--large", default="efficientnetv2-l")
    parser.add_argument("--seconds", type=float, default=180.0)
    arguments = parser.parse_args()
    found = {"large": large(arguments.large), "price": price(arguments.seconds, arguments.minutes)}
    for row in found["large"]["rounds"]:
        print({key: round(value, 2) for key, value in row.items()})
    print(f"a checkpoint every {arguments.minutes:g} min: {found['price']['share_of_training']:.2%} of training time")
    print(save("checkpoints", found))


if __name__ == "__main__":
    main()
