"""Prediction with the next batch under way while one is read, and without: by turns.

Command: `python benchmarks/prediction_overlap.py [--rounds 7]`

The same network predicts the same pictures of noise by turns with both predictors. Prints medians of pictures per
second and of the rounds' ratios, and says whether the logits are the same to the bit. Writes
`benchmarks/results/<date>-prediction-overlap.json`.
"""

from __future__ import annotations

import argparse
import time

import numpy as np
from saving import save

from photofinish import backend

CASES = (("efficientnetv2-b0", 32, 4000), ("efficientnetv2-b0", 96, 560), ("resnet50", 32, 1000))


def main() -> None:
    """Measure and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    arguments = parser.parse_args()
    backend.select("jax")
    from photofinish.models import Head, build
    from photofinish.models.inference import Predictor

    random, rows = np.random.default_rng(0), []
    for name, size, count in CASES:
        images = random.integers(0, 256, (count, size, size, 3), dtype=np.uint8)
        model = build(name, Head(10), image_size=size).model
        predictors = {
            "one at a time": Predictor(model, lambda pictures: pictures, size, count, one_at_a_time=True),
            "next one under way": Predictor(model, lambda pictures: pictures, size, count),
        }
        logits = {how: one(images, np.arange(count)).logits for how, one in predictors.items()}
        speeds: dict[str, list[float]] = {how: [] for how in predictors}
        for _ in range(arguments.rounds):
            for how, predictor in predictors.items():
                start = time.perf_counter()
                predictor(images, np.arange(count))
                speeds[how].append(count / (time.perf_counter() - start))
        before, after = speeds.values()
        ratios = np.array(after) / np.array(before)
        same = bool((logits["one at a time"] == logits["next one under way"]).all())
        row = {
            "model": name, "image_size": size, "batch_size": predictors["one at a time"].batch_size,
            "images_per_second": {how: float(np.median(values)) for how, values in speeds.items()},
            "ratio": float(np.median(ratios)), "ratio_quartiles": np.quantile(ratios, (0.25, 0.75)).tolist(),
            "same_logits": same, "rounds": speeds,
        }  # fmt: skip
        rows.append(row)
        low, high = row["ratio_quartiles"]
        figures = "  ".join(f"{how} {value:8.1f} img/s" for how, value in row["images_per_second"].items())
        print(
            f"{name:18}{size:4}  {figures}  ratio {row['ratio']:.3f} ({low:.3f} to {high:.3f})  same: {same}",
            flush=True,
        )
    print(save("prediction-overlap", {"arguments": vars(arguments), "rows": rows}))


if __name__ == "__main__":
    main()
