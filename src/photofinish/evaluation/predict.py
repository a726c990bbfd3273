"""From a trained network to its stored predictions."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path

import numpy as np

from photofinish.config import DataSettings
from photofinish.data import PreparedData, prepare
from photofinish.data.augment import resize
from photofinish.data.listing import Listing
from photofinish.data.sources import read_source
from photofinish.errors import DataError, SettingsError, TrainingError
from photofinish.models.facts import network_facts
from photofinish.models.inference import Predictor
from photofinish.models.saved import load
from photofinish.runs import Notify, Predictions, RunFolder, RunRecord, StageEvent
from photofinish.storage import cache_folder
from photofinish.storage.progress import silent

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


def pictures_for(record: RunRecord, source: str, split: str) -> tuple[PreparedData, str | None]:
    """Return the pictures of a source that a trained network may be judged by.

    Args:
        record: Of the finished run.
        source: `digits`, `cifar10`, `cifar100`, or the path of a folder or archive.
        split: `validation` or `test`.

    Returns:
        The pictures, and the split to predict: the one asked for where the source has a test part of its own or is what
        the run was trained on, else None, and all pictures are test pictures.

    Raises:
        SettingsError: The source is the one that the run was trained on and has changed since.
        DataError: It cannot be used as it is.
    """
    own = record.settings.data.but(source=source)
    listing = read_source(source, cache_folder(), silent)
    if len(listing.members("test")):
        # The limit on training pictures stays: without it, validation pictures would be drawn from those trained on.
        return prepare(own.but(limit_test=None)), split
    if _is_same_place(source, record.settings.data.source):
        if record.data is None or prepare(own).record.fingerprint != record.data.fingerprint:
            raise SettingsError(
                f"{source} has changed since the run was trained on it, and which of its pictures were seen in "
                "training cannot be told any more; put new pictures into a folder of their own"
            )
        return prepare(own.but(limit_test=None)), split
    if _was_trained_on(listing, own, record):
        return prepare(own.but(limit_test=None)), split
    return prepare(own.but(limit_train=None, limit_test=None), whole=True), None


def _is_same_place(source: str, other: str) -> bool:
    return source == other or (Path(source).exists() and Path(source).resolve() == Path(other).resolve())


def _was_trained_on(listing: Listing, own: DataSettings, record: RunRecord) -> bool:
    """Return whether a source at another place holds the very pictures of the run."""
    if record.data is None or listing.classes != record.data.classes:
        return False
    try:
        return prepare(own).record.fingerprint == record.data.fingerprint
    except DataError:
        # It cannot be divided as that one was, so it is another.
        return False


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
    kept_as = network_facts(entrant, entrant.model, manifest.name, manifest.image_size)
    predictor = Predictor(entrant.model, prepare, manifest.image_size, len(data.splits[split]), kept_as=kept_as)
    return predict_split(predictor, data, split, lambda *_: None)[0]
