"""Published claims beside measured figures: which are reproduced, and which are not possible as printed."""

from __future__ import annotations

from dataclasses import dataclass

from photofinish.config import RECIPES, PublishedFigure, Recipe
from photofinish.report import wording
from photofinish.report.material import Entrant, Material
from photofinish.report.recipe import DATA_WORDS, TRAINING_WORDS
from photofinish.report.tables import MISSING, Column, Field, Table
from photofinish.study.plan import Plan

TOLERANCE = 0.02
"""Printed counts are rounded; a classifier for other classes changes a large network by less than this."""
QUANTITIES = {
    "test_accuracy": "Test accuracy",
    "train_seconds": "Training time",
    "parameters": "Parameters",
}


@dataclass(frozen=True)
class Claims:
    """The answer to a source.

    Attributes:
        source: Who printed the figures.
        table: Published and measured figures, or None where the source prints none.
        changes: In which settings the study departed from the source's, as `Setting: value instead of value`.
        remarks: What else a reader of the source has to know.
    """

    source: str
    table: Table | None
    changes: tuple[str, ...]
    remarks: tuple[str, ...]


def claims(material: Material) -> Claims | None:
    """Return what the study's recipe was published with, beside what was measured; None for other recipes."""
    recipe = RECIPES[material.plan.recipe]() if material.plan.recipe in RECIPES else None
    if recipe is None or recipe.published is None:
        return None
    published, changes = recipe.published, _changes(material.plan, recipe)
    table = None
    if published.figures:
        columns = (
            Column("Model", number=False),
            Column("Figure", number=False),
            Column("Published"),
            Column("Measured here", "95% interval"),
            Column("Reading", number=False),
        )
        caption = f"Published by {published.source}; not measured by us. The measured figures are this study's."
        rows = tuple(_row(material, one, changed=bool(changes)) for one in published.figures)
        table = Table(caption, columns, rows, "results.json")
    return Claims(published.source, table, changes, published.remarks)


def _row(material: Material, claim: PublishedFigure, *, changed: bool) -> tuple[Field, ...]:
    entrant = next((one for one in material.entrants if one.result.name == claim.model), None)
    measured = _measured(entrant, claim) if entrant else Field(MISSING, "not in this race")
    return (
        Field(claim.model),
        Field(QUANTITIES[claim.quantity]),
        Field(_written(claim, claim.value), "", claim.value),
        measured,
        Field(_reading(entrant, claim, changed=changed)),
    )


def _measured(entrant: Entrant, claim: PublishedFigure) -> Field:
    result = entrant.result
    if claim.quantity == "parameters":
        return Field(_written(claim, result.parameters), "", result.parameters)
    estimate = result.test_accuracy if claim.quantity == "test_accuracy" else result.train_seconds
    interval = ""
    if claim.quantity == "test_accuracy":
        interval = wording.interval_percent(estimate.low, estimate.high)
    return Field(_written(claim, estimate.mean), interval, estimate.mean)


def _written(claim: PublishedFigure, value: float) -> str:
    write = {"test_accuracy": wording.percent, "train_seconds": wording.seconds, "parameters": wording.large}
    return write[claim.quantity](value)


def _reading(entrant: Entrant | None, claim: PublishedFigure, *, changed: bool) -> str:
    """Say what the measured figure makes of the published one."""
    if claim.known is not None and abs(claim.value / claim.known - 1) > TOLERANCE:
        return f"not possible as printed: the published network has {_written(claim, claim.known)}"
    if entrant is None:
        return "not run"
    if claim.quantity == "train_seconds":
        return "not comparable: the source does not name its machine"
    if claim.quantity == "parameters":
        near = abs(claim.value / entrant.result.parameters - 1) <= TOLERANCE
        return "agrees" if near else "does not agree"
    accuracy = entrant.result.test_accuracy
    within = accuracy.low <= claim.value <= accuracy.high
    gap = wording.points(accuracy.mean - claim.value, signed=False)
    found = "it lies within the interval"
    if not within:
        found = f"measured {gap} points {'higher' if accuracy.mean > claim.value else 'lower'}"
    if changed:
        return f"not tested, the settings are others: {found}"
    return f"{'reproduced' if within else 'not reproduced'}: {found}"


def _changes(plan: Plan, recipe: Recipe) -> tuple[str, ...]:
    """Name the settings in which a study departed from its recipe."""
    found = [
        f"{label}: {write(plan.training)} instead of {write(recipe.training)}"
        for name, (label, write) in TRAINING_WORDS.items()
        if getattr(plan.training, name) != getattr(recipe.training, name)
    ]
    found += [
        f"{label}: {write(plan.data_settings)} instead of {write(recipe.data)}"
        for name, (label, write) in DATA_WORDS.items()
        if name != "source" and getattr(plan.data_settings, name) != getattr(recipe.data, name)
    ]
    if plan.data_settings.source != recipe.data.source:
        found.append(f"Pictures: {plan.data.name} instead of {recipe.data.source}")
    return tuple(found)
