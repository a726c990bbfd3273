"""From a command to its first training step: importing, building, tracing, compiling.

Command: `python benchmarks/start.py [--model efficientnetv2-l] [--image-size 64] [--batch-size 8] [--rounds 2]`

In turn, each in a fresh process: keras.applications and `fit` on JAX, photofinish with an empty cache of compiled
programs, and photofinish again, which finds its programs there; photofinish as in a short training, which goes segment
by segment, and as in a long one, which only begins so. Seconds from the start of the process to the end of the first
step. The long one is then left to compile the program of its later steps, so that the next start finds it. Writes
`benchmarks/results/<date>-start-<model>-<size>.json`.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time

from contestants import KERAS, Settings
from saving import save
from turns import CONTESTANTS


def seconds_to_first_step(name: str, settings: Settings, cache: str) -> float:
    """Start a contestant, wait for its first step, and then for its end."""
    command = [sys.executable, str(CONTESTANTS), name, json.dumps(dataclasses.asdict(settings))]
    start = time.perf_counter()
    environment = {**os.environ, "PHOTOFINISH_CACHE": cache}
    with tempfile.TemporaryFile("w+") as errors:
        with subprocess.Popen(  # noqa: S603  # ourselves
            command, env=environment, stdout=subprocess.PIPE, stderr=errors, stdin=subprocess.DEVNULL
        ) as process:
            assert process.stdout is not None  # noqa: S101  # it is a pipe
            process.stdout.readline()
            seconds = time.perf_counter() - start
            process.stdout.read()
        if process.returncode:
            errors.seek(0)
            raise RuntimeError(f"{name} is gone: {errors.read()[-2000:]}")
    return seconds


def main() -> None:
    """Start them in turn and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", choices=KERAS, default="efficientnetv2-l")
    parser.add_argument("--image-size", type=int, default=64)
    parser.add_argument("--batch-size", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=2)
    arguments = parser.parse_args()
    settings = Settings("train", arguments.model, arguments.image_size, arguments.batch_size, 10, 0.0)
    rows = []
    for _ in range(arguments.rounds):
        row = {}
        with tempfile.TemporaryDirectory() as cache:
            row["keras-jax"] = seconds_to_first_step("keras-jax", settings, cache)
        for length, name in (("short", "photofinish-chained"), ("long", "photofinish-begins")):
            with tempfile.TemporaryDirectory() as cache:
                for state in ("empty cache", "programs cached"):
                    row[f"{length} training, {state}"] = seconds_to_first_step(name, settings, cache)
        rows.append(row)
        print({name: round(value, 1) for name, value in rows[-1].items()}, flush=True)
    medians = {name: statistics.median(row[name] for row in rows) for name in rows[0]}
    for name, seconds in medians.items():
        print(f"{name:34}{seconds:8.1f} s   {seconds / medians['keras-jax']:.2f} of keras-jax")
    print(save(f"start-{arguments.model}-{arguments.image_size}", {"rounds": rows, "medians": medians}))


if __name__ == "__main__":
    main()
