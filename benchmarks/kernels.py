"""Which operations of a training step take most time, on the device at hand.

Command: `python benchmarks/kernels.py [--model efficientnetv2-s] [--image-size 224] [--batch-size 128] [--precision
bfloat16] [--steps 10]`

Trains with JAX's profiler on, after the step has been compiled and warmed up, and adds up the time of everything the
device ran, by name. Writes `benchmarks/results/<date>-kernels.json` with all of it and prints the first ten.
"""

from __future__ import annotations

import argparse
import gzip
import json
import tempfile
from collections import Counter
from pathlib import Path

import jax
from contestants import KERAS, Settings, photofinish
from saving import save

WARM_UP, SHOWN = 5, 10
HOST = "/host"


def time_by_name(folder: Path) -> Counter[str]:
    """Return microseconds by the name of what ran: on devices where there are any, else in XLA's threads."""
    path = next(folder.rglob("perfetto_trace.json.gz"))
    events = json.loads(gzip.decompress(path.read_bytes()))["traceEvents"]
    processes = {one["pid"]: one["args"]["name"] for one in events if one.get("name") == "process_name"}
    threads = {
        (one["pid"], one["tid"]): one["args"]["name"] for one in events if one.get("name") == "thread_name"
    }  # fmt: skip
    on_devices = any("device" in name and HOST not in name for name in processes.values())
    found: Counter[str] = Counter()
    for event in events:
        if event.get("ph") != "X":
            continue
        thread = threads.get((event["pid"], event.get("tid")), "")
        # A device's line of steps and of modules holds what its streams' lines hold.
        runs = "Stream" in thread if on_devices else "tf_XLA" in thread
        if runs:
            found[event["name"]] += event["dur"]
    return found


def main() -> None:
    """Profile and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", choices=KERAS, default="efficientnetv2-s")
    parser.add_argument("--image-size", type=int, default=224)
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--precision", choices=("float32", "bfloat16"), default="float32")
    parser.add_argument("--steps", type=int, default=10)
    arguments = parser.parse_args()
    train = photofinish(
        Settings("train", arguments.model, arguments.image_size, arguments.batch_size, 10, 0.0, arguments.precision)
    )
    train(1)
    train(WARM_UP)
    with tempfile.TemporaryDirectory() as folder:
        with jax.profiler.trace(folder, create_perfetto_trace=True):
            train(arguments.steps)
        times = time_by_name(Path(folder))
    total = sum(times.values())
    print(f"{arguments.model}, {arguments.image_size} pixels, batch {arguments.batch_size}: a step of all that ran")
    for name, microseconds in times.most_common(SHOWN):
        print(f"{microseconds / 1000 / arguments.steps:10.3f} ms {microseconds / total:7.1%}  {name[:90]}")
    rows = {name: microseconds / 1000 / arguments.steps for name, microseconds in times.most_common(100)}
    print(save("kernels", {"arguments": vars(arguments), "milliseconds_a_step": rows}))


if __name__ == "__main__":
    main()
