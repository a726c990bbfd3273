"""Time and memory of a step of the whole batch and in passes; and a gradient inside a loop of XLA's.

Command: `python benchmarks/micro_batches.py [--model efficientnetv2-b0] [--image-size 64] [--batch-size 128]
[--micro-batch-size 32] [--backend jax]`

Each training is in a process of its own, which takes three steps and tells its largest resident memory, and what it was
before the first step. Writes `benchmarks/results/<date>-micro-batches.json`.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from saving import save

PICTURES, CHANNELS, FILTERS, SIDE, PARTS = 32, 48, 96, 16, 4


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="efficientnetv2-b0")
    parser.add_argument("--image-size", type=int, default=64)
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--micro-batch-size", type=int, default=32)
    parser.add_argument("--backend", default="jax")
    parser.add_argument("--child", default="")
    arguments = parser.parse_args()
    if arguments.child:
        print(json.dumps(loops() if arguments.child == "loops" else steps(arguments, arguments.child == "parts")))
        return
    figures = {name: _in_a_process(name) for name in ("whole", "parts", "loops")}
    for name, figure in figures.items():
        print(name, figure)
    print(save("micro-batches", figures))


def _in_a_process(name: str) -> dict[str, float]:
    command = [sys.executable, *sys.argv, "--child", name]
    done = subprocess.run(command, capture_output=True, text=True, check=True)  # noqa: S603  # ourselves
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def steps(arguments: argparse.Namespace, parts: bool) -> dict[str, float]:
    """Take three steps."""
    from photofinish import backend

    backend.select(arguments.backend)
    from photofinish.config import DataSettings, TrainingSettings
    from photofinish.data import prepare
    from photofinish.models import Head, build
    from photofinish.runs import peak_resident_bytes, unheard
    from photofinish.training.loop import NOT_CUT, Trainer

    size = arguments.image_size
    with tempfile.TemporaryDirectory() as folder:
        data = prepare(DataSettings(source="digits", image_size=size), cache=Path(folder))
        model = build(arguments.model, Head(10), image_size=size, seed=0).model
        before = peak_resident_bytes()
        at_once = arguments.micro_batch_size if parts else None
        settings = TrainingSettings(epochs=1, batch_size=arguments.batch_size, micro_batch_size=at_once)
        trainer = Trainer(model, data, size, settings, 0, NOT_CUT, unheard)
        trainer.begin_stage(trainer.stages[1])
        trainer.train_epoch(1, trainer.indices[: settings.batch_size])
        start = time.perf_counter()
        trainer.train_epoch(1, trainer.indices[: 2 * settings.batch_size])
        seconds = (time.perf_counter() - start) / 2
    return {"step_seconds": seconds, "before_bytes": before, "peak_bytes": peak_resident_bytes()}


def loops() -> dict[str, float]:
    """Time the gradient by the kernel of a convolution, of four parts at once and in a loop of JAX."""
    import jax
    import jax.numpy as jnp

    pictures = jnp.ones((PARTS, PICTURES, SIDE, SIDE, CHANNELS))
    kernel = jnp.ones((3, 3, CHANNELS, FILTERS))

    def objective(kernel: Any, pictures: Any) -> Any:
        numbers = ("NHWC", "HWIO", "NHWC")
        return (jax.lax.conv_general_dilated(pictures, kernel, (1, 1), "SAME", dimension_numbers=numbers) ** 2).sum()

    slope = jax.grad(objective)

    def in_a_loop(kernel: Any, pictures: Any) -> Any:
        nothing = jnp.zeros_like(kernel)
        return jax.lax.scan(lambda sums, part: (sums + slope(kernel, part), None), nothing, pictures)[0]

    def at_once(kernel: Any, pictures: Any) -> Any:
        return slope(kernel, pictures.reshape(-1, SIDE, SIDE, CHANNELS))

    found = {}
    for name, function in (("at_once_seconds", at_once), ("loop_seconds", in_a_loop)):
        program = jax.jit(function)
        jax.block_until_ready(program(kernel, pictures))
        start = time.perf_counter()
        jax.block_until_ready(program(kernel, pictures))
        found[name] = time.perf_counter() - start
    return found


if __name__ == "__main__":
    main()
