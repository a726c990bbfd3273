"""A run whose process is killed outright goes on to the same bits; one that is asked to stop saves itself first."""

from __future__ import annotations

import dataclasses
import importlib.util
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from photofinish.config import CellSettings, DataSettings, TrainingSettings
from photofinish.config.checkpoints import CheckpointEvery
from photofinish.data import PreparedData, prepare
from photofinish.errors import StudyError
from photofinish.runs import DataRecord, RunFolder, RunRecord, read_epochs
from photofinish.runs.checkpoints import CheckpointStore
from photofinish.study.resuming import beginning, how_to_go_on, read_interrupted, refuse_to_go_on
from photofinish.study.worker import EXIT_STOPPED, Task

# The worker imports it, and is killed by it at the n-th call of a function.
MODEL = (Path(__file__).parents[2] / "benchmarks/faults/network.py").read_text()
DATA = DataSettings(limit_train=100, limit_test=40)
ONCE = CheckpointEvery(steps=2)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> PreparedData:
    return prepare(DATA, cache=tmp_path_factory.mktemp("cache"))


@dataclasses.dataclass
class Runs:
    """Runs cells in workers of their own, as the study does."""

    path: Path
    prepared: PreparedData
    backend: Any = "jax"
    train: Any = "all"

    @property
    def cell(self) -> CellSettings:
        model = self.path / "tiny.py"
        model.write_text(MODEL)
        # Ten steps of eight pictures an epoch.
        training = TrainingSettings(epochs=2, batch_size=8, ema_decay=0.9, train=self.train)
        function = "features" if self.train == "head" else "tiny"
        return CellSettings(model=f"{model}:{function}", backend=self.backend, data=DATA, training=training)

    def start(self, name: str, **environment: str) -> subprocess.Popen[bytes]:
        task = Task(
            settings=self.cell, prepared=self.prepared.folder, folder=self.path / name, started=time.perf_counter(),
            every=ONCE,
        )  # fmt: skip
        process = subprocess.Popen(
            [sys.executable, "-m", "photofinish.study.worker"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=os.environ | environment,
        )  # fmt: skip
        assert process.stdin is not None
        process.stdin.write(task.model_dump_json().encode())
        process.stdin.close()
        process.stdin = None
        return process

    def __call__(self, name: str, **environment: str) -> tuple[int, list[Mapping[str, Any]]]:
        """Run a cell; return the exit code and what was said."""
        process = self.start(name, **environment)
        said, _ = process.communicate(timeout=120)
        return process.returncode, [json.loads(line) for line in said.splitlines()]

    def folder(self, name: str) -> RunFolder:
        return RunFolder(self.path / name)

    def results(self, name: str) -> list[Any]:
        """Everything that training decides, times aside."""
        folder = self.folder(name)
        figures = [
            (one.train_loss, one.train_accuracy, one.validation_loss, one.validation_accuracy, one.learning_rate)
            for one in read_epochs(folder.metrics)
        ]
        files = [folder.predictions("validation"), folder.predictions("test")]
        files += sorted(folder.checkpoints.rglob("final.safetensors"))
        return [figures, *(path.read_bytes() for path in files)]


@pytest.fixture
def runs(tmp_path: Path, prepared: PreparedData) -> Runs:
    return Runs(tmp_path, prepared)


KILLS = {
    "between two steps": "photofinish.training.loop:learning_rate:14",
    "inside a save": "photofinish.runs.checkpoints:write_sealed:5",
    "after the last step": "photofinish.evaluation.predict:evaluate:1",
}


def test_a_run_killed_in_a_step_in_a_save_and_when_trained_ends_the_same_to_the_last_bit(runs: Runs) -> None:
    assert runs("whole")[0] == 0
    for kill in KILLS.values():
        assert runs("parts", FAULT=kill)[0] == -signal.SIGKILL
        assert not runs.folder("parts").record.exists()
    code, said = runs("parts")
    assert code == 0
    assert runs.results("parts") == runs.results("whole")
    record = RunRecord.read(runs.folder("parts").record)
    assert record.interruptions is not None
    assert record.interruptions.resumed == 3
    assert record.interruptions.places[-1] == "epoch 2, 10 of its steps taken"
    assert record.steps == 20
    assert [one["note"] for one in said if "note" in one] != []
    assert "had finished" in how_to_go_on(runs.folder("parts"))
    assert not runs.folder("parts").resume.exists(), "nothing is left of it when the run is finished"


def test_a_head_on_features_that_are_no_longer_kept_ends_the_same(tmp_path: Path, prepared: PreparedData) -> None:
    runs = Runs(tmp_path, prepared, train="head")
    cache = tmp_path / "cache"
    assert runs("whole", PHOTOFINISH_CACHE=str(cache))[0] == 0
    assert runs("parts", PHOTOFINISH_CACHE=str(cache), FAULT=KILLS["between two steps"])[0] == -signal.SIGKILL
    shutil.rmtree(cache)
    assert runs("parts", PHOTOFINISH_CACHE=str(cache))[0] == 0
    assert runs.results("parts") == runs.results("whole")
    record = RunRecord.read(runs.folder("parts").record)
    assert not record.features_from_cache
    assert record.interruptions is not None
    assert record.interruptions.resumed == len(record.interruptions.places) == 1


def test_a_worker_that_is_asked_to_stop_saves_first_and_says_how_to_go_on(runs: Runs) -> None:
    process = runs.start("run", FAULT="photofinish.training.loop:learning_rate:1000")
    assert process.stdout is not None
    began = None
    for line in process.stdout:
        message = json.loads(line)
        if began is None and message.get("event", {}).get("stage") == "training":
            began = time.perf_counter()
            process.send_signal(signal.SIGTERM)
    assert began is not None
    assert process.wait() == EXIT_STOPPED
    process.stdout.close()
    assert time.perf_counter() - began < 30
    latest = CheckpointStore(runs.folder("run").resume).latest_record()
    assert latest is not None
    assert message["error"] == how_to_go_on(runs.folder("run"))
    assert f"goes on from epoch {latest.epoch}, {latest.step} of its steps taken" in message["error"]


@pytest.mark.tensorflow
@pytest.mark.skipif(importlib.util.find_spec("tensorflow") is None, reason="TensorFlow is not installed")
def test_under_tensorflow_a_killed_run_ends_the_same_too(tmp_path: Path, prepared: PreparedData) -> None:
    runs = Runs(tmp_path, prepared, "tensorflow")
    assert runs("whole")[0] == 0
    assert runs("parts", FAULT=KILLS["between two steps"])[0] == -signal.SIGKILL
    assert runs("parts")[0] == 0
    assert runs.results("parts") == runs.results("whole")


def begun(runs: Runs, data: DataRecord) -> RunFolder:
    """Leave what an interrupted run leaves, as far as it is looked at before another begins."""
    folder = runs.folder("run")
    store = CheckpointStore(folder.resume)
    store.write_beginning(beginning(runs.cell, data, ONCE))
    (folder.resume / "step-000000004").mkdir()
    return folder


def test_an_interrupted_run_is_not_thrown_away_for_another(runs: Runs) -> None:
    data = runs.prepared.record
    folder = begun(runs, data)
    refuse_to_go_on(runs.cell, data, folder)
    other = runs.cell.but(training=runs.cell.training.but(epochs=3))
    with pytest.raises(StudyError, match=r"cannot go on: epochs was 2 and is now 3\. Run it as it was"):
        refuse_to_go_on(other, data, folder)
    changed = data.but(fingerprint="b" * 64, train=79)
    with pytest.raises(StudyError, match="the number of training pictures was 80 and is now 79") as caught:
        refuse_to_go_on(runs.cell, changed, folder)
    assert "the fingerprint of the pictures was" in str(caught.value)
    model = runs.cell
    (runs.path / "tiny.py").write_text(MODEL + "\n# another\n")
    with pytest.raises(StudyError, match="the file behind"):
        refuse_to_go_on(model, data, folder)


def test_a_run_that_failed_by_itself_may_be_mended_with_other_settings(runs: Runs) -> None:
    folder = begun(runs, runs.prepared.record)
    RunRecord(status="failed", settings=runs.cell, error="the loss is nan").write(folder.record)
    refuse_to_go_on(runs.cell.but(training=TrainingSettings(learning_rate=0.1)), runs.prepared.record, folder)


def test_an_interrupted_run_is_known_by_its_folder_alone(runs: Runs) -> None:
    folder = begun(runs, runs.prepared.record)
    assert read_interrupted(folder.path).settings == runs.cell
    with pytest.raises(StudyError, match="holds no interrupted run: it has no folder resume"):
        read_interrupted(runs.path)
    (folder.resume / "begin.json").write_text("{}")
    with pytest.raises(StudyError, match="run the command of the run again"):
        read_interrupted(folder.path)
