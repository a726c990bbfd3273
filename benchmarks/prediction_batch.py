"""How many pictures to predict at once on a processor: speed by batch size, taking turns.

Command: `python benchmarks/prediction_batch.py`

Each network predicts the same pictures of noise with every batch size in turn, five rounds; medians of pictures per
second. Writes `benchmarks/results/<date>-prediction-batch.json`.
"""

from __future__ import annotations

import time

import numpy as np
from saving import save

from photofinish import backend

CASES = (
    ("efficientnetv2-b0", 32, (32, 64, 256), 2048),
    ("efficientnetv2-b0", 96, (8, 16, 32, 256), 768),
    ("efficientnetv2-b0", 224, (4, 8, 16, 41), 164),
    ("mobilenetv2", 96, (8, 16, 32, 256), 768),
    ("resnet50", 96, (8, 16, 32, 256), 256),
    ("resnet50", 224, (4, 8, 16, 41), 82),
)
ROUNDS = 5


def main() -> None:
    """Measure and write the table."""
    backend.select("jax")
    from photofinish.models import Head, build, inference

    random, rows = np.random.default_rng(0), []
    for name, size, batches, count in CASES:
        images = random.integers(0, 256, (count, size, size, 3), dtype=np.uint8)
        model = build(name, Head(10), image_size=size).model
        predictors = {}
        for batch in batches:
            predictors[batch] = inference.Predictor(model, lambda pictures: pictures, size, count)
            predictors[batch].batch_size = batch
            predictors[batch](images, np.arange(batch))
        speeds: dict[int, list[float]] = {batch: [] for batch in batches}
        for _ in range(ROUNDS):
            for batch, predictor in predictors.items():
                start = time.perf_counter()
                predictor(images, np.arange(count // batch * batch))
                speeds[batch].append(count // batch * batch / (time.perf_counter() - start))
        chosen = inference.evaluation_batch_size(size, inference.MANY, on_cpu=True)
        medians = {batch: round(float(np.median(values)), 1) for batch, values in speeds.items()}
        rows.append({"model": name, "image_size": size, "chosen": chosen, "images_per_second": medians})
        print(rows[-1], flush=True)
    print(save("prediction-batch", {"rounds": ROUNDS, "rows": rows}))


if __name__ == "__main__":
    main()
