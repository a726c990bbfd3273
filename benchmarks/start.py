"""From a command to its first training step: importing, building, tracing, compiling.

Command: `python benchmarks/start.py [--model efficientnetv2-l] [--image-size 64] [--batch-size 8] [--rounds 2]`

In turn, each in a fresh process: keras.applications and `fit` on JAX, photofinish with an empty cache of compiled
programs, and photofinish again, which finds its programs there; photofinish as in a short training, which goes segment
by segment, and as in a long one, which only begins so. Seconds from the start of the process to the end of the first
step. The long one is then left to compile the program of its later steps, so that the next start finds it.

Then the same of the command as it is typed, `photofinish train MODEL --data FOLDER`: it also reads its arguments,
decodes the pictures (JPEG files of the size asked for), divides and keeps them, and trains in a process of its own,
which is started then.

Writes `benchmarks/results/<date>-start-<model>-<size>.json`.
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
from pathlib import Path

from contestants import KERAS, Settings
from descendants import kill_all
from generated import write_jpegs
from saving import save
from turns import CONTESTANTS

PICTURES = 300
EPOCHS = {"short": 1, "long": 1000}
FIRST_STEP = "first step"


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


def inside(arguments: list[str]) -> None:
    """Run the product's command line, and say when a training has taken its first step."""
    from photofinish.cli.display import LineBoard
    from photofinish.cli.main import main as command_line

    hear = LineBoard.event

    def hear_and_say(self: LineBoard, cell: object, event: object) -> None:
        hear(self, cell, event)
        if event.stage == "training":
            print(FIRST_STEP, flush=True)

    LineBoard.event = hear_and_say
    sys.argv = ["photofinish", *arguments]
    command_line()


def seconds_of_command(settings: Settings, length: str, cache: str) -> float:
    """Run the command until its first step has been taken, and end it."""
    pictures = Path(cache, "pictures")
    if not pictures.exists():
        write_jpegs(pictures, PICTURES, settings.image_size)
    with tempfile.TemporaryDirectory() as folder:
        asked = {
            "data": pictures, "image-size": settings.image_size, "batch-size": settings.batch_size,
            "epochs": EPOCHS[length], "output": Path(folder, "run"),
        }  # fmt: skip
        options = [text for name, value in asked.items() for text in (f"--{name}", str(value))]
        command = [sys.executable, __file__, "--inside", "train", settings.model, *options]
        environment = {**os.environ, "PHOTOFINISH_CACHE": cache}
        start = time.perf_counter()
        with subprocess.Popen(  # noqa: S603  # ourselves
            command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            start_new_session=True,
        ) as process:  # fmt: skip
            assert process.stdout is not None  # noqa: S101  # it is a pipe
            heard = []
            for line in process.stdout:
                heard.append(line)
                if line.strip() == FIRST_STEP:
                    seconds = time.perf_counter() - start
                    break
            else:
                raise RuntimeError(f"the command ended before a step: {''.join(heard)[-2000:]}")
            kill_all(process.pid)
    return seconds


def main() -> None:
    """Start them in turn and write the table."""
    if sys.argv[1:2] == ["--inside"]:
        inside(sys.argv[2:])
        return
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
            with tempfile.TemporaryDirectory() as cache:
                for state in ("empty cache", "programs cached"):
                    row[f"command, {length}, {state}"] = seconds_of_command(settings, length, cache)
        rows.append(row)
        print({name: round(value, 1) for name, value in rows[-1].items()}, flush=True)
    medians = {name: statistics.median(row[name] for row in rows) for name in rows[0]}
    for name, seconds in medians.items():
        print(f"{name:34}{seconds:8.1f} s   {seconds / medians['keras-jax']:.2f} of keras-jax")
    print(save(f"start-{arguments.model}-{arguments.image_size}", {"rounds": rows, "medians": medians}))


if __name__ == "__main__":
    main()
