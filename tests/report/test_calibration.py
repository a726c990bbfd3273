"""The page and the text tell what confidence is worth, and where a temperature does not help."""

from __future__ import annotations

import re
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from photofinish.report.calibration import _worse_notes, calibration_notes, calibration_table, section
from photofinish.report.markdown import render_markdown
from photofinish.report.material import Material
from photofinish.report.page import render_page, write_report
from photofinish.runs import Predictions, StudyFolder
from photofinish.study.results import Results


@pytest.fixture
def folder(studies: ModuleType, tmp_path: Path) -> StudyFolder:
    return studies.write_study(tmp_path, studies.Design(entrants=studies.RACE[:2], seeds=(0, 1), test=300, epochs=1))


def rescale(folder: StudyFolder, model: str, split: str, factor: float) -> None:
    for seed in (0, 1):
        path = folder.cell(model, seed).predictions(split)
        before = Predictions.read(path)
        Predictions(before.ids, before.labels, (factor * before.logits).astype(np.float32)).write(path)


def test_the_table_holds_the_figures_of_the_results(folder: StudyFolder) -> None:
    for split in ("validation", "test"):
        rescale(folder, "resnet50", split, 5.0)
    material = Material.read(folder)
    table = calibration_table(material)
    assert [row[0].text for row in table.rows] == ["efficientnetv2-b0", "resnet50"]
    for row, model in zip(table.rows, material.results.models, strict=True):
        figures = model.calibration
        assert figures is not None
        orders = [field.order for field in row[1:]]
        assert orders == [
            figures.temperature.mean,
            figures.before.ece.mean,
            figures.after.ece.mean,
            figures.before.nll.mean,
            figures.after.nll.mean,
            figures.before.brier.mean,
            figures.after.brier.mean,
        ]
    over_confident = table.rows[1]
    assert over_confident[1].order > 3
    assert over_confident[3].order < 0.5 * over_confident[2].order
    assert over_confident[4].detail == "{:.3f} to {:.3f}".format(
        *((estimate := material.results.models[1].calibration.before.nll).low, estimate.high)
    )


def test_an_over_confident_model_is_called_too_sure(folder: StudyFolder) -> None:
    rescale(folder, "resnet50", "test", 5.0)
    diagrams = section(Material.read(folder))["diagrams"]
    assert re.fullmatch(r"As trained it is [\d.]+% sure .* points too sure\.", diagrams[1].sentence)
    assert "cells/resnet50/seed-1/predictions/test.npz" in [address for _, address in diagrams[1].sources]


def test_a_temperature_that_makes_things_worse_is_named(folder: StudyFolder) -> None:
    rescale(folder, "resnet50", "validation", 0.1)
    material = Material.read(folder)
    (note,) = calibration_notes(material)
    assert note.startswith("The temperature does not mend resnet50: its calibration error rises from")
    assert note in render_page(material)
    assert "does not mend resnet50" in render_markdown(material)


def test_results_of_earlier_versions_still_have_a_report_that_says_what_is_missing(folder: StudyFolder) -> None:
    write_report(folder)
    results = Results.read(folder.results)
    models = tuple(model.but(calibration=None) for model in results.models)
    results.model_copy(update={"models": models}).write(folder.results)
    write_report(folder)
    html = folder.report_html.read_text(encoding="utf-8")
    assert "The figures of efficientnetv2-b0 and resnet50 come from a version that did not measure calibration" in html
    assert "Confidence beside accuracy" in html
    assert "## Calibration" not in folder.report_markdown.read_text(encoding="utf-8")


def guess(folder: StudyFolder, model: str, seed: int) -> None:
    """Have a seed be surest where it is wrong, so that no temperature is high enough."""
    for split in ("validation", "test"):
        path = folder.cell(model, seed).predictions(split)
        before = Predictions.read(path)
        logits = np.zeros_like(before.logits)
        logits[np.arange(len(logits)), (before.labels + 1) % logits.shape[1]] = 1
        Predictions(before.ids, before.labels, logits).write(path)


def test_a_temperature_at_its_bound_is_no_measurement_and_is_said_to_be_none(folder: StudyFolder) -> None:
    guess(folder, "resnet50", 1)
    material = Material.read(folder)
    other = material.results.models[1].calibration.temperature.per_seed[0]
    field = calibration_table(material).rows[1][1]
    assert (field.text, field.detail) == ("at its bound for 1 of 2 seeds", f"otherwise {other:.2f}")
    (note,) = calibration_notes(material)
    assert note.startswith("The temperature of resnet50 is at the bound of its search, 1000, for 1 of 2 seeds")
    assert note.endswith("the confidence says nothing about being right.")
    assert note in render_page(material)
    assert "at its bound for 1 of 2 seeds" in render_markdown(material)


def test_a_temperature_that_makes_only_the_log_loss_worse_is_named_too(folder: StudyFolder) -> None:
    before = Material.read(folder).results.models[1].calibration
    worse = before.after.nll.model_copy(update={"mean": before.before.nll.mean + 0.02})
    calm = before.before.model_copy(update={"nll": worse})
    result = before.model_copy(update={"after": calm})
    (note,) = _worse_notes("resnet50", result)
    loss = before.before.nll.mean
    assert f"resnet50: its log loss on the test pictures rises from {loss:.3f} to {loss + 0.02:.3f}." in note
    unseen = before.before.nll.model_copy(update={"mean": loss + 1e-9})
    assert not _worse_notes(
        "resnet50", before.model_copy(update={"after": before.before.model_copy(update={"nll": unseen})})
    )
