"""From a trained network to its stored predictions."""

from __future__ import annotations

import functools
from collections.abc import Callable

import numpy as np

from photofinish.data import PreparedData
from photofinish.data.augment import resize
from photofinish.errors import TrainingError
from photofinish.models.inference import Predictor
from photofinish.models.saved import load
from photofinish.runs import Notify, Predictions, RunFolder, StageEvent

EVALUATED_SPLITS = ("validation", "test")


def predict_split(
    predictor: Predictor, data: PreparedData, split: str, notify: Callable[[int, int], None]
) -> tuple[Predictions, tuple[float, ...]]:
    """Predict every picture of a split exactly once.

    Args:
        predictor: The compiled network.
        data: The pictures and their division.
        split: `train`, `validation` or `test`.
        notify: Is told how many are done, and of how many.

    Returns:
        The predictions, and the seconds of each batch that did not compile.

    Raises:
        TrainingError: Some logits are not finite.
    """
    indices = data.splits[split]
    predicted = predictor(data.images, indices, notify)
    if not np.isfinite(predicted.logits).all():
        raise TrainingError(f"the trained model gives logits that are no numbers on {split} pictures")
    return Predictions(data.ids[indices], data.labels[indices], predicted.logits), predicted.batch_seconds


def evaluate(predictor: Predictor, data: PreparedData, folder: RunFolder, notify: Notify) -> float | None:
    """Predict the validation and the test pictures and store both.

    The test pictures are looked at here and nowhere else.

    Args:
        predictor: The compiled network.
        data: The pictures and their division.
        folder: The run folder to write to.
        notify: Is told of progress.

    Returns:
        Pictures (with a frozen network's head, features) per second over the median batch, or None where there was only
        one batch.
    """
    seconds: list[float] = []
    total = sum(len(data.splits[split]) for split in EVALUATED_SPLITS)
    before = 0
    for split in EVALUATED_SPLITS:

        def report(done: int, _: int, before: int = before) -> None:
            notify(StageEvent(stage="predicting", done=before + done, total=total))

        predictions, batch_seconds = predict_split(predictor, data, split, report)
        predictions.write(folder.predictions(split))
        seconds += batch_seconds
        before += len(predictions.labels)
    return predictor.batch_size / float(np.median(seconds)) if seconds else None


def predict_saved(folder: RunFolder, data: PreparedData, split: str, *, own_model: str | None = None) -> Predictions:
    """Predict a split with the network saved in a run folder.

    Args:
        folder: Of a finished run.
        data: The pictures; their classes must be the network's.
        split: `validation` or `test`.
        own_model: `path/to/model.py:function`, for a network that is no part of the catalog.

    Raises:
        WeightsError: The saved network is missing or damaged.
    """
    entrant, manifest = load(folder.checkpoints, own_model=own_model)
    prepare = functools.partial(resize, size=manifest.image_size)
    predictor = Predictor(entrant.model, prepare, manifest.image_size, len(data.splits[split]))
    return predict_split(predictor, data, split, lambda *_: None)[0]
