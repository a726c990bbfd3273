"""The reading at equal time in the report: a sentence, tables, and no comparison across machines."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest

from photofinish.report import readings
from photofinish.report.charts import accuracy_by_time
from photofinish.report.material import Material
from photofinish.report.page import write_report
from photofinish.runs import RunRecord, StudyFolder


@pytest.fixture
def folder(studies: ModuleType, tmp_path: Path) -> StudyFolder:
    """A study in which efficientnetv2-b0 is the best and mobilenetv2 the quickest, and compiling takes no time."""
    folder = studies.write_study(tmp_path, studies.Design(seeds=(0, 1), test=400, epochs=6))
    set_compilation(folder, "*", 0.0)
    return folder


def set_compilation(folder: StudyFolder, model: str, seconds: float) -> None:
    for path in folder.path.glob(f"cells/{model}/*/run.json"):
        record = RunRecord.read(path)
        assert record.seconds is not None
        record.but(seconds=record.seconds.but(compile=seconds)).write(path)


def read(folder: StudyFolder) -> tuple[Material, readings.Readings]:
    folder.results.unlink(missing_ok=True)
    material = Material.read(folder)
    found = readings.read(material)
    assert found is not None
    return material, found


def test_both_readings_are_told_in_words_and_the_moments_in_a_table(folder: StudyFolder) -> None:
    _, found = read(folder)
    assert found.sentence.startswith("After 6 epochs each, efficientnetv2-b0 leads (")
    assert re.search(r"After equal time, \d+ s, when mobilenetv2 has finished, \S+ leads \(", found.sentence)
    assert "From moment to moment: mobilenetv2 leads after" in found.sentence
    assert "These are validation accuracies" in found.sentence
    (table,) = found.tables
    assert [column.title for column in table.columns[1:-1]] == ["efficientnetv2-b0", "resnet50", "mobilenetv2"]
    assert len(table.rows) == 6
    assert table.rows[0][2].detail == "first epoch"
    assert "without compilation and validation" in table.caption


def test_compilation_has_a_table_of_its_own_where_it_changes_who_leads(folder: StudyFolder) -> None:
    set_compilation(folder, "mobilenetv2", 600.0)
    _, found = read(folder)
    assert len(found.tables) == 2
    assert "with compilation of the training step" in found.tables[1].caption
    assert "With the time to compile the training step included: efficientnetv2-b0 leads" in found.sentence


def test_models_of_different_machines_are_read_by_epochs_only(folder: StudyFolder) -> None:
    for path in folder.path.glob("cells/mobilenetv2/*/run.json"):
        RunRecord.read(path).but(hardware={"processor": "another"}).write(path)
    material, found = read(folder)
    assert found.tables == ()
    assert found.sentence.startswith("After 6 epochs each")
    assert found.sentence.endswith(readings.NOT_COMPARED)
    assert accuracy_by_time(material, wide=True) is None
    write_report(folder)
    page = folder.report_html.read_text(encoding="utf-8")
    assert "By training time" not in page
    assert "Times by machine" in page


def test_a_seed_of_another_machine_is_left_out_of_the_times_and_kept_in_the_epochs(folder: StudyFolder) -> None:
    path = folder.cell("mobilenetv2", 1).record
    RunRecord.read(path).but(hardware={"processor": "another"}).write(path)
    material, _ = read(folder)
    entrant = next(one for one in material.entrants if one.name == "mobilenetv2")
    assert [one.cell.seed for one in entrant.timed] == [0]
    assert len(entrant.epochs) == 2
    assert entrant.result.train_seconds.per_seed == (entrant.cells[0].seconds.train,)
    assert material.is_timed_alike


def test_one_model_alone_has_no_readings(material: Material) -> None:
    assert readings.read(replace(material, entrants=material.entrants[:1])) is None


def test_page_and_text_hold_the_readings(folder: StudyFolder) -> None:
    _, found = read(folder)
    write_report(folder)
    for path in (folder.report_html, folder.report_markdown):
        content = path.read_text(encoding="utf-8")
        assert "Equal epochs and equal time" in content
        assert "Validation accuracy at equal time" in content
        assert found.sentence.split(",")[0] in content


def test_who_leads_at_equal_time_is_qualified_where_others_kept_the_machine_busy(
    studies: ModuleType, tmp_path: Path
) -> None:
    design = studies.Design(test=100, epochs=2)
    quiet = readings.read(Material.read(studies.write_study(tmp_path / "quiet", design)))
    busy = readings.read(Material.read(studies.write_study(tmp_path / "busy", replace(design, others=1.0))))
    assert quiet is not None
    assert busy is not None
    assert readings.DISTURBED not in quiet.sentence
    assert readings.DISTURBED in busy.sentence
