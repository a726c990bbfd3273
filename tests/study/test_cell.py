"""A cell from its settings to its record: stages, a frozen network, and what is refused before anything is begun."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import photofinish as pf
from photofinish.catalog.manifest import TENSORS
from photofinish.config import CellSettings, DataSettings, TrainingSettings
from photofinish.data import PreparedData, prepare
from photofinish.data.augment import resize
from photofinish.errors import SettingsError
from photofinish.models.saved import load
from photofinish.runs import Predictions, RunFolder, RunRecord, StageEvent, read_epochs
from photofinish.study.cell import run_cell
from photofinish.study.cells import FinishedCell
from photofinish.study.race import Race, check_models
from photofinish.study.upkeep.verify import check_folder
from photofinish.study.warn import _features, _unfolded
from photofinish.training.clock import WARM_UP_STEPS
from photofinish.training.loop import Trainer

OWN = """
import keras

def build(classes, image_size):
    inputs = keras.Input((None, None, 3))
    x = keras.layers.Rescaling(1 / 128, -1)(inputs)
    for number in range(3):
        x = keras.layers.Conv2D(8, 3, strides=2, padding="same", use_bias=False, name=f"conv{number}")(x)
        x = keras.layers.BatchNormalization(name=f"bn{number}")(x)
        x = keras.layers.Activation("relu")(x)
    return keras.Model(inputs, x, name="own")
