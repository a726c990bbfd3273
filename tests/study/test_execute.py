"""A finished run stands for its settings and its pictures, and is not mistaken for another."""

from __future__ import annotations

from pathlib import Path

import pytest

from photofinish.config import CellSettings
from photofinish.errors import StudyError
from photofinish.runs import DataRecord, RunFolder, RunRecord, StudyFolder
from photofinish.study.execute import refuse_another_run

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
