"""Progressive learning beside training at one size: the same network, pictures, epochs and seeds.

Command: `python benchmarks/progressive.py --data FOLDER [--weights FILE] [--seeds 2] [--epochs 10] [--image-size 64]`

FOLDER holds CIFAR-10 as pictures (`train/<class>/`, `test/<class>/`), FILE the weights to begin with, random ones where
it is left out. Contestants, taking turns seed by seed:
    fixed        one size, RandAugment 3 and dropout 0.2 throughout
    progressive  four stages: 40 to 64 pixels, RandAugment 1 to 3, dropout 0.1 to 0.2, unless told otherwise
Everything else is equal. Each run is a process of its own, and is kept under --keep, so that a later call goes on.
Writes `benchmarks/results/<date>-progressive-<from-scratch or fine-tuned>-<pixels>-pixels-<n>-epochs-<n>-stages.json`.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
from pathlib import Path

import numpy as np
from saving import save

import photofinish as pf
from photofinish.runs import Predictions, RunFolder
from photofinish.study.statistics import compare_pair, mean_accuracy

SHARED = {
    "batch_size": 32, "optimizer": "adamw", "weight_decay": 0.05, "schedule": "cosine",
    "warmup_epochs": 1, "label_smoothing": 0.1, "flip": True, "shift": 0.125,
}  # fmt: skip


FIXED = {"randaugment": 3, "dropout": 0.2}


def main() -> None:
    """Train, print the table and write it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True)
    parser.add_argument("--weights")
    parser.add_argument("--keep", type=Path)
    parser.add_argument("--model", default="efficientnetv2-b0")
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--learning-rate", type=float, default=2e-3)
    parser.add_argument("--layer-decay", type=float)
    parser.add_argument("--image-size", type=int, default=64)
    parser.add_argument("--limit-train", type=int, default=4000)
    parser.add_argument("--stages", type=int, default=4)
    parser.add_argument("--training-size", default="40:64")
    parser.add_argument("--randaugment", default="1:3")
    parser.add_argument("--dropout", default="0.1:0.2")
    arguments = parser.parse_args()
    ramps = {name: getattr(arguments, name) for name in ("training_size", "randaugment", "dropout")}
    correct: dict[str, list[np.ndarray]] = {}
    rows = []
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.keep or Path(temporary)
        for seed in range(arguments.seeds):
            for name, changes in {"fixed": FIXED, "progressive": {"stages": arguments.stages, **ramps}}.items():
                path, record = pf.train(
                    arguments.model, arguments.data, seed=seed, output=folder / f"{name}-{seed}",
                    image_size=arguments.image_size, limit_train=arguments.limit_train, epochs=arguments.epochs,
                    weights=arguments.weights, learning_rate=arguments.learning_rate,
                    layer_decay=arguments.layer_decay, **SHARED, **changes,
                )  # fmt: skip
                test = Predictions.read(RunFolder(path).predictions("test"))
                correct.setdefault(name, []).append(test.correct)
                row = {
                    "contestant": name, "seed": seed, "test_accuracy": float(test.correct.mean()),
                    "train_seconds": record.seconds.train, "compile_seconds": record.seconds.compile,
                    "total_seconds": record.seconds.total,
                    "stages": [stage.model_dump() for stage in record.stages],
                }  # fmt: skip
                rows.append(row)
                print(
                    f"{name:12} seed {seed}  {row['test_accuracy']:.2%}  training {row['train_seconds']:.0f} s  "
                    f"compilation {row['compile_seconds']:.0f} s  in all {row['total_seconds']:.0f} s",
                    flush=True,
                )
    pair = compare_pair(np.stack(correct["progressive"]), np.stack(correct["fixed"]))
    seconds = {
        name: [row["train_seconds"] for row in rows if row["contestant"] == name] for name in correct
    }  # fmt: skip
    ratios = [a / b for a, b in zip(seconds["progressive"], seconds["fixed"], strict=True)]
    accuracy = {name: vars(mean_accuracy(np.stack(table))) for name, table in correct.items()}
    for name, found in accuracy.items():
        print(f"{name:12} {found['mean']:.2%} ({found['low']:.2%} to {found['high']:.2%})")
    kind = "fine-tuned" if arguments.weights else "from-scratch"
    interval = f"{pair.low:+.2%} to {pair.high:+.2%}, p = {pair.p_value:.2f}"
    print(f"progressive minus fixed: {pair.difference:+.2%} ({interval}); training x {statistics.median(ratios):.2f}")
    print(
        save(
            f"progressive-{kind}-{arguments.image_size}-pixels-{arguments.epochs}-epochs-{arguments.stages}-stages",
            {"rows": rows, "accuracy": accuracy, "pair": vars(pair), "time_ratios": ratios},
        )
    )


if __name__ == "__main__":
    main()
