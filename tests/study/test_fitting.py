"""The largest size is found by processes that really run out of memory, one size for all models."""

from __future__ import annotations

from pathlib import Path

import pytest

from photofinish.config import CellSettings, DataSettings, TrainingSettings
from photofinish.data import PreparedData, prepare
from photofinish.errors import PhotofinishError
from photofinish.runs import RunFolder, RunRecord
from photofinish.runs.memory import available_bytes
from photofinish.study import fitting
from photofinish.study.execute import Observer, execute
from photofinish.study.fitting import find_size, size_before
from photofinish.study.probing import with_size

DATA = DataSettings(source="digits", image_size=8, limit_train=40, limit_test=10)
# Each picture takes 16 MB in every one of a few arrays of the first; the second is small.
MODELS = """
import keras


def build(width, classes):
    inputs = keras.Input((8, 8, 3))
    x = keras.layers.Dense(8)(keras.layers.Flatten()(keras.layers.Rescaling(1 / 255)(inputs)))
    x = keras.layers.BatchNormalization()(x)
    if width:
        x = keras.layers.Dense(64, activation="relu")(keras.layers.RepeatVector(width)(x))
        x = keras.layers.GlobalAveragePooling1D()(keras.layers.Dense(8)(x))
    return keras.Model(inputs, keras.layers.Dense(classes)(x))


def hungry(classes):
    return build(64_000, classes)


def small(classes):
    return build(0, classes)


def fails(classes):
    raise RuntimeError("a mistake of mine")
"""


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> PreparedData:
    return prepare(DATA, cache=tmp_path_factory.mktemp("cache"))


def cell(folder: Path, name: str, batch_size: int = 32) -> CellSettings:
    (folder / "models.py").write_text(MODELS)
    training = TrainingSettings(epochs=1, batch_size=batch_size)
    return CellSettings(model=f"{folder / 'models.py'}:{name}", data=DATA, training=training)


def test_the_child_is_killed_for_its_memory_and_what_it_survived_is_trained_with_and_recorded(
    tmp_path: Path, prepared: PreparedData, monkeypatch: pytest.MonkeyPatch
) -> None:
    # What it may use is small; that the process ends for using more is real.
    monkeypatch.setattr(fitting, "SHARE_OF_FREE", 1.2e9 / available_bytes())
    cells = [cell(tmp_path, "hungry"), cell(tmp_path, "small")]
    memory = find_size(cells, "micro_batch_size", prepared.record, prepared.folder)
    of_hungry = [one for one in memory.trials if one.model == cells[0].model]
    assert any("SIGKILL" in (one.problem or "") or "emory" in (one.problem or "") for one in of_hungry)
    assert max(one.pictures for one in of_hungry if one.problem is None) == memory.found < 32
    of_small = [one for one in memory.trials if one.model == cells[1].model]
    assert all(one.problem is None and one.pictures <= memory.found for one in of_small), "no more is of use"
    assert of_small[-1].pictures == memory.found
    settings = cells[1].but(training=with_size(cells[1].training, "micro_batch_size", memory.found))
    folder = RunFolder(tmp_path / "run")
    record = execute(settings, prepared.folder, folder, Observer(), memory=memory)
    assert record.status == "finished", record.error
    assert RunRecord.read(folder.record).memory == memory
    assert record.settings.training.micro_batch_size == memory.found
    assert record.settings.training.batch_size == 32
    assert size_before(folder, "micro_batch_size") == memory
    assert size_before(folder, "batch_size") is None


def test_a_defect_of_the_model_is_told_and_not_taken_for_memory(tmp_path: Path, prepared: PreparedData) -> None:
    with pytest.raises(PhotofinishError, match=r"models.py:fails cannot be trained: .*a mistake of mine"):
        find_size([cell(tmp_path, "fails")], "batch_size", prepared.record, prepared.folder)


def test_the_whole_batch_is_no_micro_batch() -> None:
    training = TrainingSettings(batch_size=16)
    assert with_size(training, "micro_batch_size", 16) == training
    assert with_size(training, "micro_batch_size", 4).passes == 4
    assert with_size(training, "batch_size", 64).batch_size == 64
