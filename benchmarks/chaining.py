"""Whether a network begins sooner segment by segment than in one program, with nothing compiled beforehand.

Command: `python benchmarks/chaining.py [--models NAME ...] [--image-size 32] [--batch-size 32] [--rounds 2]`

In turn, each in a fresh process with an empty cache: seconds from its start to the end of the first step in one
program, and segment by segment. Beside the difference stands what the product expects to be spared, by which it
chooses. Writes `benchmarks/results/<date>-chaining.json`.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile

from contestants import KERAS, Settings
from saving import save
from start import seconds_to_first_step

MODELS = ["mobilenetv2", "resnet50", "efficientnetv2-b0", "efficientnetv2-s"]
WAYS = {"one program": "photofinish", "segment by segment": "photofinish-chained"}


def expected(model: str) -> float:
    """Return the seconds that the product expects to be spared."""
    from photofinish.models import Head, build
    from photofinish.training.chained import links_and_spared

    return links_and_spared(build(model, Head(10), image_size=32, seed=None).model)[1]


def main() -> None:
    """Start them in turn and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="+", choices=KERAS, default=MODELS)
    parser.add_argument("--image-size", type=int, default=32)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=2)
    arguments = parser.parse_args()
    rounds = []
    for _ in range(arguments.rounds):
        rounds.append({})
        for model in arguments.models:
            settings = Settings("train", model, arguments.image_size, arguments.batch_size, 10, 0.0)
            rounds[-1][model] = {}
            for way, contestant in WAYS.items():
                with tempfile.TemporaryDirectory() as cache:
                    rounds[-1][model][way] = seconds_to_first_step(contestant, settings, cache)
            print(model, {way: round(seconds, 1) for way, seconds in rounds[-1][model].items()}, flush=True)
    rows = {}
    print(f"\n{'':20}{'one program':>14}{'in segments':>14}{'spared':>9}{'expected':>10}   seconds")
    for model in arguments.models:
        medians = {way: statistics.median(one[model][way] for one in rounds) for way in WAYS}
        whole, chained = medians.values()
        rows[model] = {**medians, "spared": whole - chained, "expected": expected(model)}
        print(f"{model:20}{whole:14.1f}{chained:14.1f}{whole - chained:9.1f}{rows[model]['expected']:10.1f}")
    print(save("chaining", {"arguments": vars(arguments), "rounds": rounds, "medians": rows}))


if __name__ == "__main__":
    main()
