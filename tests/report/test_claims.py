"""Published claims beside measured figures."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from types import ModuleType

import pytest

from photofinish.config import RECIPES, Published, PublishedFigure, Recipe, find_recipe
from photofinish.models import describe
from photofinish.report import claims as module
from photofinish.report.claims import claims
from photofinish.report.markdown import render_markdown
from photofinish.report.material import Material
from photofinish.report.page import render_page
from photofinish.report.tables import Table


@pytest.fixture(scope="module")
def case_study(studies: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Material:
    large = studies.Entrant("efficientnetv2-l", 2.15, 117_759_082, 56_000_000_000, 0.4)
    design = studies.Design(entrants=(large, studies.RACE[1]), recipe="case-study", test=400, seeds=(0, 1))
    return Material.read(studies.write_study(tmp_path_factory.mktemp("case-study"), design))


@pytest.fixture
def as_published(case_study: Material) -> Material:
    """The same study, as if it had been run with the recipe's own settings."""
    recipe = find_recipe("case-study")
    plan = case_study.plan.model_copy(update={"training": recipe.training, "data_settings": recipe.data})
    return dataclasses.replace(case_study, plan=plan)


def readings(material: Material) -> dict[tuple[str, str], str]:
    answered = claims(material)
    assert answered is not None
    assert answered.table is not None
    return {(row[0].text, row[1].text): row[4].text for row in answered.table.rows}


def with_claim(monkeypatch: pytest.MonkeyPatch, *figures: PublishedFigure) -> None:
    """Give the case study's recipe other claims."""
    recipe = find_recipe("case-study")
    changed = recipe.model_copy(update={"published": Published(source="a test", figures=figures)})

    def make() -> Recipe:
        return changed

    monkeypatch.setattr(module, "RECIPES", {**RECIPES, "case-study": make})


def test_480_million_parameters_are_not_possible_as_printed(as_published: Material) -> None:
    reading = readings(as_published)["efficientnetv2-l", "Parameters"]
    assert reading == "not possible as printed: the published network has 119 M"


def test_the_known_number_of_parameters_is_that_of_the_network() -> None:
    published = find_recipe("case-study").published
    assert published is not None
    known = [one.known for one in published.figures if one.quantity == "parameters"]
    assert known == [describe("efficientnetv2-l", image_size=64).parameters]


@pytest.mark.parametrize(("end", "beyond", "word"), [("low", -0.02, "higher"), ("high", 0.02, "lower")])
def test_an_accuracy_outside_the_interval_is_not_reproduced_and_the_gap_is_said(
    as_published: Material, monkeypatch: pytest.MonkeyPatch, end: str, beyond: float, word: str
) -> None:
    accuracy = as_published.entrants[1].result.test_accuracy
    value = getattr(accuracy, end) + beyond
    with_claim(monkeypatch, PublishedFigure(model="resnet50", quantity="test_accuracy", value=value))
    gap = f"{100 * abs(value - accuracy.mean):.1f}"
    assert readings(as_published) == {("resnet50", "Test accuracy"): f"not reproduced: measured {gap} points {word}"}


@pytest.mark.parametrize("end", ["low", "high"])
def test_an_accuracy_at_the_intervals_end_is_reproduced(
    as_published: Material, monkeypatch: pytest.MonkeyPatch, end: str
) -> None:
    value = getattr(as_published.entrants[1].result.test_accuracy, end)
    with_claim(monkeypatch, PublishedFigure(model="resnet50", quantity="test_accuracy", value=value))
    assert readings(as_published) == {("resnet50", "Test accuracy"): "reproduced: it lies within the interval"}


def test_hours_on_an_unnamed_machine_are_not_compared(as_published: Material) -> None:
    found = readings(as_published)
    assert found["resnet50", "Training time"] == "not comparable: the source does not name its machine"


@pytest.mark.parametrize(("factor", "reading"), [(1.01, "agrees"), (1.03, "does not agree")])
def test_a_number_of_parameters_agrees_within_its_rounding(
    as_published: Material, monkeypatch: pytest.MonkeyPatch, factor: float, reading: str
) -> None:
    value = factor * as_published.entrants[1].result.parameters
    with_claim(monkeypatch, PublishedFigure(model="resnet50", quantity="parameters", value=value))
    assert readings(as_published) == {("resnet50", "Parameters"): reading}


def test_a_claim_about_a_model_that_did_not_race_is_shown_as_not_run(
    as_published: Material, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_claim(monkeypatch, PublishedFigure(model="mobilenetv2", quantity="test_accuracy", value=0.9))
    assert readings(as_published) == {("mobilenetv2", "Test accuracy"): "not run"}


def test_settings_that_differ_from_the_sources_are_named_and_qualify_the_reading(case_study: Material) -> None:
    answered = claims(case_study)
    assert answered is not None
    recipe, plan = find_recipe("case-study"), case_study.plan
    assert f"Epochs: {plan.training.epochs} instead of {recipe.training.epochs}" in answered.changes
    assert any(change.startswith("Image size seen by the models: ") for change in answered.changes)
    assert readings(case_study)["resnet50", "Test accuracy"].startswith("not tested, the settings are others: ")


def test_with_the_sources_own_settings_no_change_is_named(as_published: Material) -> None:
    answered = claims(as_published)
    assert answered is not None
    assert answered.changes == ()


def test_other_recipes_have_no_claims_to_answer(material: Material) -> None:
    assert claims(material) is None
    assert "published claims" not in render_page(material)
    assert "published claims" not in render_markdown(material)


def test_page_and_text_set_the_published_beside_the_measured(as_published: Material) -> None:
    table: Table | None = claims(as_published).table  # type: ignore[union-attr]  # the recipe has claims
    assert table is not None
    for shown in (render_page(as_published), render_markdown(as_published).replace("\\", "")):
        assert "The published claims" in shown
        for row in table.rows:
            assert row[2].text in shown
            assert row[4].text in shown


def test_the_notebooks_recipe_says_what_its_plot_shows(studies: ModuleType, tmp_path: Path) -> None:
    design = studies.Design(recipe="case-study-notebook", test=100, seeds=(0,))
    page = render_page(Material.read(studies.write_study(tmp_path / "study", design)))
    assert "one training history under two names" in page
