"""How soon a seed trains: from the start of its process to the end of its first step, piece by piece.

Command: `python benchmarks/second_seed.py [--model efficientnetv2-b0] [--image-size 32] [--batch-size 32] [--rounds
3]`

Each round begins with an empty cache and starts the first seed of a study, then the second one, as `compare` starts
them, and ends each when its first training step has been taken. The product's own messages divide the time: up to
`building` (starting Python, importing, opening the pictures), up to `compiling` (building network and optimiser), up
to `training` (the first step). Beside them stands what JAX says of its part: tracing, lowering, compiling or reading
the program, those of the small programs of building included. Prints medians over the rounds, writes
`benchmarks/results/<date>-second-seed-<model>-<size>.json`.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path

EVENTS = {
    "/jax/core/compile/jaxpr_trace_duration": "tracing",
    "/jax/core/compile/jaxpr_to_mlir_module_duration": "lowering",
    "/jax/core/compile/backend_compile_duration": "compiling or reading",
    "/jax/compilation_cache/cache_retrieval_time_sec": "  of it reading",
}
LIMIT, PICTURES, CLASSES = 5.0, 160, 10


def inside(path: str) -> int:
    """Run the product's worker, and append what JAX takes to a file. The small programs of building count too."""
    import jax

    log = Path(path).open("w", buffering=1)  # noqa: SIM115  # open until this process is killed

    def note(name: str, seconds: float, **_: object) -> None:
        if name in EVENTS:
            log.write(json.dumps([EVENTS[name], seconds]) + "\n")

    jax.monitoring.register_event_duration_secs_listener(note)
    from photofinish.study.worker import main as work

    return work()


def start(task: dict[str, object], folder: Path) -> dict[str, float]:
    """Start a worker; return the seconds of each piece, and of all."""
    pieces, begin = folder / "pieces", time.perf_counter()
    marks: dict[str, float] = {}
    with subprocess.Popen(  # noqa: S603  # ourselves
        [sys.executable, __file__, "--inside", str(pieces)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdin is not None and process.stdout is not None  # noqa: PT018, S101  # both are pipes
        process.stdin.write(json.dumps({**task, "started": begin}).encode())
        process.stdin.close()
        for line in process.stdout:
            heard = json.loads(line)
            if "error" in heard:
                raise RuntimeError(heard["error"])
            marks.setdefault(heard["event"]["stage"], time.perf_counter() - begin)
            if "training" in marks:
                process.kill()
                break
    of_jax: dict[str, float] = defaultdict(float)
    for line in pieces.read_text().splitlines():
        name, seconds = json.loads(line)
        of_jax[name] += seconds
    return {
        "until building": marks["building"],
        "building": marks["compiling"] - marks["building"],
        "first step": marks["training"] - marks["compiling"],
        **{f"  {name}": of_jax[name] for name in EVENTS.values()},
        "all": marks["training"],
    }


def write_pictures(folder: Path, size: int) -> None:
    """Write pictures of noise, ten classes of them."""
    import numpy as np
    from PIL import Image

    random = np.random.default_rng(0)
    for number in range(PICTURES):
        place = folder / f"class-{number % CLASSES}"
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(random.integers(0, 256, (size, size, 3), np.uint8)).save(place / f"{number}.png")


def several_seeds(model: str, size: int, batch: int, seeds: int) -> list[dict[str, float]]:
    """Start seeds of a model one after the other with one cache, empty at first; return the pieces of each."""
    from photofinish.config import CellSettings, DataSettings, TrainingSettings
    from photofinish.data import prepare

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        os.environ["PHOTOFINISH_CACHE"] = str(folder / "cache")
        write_pictures(folder / "pictures", size)
        data = DataSettings.of({"source": str(folder / "pictures"), "image_size": size})
        prepared = prepare(data).folder
        training = TrainingSettings(epochs=2, batch_size=batch)
        rows = []
        for seed in range(seeds):
            cell = CellSettings(model=model, seed=seed, data=data, training=training)
            output = folder / f"seed-{seed}"
            task = {"settings": cell.model_dump(mode="json"), "prepared": str(prepared), "folder": str(output)}
            output.mkdir()
            rows.append(start(task, output))
        return rows


def main() -> None:
    """Measure and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="efficientnetv2-b0")
    parser.add_argument("--image-size", type=int, default=32)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--inside", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.inside:
        sys.exit(inside(arguments.inside))
    from saving import save

    rounds = []
    for _ in range(arguments.rounds):
        found = several_seeds(arguments.model, arguments.image_size, arguments.batch_size, 2)
        rounds.append(dict(zip(("first seed", "second seed"), found, strict=True)))
        print({name: round(row["all"], 1) for name, row in rounds[-1].items()}, flush=True)
    medians = {
        seed: {name: statistics.median(one[seed][name] for one in rounds) for name in row}
        for seed, row in rounds[0].items()
    }
    print(f"\n{arguments.model}, {arguments.image_size} pixels, batch {arguments.batch_size}: seconds")
    print(f"{'':26}{'first seed':>12}{'second seed':>13}")
    for name in medians["first seed"]:
        print(f"{name:26}{medians['first seed'][name]:12.2f}{medians['second seed'][name]:13.2f}")
    verdict = "trains" if medians["second seed"]["all"] <= LIMIT else "does not train"
    print(f"The second seed {verdict} within {LIMIT:g} s of the start of its process.")
    content = {"arguments": vars(arguments), "rounds": rounds, "medians": medians, "limit_seconds": LIMIT}
    print(save(f"second-seed-{arguments.model}-{arguments.image_size}", content))


if __name__ == "__main__":
    main()
