"""What each of our ways of training is worth in a real step: every variant leaves out one of them.

Command: `python benchmarks/variants.py [--cases efficientnetv2-b0:32:32 ...] [--variants NAME ...] [--rounds 7]`

A case is a model, its image size and its batch size. The variants (`contestants.py` says what each is) take turns, each
in a process of its own, the others stopped. Prints images per second, how many times faster the ordinary one is, and
the largest resident memory. Writes `benchmarks/results/<date>-variants-<case>.json` for each case.
"""

from __future__ import annotations

import argparse
import contextlib
import statistics

from contestants import OURS, Settings
from saving import save
from turns import Contestant, ratios, take_turns

CASES = ("efficientnetv2-b0:32:32", "efficientnetv2-b0:64:32", "resnet50:32:32", "efficientnetv2-l:64:8")


def main() -> None:
    """Measure and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", nargs="+", default=CASES)
    parser.add_argument("--variants", nargs="+", choices=OURS[1:], default=OURS[1:])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--turn-seconds", type=float, default=5.0)
    arguments = parser.parse_args()
    for case in arguments.cases:
        model, size, batch = case.split(":")
        settings = Settings("train", model, int(size), int(batch), 10, arguments.turn_seconds)
        with contextlib.ExitStack() as stack:
            variants = [stack.enter_context(Contestant(name, settings)) for name in (OURS[0], *arguments.variants)]
            speeds = take_turns(variants, arguments.rounds)
            memory = {one.name: one.end() for one in variants}
        faster = ratios(speeds)
        for name, values in speeds.items():
            ratio = f"{faster[name]['median']:.3f}" if name in faster else "1"
            speed = f"{statistics.median(values):8.1f} img/s"
            print(f"{case:26}{name:24}{speed}  {ratio:>6}  {memory[name] / 1e6:6.0f} MB", flush=True)
        content = {"case": case, "images_per_second": speeds, "ratios": faster, "peak_memory_bytes": memory}
        print(save(f"variants-{case.replace(':', '-')}", content))


if __name__ == "__main__":
    main()
