"""How the cost of training grows with image size, batch size, number of pictures and number of seeds.

Command: `python benchmarks/growth.py [--models efficientnetv2-b0 resnet50] [--seconds 4] [--only size batch data
seeds]`

Each network is trained by the product's own loop in a process of its own, with an empty cache: 32 to 224 pixels in
batches of 32 (of 8 from 128 pixels on, or a step would take a minute), batches of 8 to 256 at 32 pixels, 5,000 to
80,000 prepared pictures at 32 pixels. Time is that of an ordinary step (median, compilation and warm-up apart) per
picture; memory is the largest resident memory of the process, of which the mapped pictures are a part. For the seeds,
the time from the start of a process to its first step is taken, with the programs of the seeds before in the cache.
About ten minutes on two quiet cores. Writes `benchmarks/results/<date>-growth.json`.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

SIZES = ((32, 32), (64, 32), (128, 8), (224, 8))
BATCHES = (8, 32, 128, 256)
PICTURES = (5_000, 20_000, 80_000)
CLASSES, ENOUGH = 10, 1_000


def inside(case: dict[str, Any]) -> dict[str, float]:
    """Train for some seconds and return what it cost."""
    import numpy as np

    from photofinish import backend

    backend.select("jax")
    from photofinish.config import TrainingSettings
    from photofinish.data import PreparedData
    from photofinish.models import Anatomy, Head, build
    from photofinish.runs import DataRecord, peak_resident_bytes, unheard
    from photofinish.training.loop import Trainer

    size, batch, count = case["image_size"], case["batch_size"], case["pictures"]
    path = Path(case["folder"], "images.npy")
    images = np.lib.format.open_memmap(path, mode="w+", dtype=np.uint8, shape=(count, size, size, 3))
    random = np.random.default_rng(0)
    for start in range(0, count, ENOUGH):
        part = images[start : start + ENOUGH]
        part[:] = random.integers(0, 256, part.shape, np.uint8)
    images.flush()
    images = np.load(path, mmap_mode="r")
    labels, indices = np.arange(count, dtype=np.int32) % CLASSES, np.arange(count)
    names = tuple(map(str, range(CLASSES)))
    record = DataRecord(
        name="random", fingerprint="", classes=names, train=count, validation=1, test=1, stored_size=(size, size)
    )
    splits = {"train": indices, "validation": indices[:1], "test": indices[:1]}
    data = PreparedData(Path(), record, images, labels, indices.astype(str), splits)
    begin = time.perf_counter()
    model = build(case["model"], Head(CLASSES), image_size=size).model
    built = time.perf_counter() - begin
    settings = TrainingSettings(epochs=1, batch_size=batch, learning_rate=1e-6)
    trainer = Trainer(model, data, size, settings, 0, Anatomy(), unheard, chained=False)
    trainer.begin_stage(trainer.stages[1])
    trainer.train_epoch(1, random.permutation(count)[: min(count, 5 * batch)])
    # About so many seconds of ordinary steps, over pictures from the whole file.
    steps = max(4, math.ceil(case["seconds"] / trainer.clock.step.median))
    trainer.train_epoch(2, np.resize(random.permutation(count), steps * batch))
    return {
        "milliseconds_a_picture": 1e3 * trainer.clock.step.median / batch,
        "stall": trainer.clock.stall_seconds / trainer.clock.train_seconds,
        "build_seconds": built,
        "compile_seconds": trainer.clock.compile_seconds,
        "peak_memory_bytes": peak_resident_bytes(),
        "steps": trainer.course.steps,
    }


def measure(**case: Any) -> dict[str, Any]:
    """Measure a case in a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(  # noqa: S603  # ourselves
            [sys.executable, __file__, "--inside", json.dumps({**case, "folder": folder})],
            env={**os.environ, "PHOTOFINISH_CACHE": folder}, capture_output=True, text=True, check=False,
        )  # fmt: skip
    if done.returncode:
        raise RuntimeError(done.stderr[-2000:])
    row = {**case, **json.loads(done.stdout.splitlines()[-1])}
    print(
        f"{row['model']:18}{row['image_size']:5} px  batch {row['batch_size']:4}{row['pictures']:8,} pictures"
        f"{row['milliseconds_a_picture']:9.2f} ms a picture{row['peak_memory_bytes'] / 1e9:7.2f} GB"
        f"{row['compile_seconds']:7.1f} s compiling",
        flush=True,
    )
    return row


def main() -> None:
    """Measure and write the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="+", default=["efficientnetv2-b0", "resnet50"])
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--only", nargs="+", choices=("size", "batch", "data", "seeds"))
    parser.add_argument("--inside", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.inside:
        print(json.dumps(inside(json.loads(arguments.inside))))
        return
    from saving import save

    wanted, seconds, rows = arguments.only or ("size", "batch", "data", "seeds"), arguments.seconds, []
    for model in arguments.models:
        cases = [(size, batch, ENOUGH) for size, batch in SIZES] if "size" in wanted else []
        cases += [(32, batch, ENOUGH) for batch in BATCHES] if "batch" in wanted else []
        cases += [(32, 32, count) for count in PICTURES] if "data" in wanted else []
        # Growth in two directions meets in one case.
        for size, batch, count in dict.fromkeys(cases):
            rows.append(measure(model=model, image_size=size, batch_size=batch, pictures=count, seconds=seconds))
    seeds = {}
    if "seeds" in wanted:
        from second_seed import several_seeds

        for model in arguments.models:
            starts = several_seeds(model, 32, 32, arguments.seeds)
            seeds[model] = [row["all"] for row in starts]
            print(f"{model:18} seconds to the first step, by seed: {' '.join(f'{one:.1f}' for one in seeds[model])}")
    print(save("growth", {"arguments": vars(arguments), "rows": rows, "seconds_to_first_step_by_seed": seeds}))


if __name__ == "__main__":
    main()
