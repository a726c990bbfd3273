"""Transfer learning: the head on cached features, beside passing every picture through the network in every epoch.

Command: `python benchmarks/transfer.py --data FOLDER --weights FILE [--part head|all|gradual|passes]`

FOLDER holds CIFAR-10 as pictures, FILE the weights of EfficientNetV2-B0 without its head. At 96x96 pixels:
    head    `--train head`, 10 epochs on 10,000 pictures (a fifth validates), all 10,000 test pictures
    passes  one epoch of such a training through the frozen network, in our loop, and in `keras.Model.fit` with
            keras.applications' network
    all     `--train head` (10 epochs) and `--train all` (2 epochs; at rates that halve from part to part downwards, and
            at one rate), on the same 5,000 pictures
    gradual `--train gradual` (4 epochs) on these
Writes `benchmarks/results/<date>-transfer-<part>.json`.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from pathlib import Path

from saving import save

import photofinish as pf
from photofinish.runs import Predictions, RunFolder

MODEL, SIZE = "efficientnetv2-b0", 96


def run(arguments: argparse.Namespace, name: str, folder: Path, **settings) -> dict[str, object]:
    """Train once; return and print its figures."""
    path, record = pf.train(
        MODEL, arguments.data, output=folder / name, image_size=SIZE, weights=arguments.weights, **settings
    )
    test = Predictions.read(RunFolder(path).predictions("test"))
    row = {
        "run": name, "settings": settings, "test_accuracy": float(test.correct.mean()),
        "test_pictures": len(test.labels), "train_pictures": record.data.train,
        "train_seconds": record.seconds.train, "features_seconds": record.seconds.features,
        "compile_seconds": record.seconds.compile, "total_seconds": record.seconds.total,
        "features_from_cache": record.features_from_cache, "statistics_unfolded": record.statistics_unfolded,
    }  # fmt: skip
    print(
        f"{name:20} {row['test_accuracy']:.2%}  training {row['train_seconds']:.1f} s "
        f"(features {row['features_seconds']:.1f} s)  in all {row['total_seconds']:.0f} s",
        flush=True,
    )
    return row


def head(arguments: argparse.Namespace, folder: Path) -> list[dict[str, object]]:
    """Train the head, and a second time with features from the cache."""
    settings = {"train": "head", "epochs": 10, "limit_train": 10_000, "learning_rate": 1e-3}
    return [run(arguments, f"head-seed-{seed}", folder, seed=seed, **settings) for seed in (0, 1)]


def everything(arguments: argparse.Namespace, folder: Path) -> list[dict[str, object]]:
    """Train the head, and all, on the same pictures."""
    shared = {"limit_train": 5000, "schedule": "cosine", "learning_rate": 1e-3}
    return [
        run(arguments, "head-10-epochs", folder, train="head", epochs=10, **shared),
        run(arguments, "all-2-epochs", folder, train="all", epochs=2, layer_decay=0.5, warmup_epochs=0.2, **shared),
        run(arguments, "all-one-rate", folder, train="all", epochs=2, warmup_epochs=0.2, **shared),
    ]


def gradual(arguments: argparse.Namespace, folder: Path) -> list[dict[str, object]]:
    """Train gradually on the same pictures as `all`."""
    settings = {"limit_train": 5000, "schedule": "cosine", "learning_rate": 1e-3}
    return [run(arguments, "gradual-4-epochs", folder, train="gradual", epochs=4, **settings)]


def passes(arguments: argparse.Namespace, _: Path) -> list[dict[str, object]]:
    """Time one epoch of 8,000 pictures through a frozen network, in our loop and in `fit`."""
    from photofinish import backend

    backend.select("jax")
    import keras
    import numpy as np

    from photofinish.config import DataSettings, TrainingSettings
    from photofinish.data import prepare
    from photofinish.data.augment import resize
    from photofinish.models import Head, anatomy, build
    from photofinish.runs import unheard
    from photofinish.training.loop import Trainer

    data = prepare(DataSettings(source=arguments.data, image_size=SIZE, limit_train=10_000))
    rows = []
    entrant = build(MODEL, Head(10), image_size=SIZE, weights=arguments.weights)
    layers = anatomy(entrant, MODEL, cut=True)
    settings = TrainingSettings(train="gradual", epochs=4)
    trainer = Trainer(entrant.model, data, SIZE, settings, 0, layers, unheard, chained=False)
    trainer.begin_stage(trainer.stages[1])
    trainer.train_epoch(1)
    rows.append({"loop": "ours, network frozen", "epoch_seconds": trainer.clock.train_seconds})
    print(rows[-1], flush=True)

    theirs = keras.applications.EfficientNetV2B0(
        weights=arguments.weights, include_top=False, pooling="avg", input_shape=(SIZE, SIZE, 3)
    )
    theirs.trainable = False
    inputs = keras.Input((SIZE, SIZE, 3))
    classifier = keras.Model(inputs, keras.layers.Dense(10)(theirs(inputs, training=False)))
    classifier.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    chosen = data.splits["train"]
    pictures = np.concatenate([np.asarray(resize(data.images[part], SIZE)) for part in np.array_split(chosen, 40)])
    classifier.fit(pictures[:64], data.labels[chosen][:64], batch_size=32, verbose=0)
    start = time.perf_counter()
    classifier.fit(pictures, data.labels[chosen], batch_size=32, verbose=0)
    rows.append({"loop": "fit, keras.applications frozen", "epoch_seconds": time.perf_counter() - start})
    print(rows[-1], flush=True)
    return rows


PARTS = {"head": head, "all": everything, "gradual": gradual, "passes": passes}


def main() -> None:
    """Run the parts asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True)
    parser.add_argument("--weights", required=True)
    parser.add_argument("--part", choices=PARTS, action="append")
    arguments = parser.parse_args()
    for name in arguments.part or PARTS:
        with tempfile.TemporaryDirectory() as folder:
            # Features of an earlier call would make the first seed as cheap as the second.
            os.environ["PHOTOFINISH_CACHE"] = str(Path(folder) / "cache")
            print(save(f"transfer-{name}", {"rows": PARTS[name](arguments, Path(folder))}))


if __name__ == "__main__":
    main()
