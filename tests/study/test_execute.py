"""A finished run is not mistaken for another; a process that waited for its run does it as any other would."""

from __future__ import annotations

import select
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from photofinish.config import CellSettings, DataSettings, TrainingSettings
from photofinish.data import prepare
from photofinish.errors import StudyError
from photofinish.runs import DataRecord, RunFolder, RunRecord, StudyFolder
from photofinish.study.execute import Observer, execute, refuse_another_run, waiting_worker

CELL = CellSettings(model="resnet50")
DATA = DataRecord(
    name="leaves", fingerprint="a" * 64, classes=("ash", "oak"), train=6, validation=2, test=2, stored_size=(8, 8)
)


@pytest.mark.parametrize(
    ("cell", "data", "says"),
    [
        (CELL.but(seed=1), DATA, "with other settings"),
        (CELL, DATA.but(fingerprint="b" * 64), "with other pictures"),
    ],
)
def test_a_finished_run_of_something_else_is_not_replaced(
    tmp_path: Path, cell: CellSettings, data: DataRecord, says: str
) -> None:
    folder = RunFolder(tmp_path)
    RunRecord(status="finished", settings=CELL, data=DATA).write(folder.record)
    refuse_another_run(CELL, DATA, folder)
    with pytest.raises(StudyError, match=says):
        refuse_another_run(cell, data, folder)


def test_a_study_is_called_one_where_a_run_is_to_be_written(tmp_path: Path) -> None:
    study = StudyFolder(tmp_path)
    study.plan.write_text("{}")
    with pytest.raises(StudyError, match="is a study, and a single run cannot be kept in it"):
        refuse_another_run(CELL, DATA, RunFolder(tmp_path))


def test_a_run_is_the_same_wherever_its_pictures_have_been_moved_to(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    RunRecord(status="finished", settings=CELL, data=DATA).write(folder.record)
    moved = CELL.but(data=CELL.data.but(source="/elsewhere/trees"))
    refuse_another_run(moved, DATA.but(name="trees"), folder)
    with pytest.raises(StudyError, match="with other settings"):
        refuse_another_run(moved.but(data=moved.data.but(image_size=64)), DATA, folder)


OWN = """
import keras


def network(classes):
    inputs = keras.Input((8, 8, 3))
    return keras.Model(inputs, keras.layers.Dense(classes)(keras.layers.Flatten()(inputs)))
"""


@pytest.fixture
def processes(monkeypatch: pytest.MonkeyPatch) -> list[subprocess.Popen[bytes]]:
    """Every worker that was started."""
    found = []
    start = subprocess.Popen

    def noticed(*arguments: Any, **options: Any) -> subprocess.Popen[bytes]:
        found.append(start(*arguments, **options))
        return found[-1]

    monkeypatch.setattr(subprocess, "Popen", noticed)
    return found


def test_a_worker_that_waits_does_one_run_and_waiting_counts_for_nothing(
    tmp_path: Path, processes: list[subprocess.Popen[bytes]]
) -> None:
    (tmp_path / "own.py").write_text(OWN)
    data = DataSettings(source="digits", image_size=8, limit_train=40, limit_test=10)
    cell = CellSettings(model=f"{tmp_path / 'own.py'}:network", data=data, training=TrainingSettings(epochs=1))
    begin = time.perf_counter()
    with waiting_worker("jax") as waiting:
        prepared = prepare(data, cache=tmp_path / "cache")
        assert processes[0].stdout is not None
        select.select([processes[0].stdout], [], [])  # it is ready
        time.sleep(3)
        folders = [RunFolder(tmp_path / f"seed-{seed}") for seed in range(2)]
        first = execute(cell, prepared.folder, folders[0], Observer(), waiting=waiting)
        elapsed = time.perf_counter() - begin
        assert len(processes) == 1
        second = execute(cell.but(seed=1), prepared.folder, folders[1], Observer(), waiting=waiting)
        assert len(processes) == 2
    for record in (first, second):
        assert record.status == "finished", record.error
        assert record.seconds is not None
        # From the start of its process: importing JAX and Keras takes this long at the least.
        assert record.seconds.total > 0.5
    assert first.seconds is not None
    assert first.seconds.total < elapsed - 2
    assert folders[0].log.exists()


@pytest.mark.parametrize("backend", ["jax", "no such backend"])
def test_a_worker_that_is_given_nothing_to_do_is_ended_and_one_that_ended_is_not_asked(
    backend: Any, processes: list[subprocess.Popen[bytes]]
) -> None:
    with waiting_worker(backend) as waiting:
        if backend != "jax":
            assert waiting.take() is None
    assert processes[0].poll() is not None
    with waiting_worker("jax", wanted=False) as waiting:
        assert waiting.take() is None
    assert len(processes) == 1
