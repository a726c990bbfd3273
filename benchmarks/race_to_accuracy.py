"""Seconds from a command to a trained network of a given test accuracy on CIFAR-10 as pictures, compilation included.

Command: `python benchmarks/race_to_accuracy.py --data FOLDER [--model efficientnetv2-l] [--epochs 16] [--target 0.905]`

FOLDER holds CIFAR-10 as pictures, in an archive or not. The network is trained from random values in a process of its
own with an empty cache, for a number of epochs that is fixed beforehand: the test pictures are looked at once, when
training is over, and the clock stops when their accuracy is known. Writes
`benchmarks/results/<date>-race-to-accuracy.json` whatever it says.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

SETTINGS = {
    "image_size": 64, "validation_fraction": 0.02, "batch_size": 512, "optimizer": "adamw", "learning_rate": 3e-3,
    "weight_decay": 0.05, "schedule": "cosine", "warmup_epochs": 2, "label_smoothing": 0.1, "ema_decay": 0.99,
    "precision": "bfloat16", "flip": True, "shift": 0.125, "cutout": 0.25, "dropout": 0.2,
}  # fmt: skip


def inside(task: dict[str, Any]) -> dict[str, Any]:
    """Train and say what came of it."""
    import photofinish as pf
    from photofinish.runs import Predictions, RunFolder, read_epochs

    path, record = pf.train(task["model"], task["data"], output=Path(task["output"]), **task["settings"])
    test = Predictions.read(RunFolder(path).predictions("test"))
    return {
        "test_accuracy": float(test.correct.mean()), "test_pictures": len(test.correct),
        "seconds": record.seconds.model_dump(), "train_images_per_second": record.train_images_per_second,
        "epochs": [epoch.model_dump() for epoch in read_epochs(RunFolder(path).metrics)],
        "device": record.hardware, "peak_memory_bytes": record.peak_memory_bytes,
    }  # fmt: skip


def main() -> None:
    """Race and write what came of it."""
    if sys.argv[1:2] == ["--inside"]:
        print(json.dumps(inside(json.loads(sys.argv[2]))))
        return
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True)
    parser.add_argument("--model", default="efficientnetv2-l")
    parser.add_argument("--epochs", type=int, default=16)
    parser.add_argument("--image-size", type=int, default=SETTINGS["image_size"])
    parser.add_argument("--target", type=float, default=0.905)
    parser.add_argument("--limit-train", type=int, help="fewer pictures, to try the script")
    parser.add_argument("--limit-test", type=int, help="likewise")
    arguments = parser.parse_args()
    from saving import save

    settings = {**SETTINGS, "epochs": arguments.epochs, "image_size": arguments.image_size}
    settings |= {"limit_train": arguments.limit_train, "limit_test": arguments.limit_test}
    with tempfile.TemporaryDirectory() as folder:
        task = {"model": arguments.model, "data": arguments.data, "settings": settings, "output": f"{folder}/run"}
        start = time.perf_counter()
        done = subprocess.run(  # noqa: S603  # ourselves
            [sys.executable, __file__, "--inside", json.dumps(task)],
            env={**os.environ, "PHOTOFINISH_CACHE": f"{folder}/cache"}, stdout=subprocess.PIPE, text=True, check=True,
        )  # fmt: skip
        seconds = time.perf_counter() - start
    found = json.loads(done.stdout.splitlines()[-1])
    reached = found["test_accuracy"] >= arguments.target
    print(
        f"{arguments.model}: {found['test_accuracy']:.2%} of {found['test_pictures']:,} test pictures {seconds:.0f} s "
        f"after the command, {'at least' if reached else 'BELOW'} {arguments.target:.1%}"
    )
    content = {"settings": settings, "target": arguments.target, "reached": reached, "seconds": seconds, "run": found}
    print(save("race-to-accuracy", content))


if __name__ == "__main__":
    main()
