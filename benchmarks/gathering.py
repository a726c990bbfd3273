"""Gathering batches on the host: what the device waits for it, and whether a thread that works ahead would help.

Command: `python benchmarks/gathering.py [--model efficientnetv2-b0] [--rounds 3] [--steps 24]`

The product's training loop reads shuffled pictures from a mapped file, as it does in every run, at 32 and at 224
pixels, with the file in the system's page cache and with the file dropped from it before every turn. In turn: the
loop as it is, and the loop given the same batches by a thread that gathers the next one while a step is computed.
Prints medians: images per second, seconds the host gathered, and the stall the clock saw, both as shares of the turn.
Writes `benchmarks/results/<date>-gathering.json`.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from saving import save

from photofinish import backend

CASES = ((32, 32, 20_000), (224, 8, 2_000))
CLASSES = 10


class Ahead:
    """Pictures that a thread gathers one batch ahead, in an order that is known."""

    def __init__(self, images: np.ndarray, orders: list[np.ndarray]) -> None:
        self.images, self.shape = images, images.shape
        self._orders = iter(orders)
        self._pool = ThreadPoolExecutor(1)
        self._next = self._submit()

    def _submit(self) -> Any:
        order = next(self._orders, None)
        return None if order is None else self._pool.submit(self.images.__getitem__, order)

    def __getitem__(self, chosen: np.ndarray) -> np.ndarray:
        found: np.ndarray = self._next.result()
        self._next = self._submit()
        return found

    def __len__(self) -> int:
        return len(self.images)


def opened(path: Path, *, cold: bool) -> np.ndarray:
    """Map the pictures, dropped from the page cache where asked for."""
    if cold:
        with path.open("rb") as file:
            os.fsync(file.fileno())
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    images: np.ndarray = np.load(path, mmap_mode="r")
    return images


def main() -> None:
    """Train by turns and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="efficientnetv2-b0")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=24)
    arguments = parser.parse_args()
    backend.select("jax")
    rows = []
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as folder:
        for size, batch, count in CASES:
            path = Path(folder, f"{size}.npy")
            np.save(path, np.random.default_rng(0).integers(0, 256, (count, size, size, 3), np.uint8))
            rows += by_turns(arguments, path, size, batch)
    print(f"\n{'pixels':>6} {'file':6}{'how':12}{'img/s':>9}{'gathering':>11}{'stall':>8}")
    for row in rows:
        shown = f"{row['images_per_second']:9.1f}{row['gathering']:11.2%}{row['stall']:8.2%}"
        print(f"{row['image_size']:6} {row['file']:6}{row['how']:12}{shown}")
    print(save("gathering", {"arguments": vars(arguments), "rows": rows}))


def by_turns(arguments: argparse.Namespace, path: Path, size: int, batch: int) -> list[dict[str, Any]]:
    """Train with a warm and a cold file, as it is and ahead, in turn."""
    from photofinish.config import TrainingSettings
    from photofinish.data import PreparedData, batches, epoch_order
    from photofinish.models import Anatomy, Head, build
    from photofinish.runs import DataRecord, unheard
    from photofinish.training.loop import Trainer

    images = opened(path, cold=False)
    count, names = len(images), tuple(map(str, range(CLASSES)))
    labels, all_of_them = np.arange(count, dtype=np.int32) % CLASSES, np.arange(count)
    record = DataRecord(
        name="random", fingerprint="", classes=names, train=count, validation=1, test=1, stored_size=(size, size)
    )
    splits = {"train": all_of_them, "validation": all_of_them[:1], "test": all_of_them[:1]}
    data = PreparedData(Path(), record, images, labels, all_of_them.astype(str), splits)
    settings = TrainingSettings(epochs=1, batch_size=batch, learning_rate=1e-6)
    model = build(arguments.model, Head(CLASSES), image_size=size).model
    trainer = Trainer(model, data, size, settings, 0, Anatomy(), unheard, chained=False)
    trainer.begin_stage(trainer.stages[1])
    trainer.train_epoch(1, all_of_them[: 6 * batch])
    turns: dict[tuple[str, str], list[tuple[float, float, float]]] = {}
    # Each turn draws other pictures from the whole file.
    epoch, random = 1, np.random.default_rng(1)
    for _ in range(arguments.rounds):
        for file in ("warm", "cold"):
            for how in ("as it is", "a thread"):
                epoch += 1
                chosen = random.permutation(count)[: arguments.steps * batch]
                images = opened(path, cold=file == "cold")
                orders = [chosen[one.indices] for one in batches(epoch_order(len(chosen), 0, epoch), batch)]
                given = Ahead(images, orders) if how == "a thread" else images
                trainer.images = given
                clock = trainer.clock
                gathered, stalled, start = clock.data_seconds, clock.stall_seconds, time.perf_counter()
                trainer.train_epoch(epoch, chosen)
                seconds = time.perf_counter() - start
                turn = (len(chosen) / seconds, (clock.data_seconds - gathered) / seconds,
                        (clock.stall_seconds - stalled) / seconds)  # fmt: skip
                turns.setdefault((file, how), []).append(turn)
        print(size, {key: round(values[-1][0], 1) for key, values in turns.items()}, flush=True)
    return [
        {
            "image_size": size, "batch_size": batch, "file": file, "how": how,
            **{name: statistics.median(turn[place] for turn in values)
               for place, name in enumerate(("images_per_second", "gathering", "stall"))},
            "turns": values,
        }
        for (file, how), values in turns.items()
    ]  # fmt: skip


if __name__ == "__main__":
    main()
