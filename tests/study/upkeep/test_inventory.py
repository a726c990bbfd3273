"""What there is: every run once, with what has become of it."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from photofinish.errors import StudyError
from photofinish.runs import Predictions, StudyFolder
from photofinish.study.locks import LOCK, only_one, only_worker
from photofinish.study.upkeep.inventory import RunSummary, find_runs, summarize


def runs(*folders: Path) -> dict[tuple[str, int | None], RunSummary]:
    found = [summarize(one) for one in find_runs(folders)]
    assert len({one.folder for one in found}) == len(found)
    return {(one.model, one.seed): one for one in found}


def test_every_run_is_listed_once_with_model_seed_status_and_accuracy(study: StudyFolder) -> None:
    found = runs(study.path.parent, study.path)
    assert {key: one.status for key, one in found.items()} == {
        ("efficientnetv2-b0", 0): "finished",
        ("efficientnetv2-b0", 1): "finished",
        ("resnet50", 0): "finished",
        ("resnet50", 1): "failed",
    }
    test = Predictions.read(study.cell("resnet50", 0).predictions("test"))
    assert found["resnet50", 0].accuracy == pytest.approx(float(test.correct.mean()))
    assert found["resnet50", 1].accuracy is None
    assert found["resnet50", 1].problem == "the loss is nan"
    files = [path for path in study.cell("resnet50", 0).path.rglob("*") if path.is_file()]
    assert found["resnet50", 0].bytes == sum(path.stat().st_size for path in files)


def test_the_age_is_that_of_the_newest_file(study: StudyFolder) -> None:
    for path in study.cell("resnet50", 0).path.rglob("*"):
        os.utime(path, (time.time() - 5000, time.time() - 5000))
    assert runs(study.path)["resnet50", 0].age_seconds == pytest.approx(5000, abs=60)


def test_a_run_without_a_record_is_abandoned_or_interrupted_unless_somebody_writes_to_it(study: StudyFolder) -> None:
    run = study.cell("efficientnetv2-b0", 1)
    run.record.unlink()
    run.log.touch()
    assert runs(study.path)["efficientnetv2-b0", 1].status == "abandoned"
    (study.cell("efficientnetv2-b0", 1).resume / "step-000000007").mkdir(parents=True)
    assert runs(study.path)["efficientnetv2-b0", 1].status == "interrupted"
    with only_one(study.path), only_worker(run):
        assert runs(study.path)["efficientnetv2-b0", 1].status == "running"
        assert runs(study.path)["efficientnetv2-b0", 0].status == "finished"


def test_a_record_or_predictions_that_cannot_be_read_are_called_damaged(study: StudyFolder) -> None:
    study.cell("efficientnetv2-b0", 0).record.write_text("{}")
    study.cell("efficientnetv2-b0", 1).predictions("test").write_bytes(b"PK")
    found = runs(study.path)
    assert [one.status for one in found.values()].count("damaged") == 2


def test_somebody_elses_folder_with_a_log_is_no_run_and_links_are_not_followed(study: StudyFolder) -> None:
    other = study.path.parent / "other"
    other.mkdir()
    (other / "log.txt").write_text("mine")
    (other / "there").symlink_to(study.path)
    assert not runs(other)
    (other / LOCK).touch()
    assert [one.status for one in runs(other).values()] == ["abandoned"]
    with pytest.raises(StudyError, match="is not a folder"):
        runs(other / "absent")