"""


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> PreparedData:
    return prepare(DataSettings(limit_train=150, limit_test=60), cache=tmp_path_factory.mktemp("cache"))


@pytest.fixture
def own(tmp_path: Path) -> str:
    (tmp_path / "own.py").write_text(OWN)
    return f"{tmp_path / 'own.py'}:build"


def run(
    own: str, prepared: PreparedData, folder: Path, notify: Any = lambda _: None, **training: Any
) -> tuple[RunFolder, RunRecord]:
    settings = TrainingSettings.of({"epochs": 4, "batch_size": 16, **training})
    cell = CellSettings(model=own, data=DataSettings(limit_train=150, limit_test=60), training=settings)
    run_folder = RunFolder(folder)
    return run_folder, run_cell(cell, prepared.folder, run_folder, notify=notify)


def test_stages_are_recorded_and_their_first_pictures_kept(own: str, prepared: PreparedData, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    (folder / "stages").mkdir(parents=True)
    (folder / "stages" / "stage-9.png").write_bytes(b"of an earlier attempt")
    run_folder, record = run(
        own, prepared, folder, stages=2, training_size="16:32", randaugment="2:6", dropout="0.1:0.3", flip=True
    )
    assert [(one.first_epoch, one.last_epoch, one.image_size) for one in record.stages] == [(1, 2, 16), (3, 4, 32)]
    assert [(one.randaugment, one.dropout) for one in record.stages] == [(2, 0.1), (6, 0.3)]
    assert sorted(path.name for path in (folder / "stages").iterdir()) == ["stage-1.png", "stage-2.png"]
    assert record.seconds is not None
    assert sum(one.train_seconds for one in record.stages) == pytest.approx(record.seconds.train)
    assert record.train_images_per_second == pytest.approx(4 * 120 / record.seconds.train)
    # Two stages, each with a program of its own.
    assert record.seconds.warm_up_steps == 2 * WARM_UP_STEPS
    assert record.seconds.warm_up is not None
    assert record.seconds.stall is not None
    assert 0 < record.seconds.warm_up + record.seconds.stall < record.seconds.train
    assert record.load is not None
    assert RunRecord.read(run_folder.record) == record
    histories = [epoch.elapsed_seconds for epoch in read_epochs(run_folder.metrics)]
    assert histories == sorted(histories)


def test_the_weights_of_the_best_epoch_are_kept_where_it_is_not_the_last(
    own: str, prepared: PreparedData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    accuracies = [0.2, 0.9, 0.3, 0.9, 0.1]
    monkeypatch.setattr(Trainer, "validate", lambda _self, epoch: (1.0 + epoch, accuracies[epoch - 1]))
    options = {"reestimate_statistics": "never", "schedule": "constant"}
    longer, _ = run(own, prepared, tmp_path / "longer", epochs=5, **options)
    shorter, _ = run(own, prepared, tmp_path / "shorter", epochs=2, **options)
    assert longer.kept_best == [longer.best(2)]
    assert shorter.kept_best == []
    best, last = ((folder / TENSORS).read_bytes() for folder in (longer.best(2), longer.checkpoints))
    assert best == (shorter.checkpoints / TENSORS).read_bytes() != last
    picture = [np.full((8, 8, 3), 99, np.uint8)]
    kept, ended = (pf.load(longer.path, model=own, best=best).probabilities(picture) for best in (True, False))
    same = pf.load(shorter.path, model=own, best=True)
    assert same.temperature != 1
    np.testing.assert_allclose(kept, softmax_at(same.probabilities(picture), same.temperature), rtol=1e-5)
    assert not np.allclose(kept, ended)
    assert check_folder(longer.path) == []
    (longer.best(2) / TENSORS).write_bytes(best[:-1])
    assert [Path(one.file) for one in check_folder(longer.path)] == [longer.best(2)]


def softmax_at(probabilities: np.ndarray[Any, Any], temperature: float) -> np.ndarray[Any, Any]:
    """Return what logits that were divided by a temperature would give undivided."""
    powers = probabilities**temperature
    return powers / powers.sum(axis=1, keepdims=True)


def test_a_frozen_networks_run_is_complete_and_its_saved_model_predicts_the_same(
    own: str, prepared: PreparedData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PHOTOFINISH_CACHE", str(tmp_path / "cache"))
    events: list[StageEvent] = []
    run_folder, record = run(own, prepared, tmp_path / "run", events.append, train="head", learning_rate=0.03)
    assert record.model is not None
    assert record.seconds is not None
    assert record.model.trainable_parameters == 8 * 10 + 10
    assert record.model.stochastic_depth == 0
    assert 0 < record.seconds.features < record.seconds.train
    assert not record.features_from_cache
    assert [one.trained_share for one in record.stages] == [0]
    assert "features" in [event.stage for event in events]
    assert not list((tmp_path / "run").glob("stages/*"))
    test = Predictions.read(run_folder.predictions("test"))
    assert len(test.labels) == 60
    entrant, manifest = load(run_folder.checkpoints, own_model=own)
    assert manifest.class_names == tuple("0123456789")
    chosen = prepared.splits["test"]
    logits = np.asarray(entrant.model(resize(prepared.images[chosen], 32), training=False))
    np.testing.assert_allclose(test.logits, logits, rtol=1e-3, atol=1e-3)
    _, again = run(own, prepared, tmp_path / "again", train="head", learning_rate=0.03)
    assert again.features_from_cache
    assert again.seconds is not None
    assert again.seconds.features == record.seconds.features
    assert again.inference_images_per_second == record.inference_images_per_second


@pytest.mark.parametrize(
    ("model", "training", "data", "reason"),
    [
        ("resnet50", {"train": "head"}, {}, "would keep the random values of resnet50 frozen"),
        ("efficientnetv2-b0", {"train": "gradual"}, {}, "give weights, for example --weights imagenet"),
        (
            "efficientnetv2-b0",
            {"stages": 2, "training_size": "16:64"},
            {"image_size": 32},
            "training_size=16:64 is larger than image_size=32",
        ),
    ],
)
def test_what_cannot_be_meant_is_refused_before_anything_is_begun(
    model: str, training: dict[str, Any], data: dict[str, Any], reason: str
) -> None:
    race = Race((model,), (0,), DataSettings.of(data), TrainingSettings.of(training))
    with pytest.raises(SettingsError) as caught:
        check_models(race)
    assert reason in str(caught.value)


@dataclasses.dataclass
class Stand:
    """Stands in for what the warnings look at."""

    model: str
    statistics_unfolded: bool = False
    features_from_cache: bool = False

    @property
    def cell(self) -> Stand:
        return self

    @property
    def record(self) -> Stand:
        return self


def finished(*stands: Stand) -> list[FinishedCell]:
    return list(stands)  # type: ignore[arg-type]


def test_the_report_says_where_statistics_were_given_and_features_found() -> None:
    plan: Any = dataclasses.make_dataclass("Plan", ["models", "training"])(("a", "b"), TrainingSettings(train="head"))
    assert list(_unfolded(plan, finished(Stand("a"), Stand("b")))) == []
    (unfolded,) = _unfolded(plan, finished(Stand("a"), Stand("b", statistics_unfolded=True)))
    assert unfolded.startswith("The weights of b came with BatchNormalization folded")
    (fresh,) = _features(plan, finished(Stand("a")))
    (found,) = _features(plan, finished(Stand("a"), Stand("a", features_from_cache=True)))
    assert "cache" not in fresh
    assert "Some seeds of a found them in the cache" in found
    plan.training = TrainingSettings()
    assert list(_features(plan, finished(Stand("a")))) == []
