"""The most that folding BatchNormalization into the layers before it could spare a prediction.

Command: `python benchmarks/folding.py [--rounds 25] [--cases efficientnetv2-b0:32:1000 ...]`

Folded, a network's convolutions have other kernels, and of a BatchNormalization no more is left than an addition. So
the same network predicts the same pictures, in turns, as it is, with each BatchNormalization adding only, which takes
as long as folded, and with none at all, whatever comes out. Ratios are of times side by side, more than 1 where it is
quicker than the network as it is; medians and quartiles. Writes `benchmarks/results/<date>-folding.json`.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from saving import save

from photofinish import backend

CASES = ("efficientnetv2-b0:32:1000", "efficientnetv2-b0:64:500", "resnet50:32:500")
Call = Callable[..., Any]


def _scale_and_add(layer: Any, inputs: Any, **_: Any) -> Any:
    return inputs * layer.gamma.value + layer.beta.value


def _add_only(layer: Any, inputs: Any, **_: Any) -> Any:
    return inputs + layer.beta.value


def _nothing(_: Any, inputs: Any, **__: Any) -> Any:
    return inputs


def predict_in_turns(name: str, size: int, count: int, rounds: int) -> dict[str, list[float]]:
    """Return the seconds of every turn of each way."""
    from photofinish.models import Head, build
    from photofinish.models.inference import Predictor
    from photofinish.models.normalization import OnePassNormalization

    images = np.random.default_rng(0).integers(0, 256, (count, size, size, 3), dtype=np.uint8)
    indices = np.arange(count)
    model = build(name, Head(10), image_size=size).model
    ordinary = OnePassNormalization.call
    ways: dict[str, Call] = {
        "as it is": ordinary,
        "scale and add": _scale_and_add,
        "adding only": _add_only,
        "none": _nothing,
    }
    predictors = {}
    for way, call in ways.items():
        OnePassNormalization.call = call  # type: ignore[method-assign]  # traced once, in the next line
        predictors[way] = Predictor(model, lambda pictures: pictures, size, count)
        predictors[way](images, indices)
    OnePassNormalization.call = ordinary  # type: ignore[method-assign]
    seconds: dict[str, list[float]] = {way: [] for way in ways}
    for _ in range(rounds):
        for way, predictor in predictors.items():
            start = time.perf_counter()
            predictor(images, indices)
            seconds[way].append(time.perf_counter() - start)
    return seconds


def main() -> None:
    """Measure and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=25)
    parser.add_argument("--cases", nargs="+", default=CASES)
    arguments = parser.parse_args()
    backend.select("jax")
    rows = []
    for case in arguments.cases:
        name, size, count = case.split(":")
        seconds = {
            way: np.array(one) for way, one in predict_in_turns(name, int(size), int(count), arguments.rounds).items()
        }
        ratios = {
            way: np.quantile(seconds["as it is"] / one, (0.25, 0.5, 0.75)).round(3).tolist()
            for way, one in seconds.items()
        }
        rows.append({
            "model": name, "image_size": int(size), "pictures": int(count),
            "median_seconds": {way: round(float(np.median(one)), 4) for way, one in seconds.items()},
            "quartiles_of_ratios": ratios,
        })  # fmt: skip
        print(
            case,
            *(f"{way}: {low:.3f} {middle:.3f} {high:.3f}" for way, (low, middle, high) in ratios.items()),
            sep="   ",
        )
    print(save("folding", {"arguments": vars(arguments), "rows": rows}))


if __name__ == "__main__":
    main()
