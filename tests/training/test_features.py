"""A frozen network sees every picture once, and its head learns as it would on top of it."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from photofinish.catalog.scaling import OWN
from photofinish.config import TrainingSettings
from photofinish.data import PreparedData
from photofinish.models import Entrant, Head, build_with_initial_values, split_head
from photofinish.models.inference import Predictor
from photofinish.runs import EpochRecord, StageEvent, unheard
from photofinish.training import Trained, train_entrant
from photofinish.training.features import Features

Few = Callable[[int], PreparedData]


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PHOTOFINISH_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def entrant(seed: int = 0, units: int | None = None, scale: float = 1 / 128) -> Entrant:
    def assemble() -> keras.Model:
        inputs = keras.Input((8, 8, 3))
        x = keras.layers.Rescaling(scale, -1)(inputs)
        x = keras.layers.Conv2D(16, 3, strides=2, name="conv")(x)
        x = keras.layers.BatchNormalization(name="bn")(x)
        x = keras.layers.Activation("relu")(x)
        return keras.Model(inputs, Head(10, 0.0, units)(x), name="mine")

    return Entrant(build_with_initial_values(assemble, seed), OWN, "imagenet", "a head")


def train_head(
    one: Entrant, data: PreparedData, notify: Any = unheard, **changes: Any
) -> tuple[Trained, list[EpochRecord]]:
    records: list[EpochRecord] = []
    settings = TrainingSettings.of({"epochs": 3, "batch_size": 8, "learning_rate": 0.01, "train": "head", **changes})
    return train_entrant(one, "mine", data, 8, settings, 0, record=records.append, notify=notify), records


def counting(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Note how many pictures go through a predictor of pictures."""
    seen: list[int] = []
    call = Predictor.__call__

    def counted(self: Predictor, images: Any, indices: Any, *rest: Any) -> Any:
        if images.ndim == 4:
            seen.append(len(indices))
        return call(self, images, indices, *rest)

    monkeypatch.setattr(Predictor, "__call__", counted)
    return seen


def test_every_picture_passes_the_network_once_and_none_for_a_second_seed(
    few: Few, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = counting(monkeypatch)
    data = few(40)
    trained, records = train_head(entrant(), data)
    assert seen == [40, 15]
    assert trained.features is not None
    assert not trained.features.from_cache
    trained.features.of(("validation", "test"))
    assert seen == [40, 15, len(data.splits["test"])]
    again, records_again = train_head(entrant(), data)
    assert again.features is not None
    again.features.of(("validation", "test"))
    assert seen == [40, 15, len(data.splits["test"])]
    assert again.features.from_cache
    assert again.feature_seconds == trained.feature_seconds > 0
    assert [one.validation_loss for one in records] == [one.validation_loss for one in records_again]


def test_the_test_pictures_are_not_looked_at_during_training(few: Few, monkeypatch: pytest.MonkeyPatch) -> None:
    data = few(40)
    train_head(entrant(), data)
    _, head = split_head(entrant())
    features = Features(split_head(entrant())[0], "mine", data, 8, unheard)
    stored = np.load(features.folder / "features.npy")
    assert not stored[data.splits["test"]].any()
    assert stored[data.splits["train"]].any()
    assert head.output_shape == (None, 10)


@pytest.mark.parametrize("units", [None, 12])
def test_the_trained_network_predicts_from_pictures_what_its_head_predicts_from_features(
    few: Few, units: int | None
) -> None:
    data, one = few(60), entrant(units=units)
    trained, records = train_head(one, data, epochs=8)
    assert records[-1].train_loss < records[0].train_loss
    assert trained.features is not None
    with_features, _ = trained.features.of(("test",))
    chosen = data.splits["test"]
    from_features = trained.outcome.predictor(with_features.images, chosen).logits
    from_pictures = np.asarray(one.model(data.images[chosen], training=False))
    np.testing.assert_allclose(from_features, from_pictures, rtol=1e-4, atol=1e-4)


def test_it_learns_as_fit_learns_the_head_of_a_frozen_network(few: Few) -> None:
    data, one, theirs = few(24), entrant(), entrant().model
    train_head(one, data, epochs=1, batch_size=24, optimizer="sgd")
    for layer in theirs.layers:
        layer.trainable = layer.name == "predictions"
    theirs.compile(
        keras.optimizers.SGD(0.01, momentum=0.9, nesterov=True),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    )
    chosen = data.splits["train"]
    theirs.train_on_batch(data.images[chosen].astype(np.float32), data.labels[chosen])
    for mine, other in zip(one.model.weights, theirs.weights, strict=True):
        np.testing.assert_allclose(np.array(mine.value), np.array(other.value), rtol=1e-4, atol=1e-6)


def test_time_counts_the_features_in_the_first_epoch(few: Few) -> None:
    trained, records = train_head(entrant(), few(40))
    assert trained.train_seconds == pytest.approx(trained.feature_seconds + trained.outcome.clock.train_seconds)
    assert records[0].train_seconds > trained.feature_seconds
    assert records[-1].elapsed_seconds == pytest.approx(trained.train_seconds)
    assert trained.trainable_parameters == 16 * 10 + 10


def test_other_weights_pictures_sizes_scalings_or_code_have_other_features(few: Few, tmp_path: Path) -> None:
    data = few(40)
    network = split_head(entrant())[0]
    folders = {
        Features(network, "mine", data, 8, unheard).folder,
        Features(split_head(entrant(seed=1))[0], "mine", data, 8, unheard).folder,
        Features(network, "mine", data, 16, unheard).folder,
        Features(network, "mine", dataclasses.replace(data, ids=data.ids[::-1]), 8, unheard).folder,
    }
    folders.add(Features(split_head(entrant(scale=1 / 255))[0], "mine", data, 8, unheard).folder)
    own_file = tmp_path / "mine.py"
    for content in ("first", "second"):
        own_file.write_text(content)
        folders.add(Features(network, f"{own_file}:build", data, 8, unheard).folder)
    assert len(folders) == 7
    assert Features(split_head(entrant())[0], "mine", data, 8, unheard).folder in folders


@pytest.mark.parametrize("damage", ["note", "array", "gone"])
def test_damaged_features_are_computed_anew(few: Few, monkeypatch: pytest.MonkeyPatch, damage: str) -> None:
    data = few(40)
    trained, records = train_head(entrant(), data)
    assert trained.features is not None
    folder = trained.features.folder
    if damage == "note":
        (folder / "features.json").write_text('{"train": [1]}')
    elif damage == "array":
        (folder / "features.npy").write_bytes((folder / "features.npy").read_bytes()[:200])
    else:
        (folder / "features.npy").unlink()
    seen = counting(monkeypatch)
    _, records_again = train_head(entrant(), data)
    assert seen == [40, 15]
    assert [one.validation_loss for one in records] == [one.validation_loss for one in records_again]
    assert set(json.loads((folder / "features.json").read_text())) == {"train", "validation"}


def test_progress_is_told(few: Few) -> None:
    events: list[StageEvent] = []
    train_head(entrant(), few(40), notify=events.append)
    told = [(event.done, event.total) for event in events if event.stage == "features"]
    assert told[-1] == (55, 55)
