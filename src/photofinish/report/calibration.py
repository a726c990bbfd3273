"""Whether the models' confidence can be believed, before and after temperature scaling."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from markupsafe import Markup

from photofinish.evaluation.calibration import bound_in_words, is_at_bound, reliability_bins
from photofinish.evaluation.metrics import confidences
from photofinish.report import wording
from photofinish.report.figures.reliability import reliability_diagram
from photofinish.report.figures.svg import swatch
from photofinish.report.material import Entrant, Material
from photofinish.report.tables import Column, Field, Table
from photofinish.study.results import CalibrationEstimates, CalibrationResult, Estimate, ModelResult, SeedMean


@dataclass(frozen=True)
class Diagram:
    """A model's reliability diagram.

    Attributes:
        index: The model's place.
        name: The model.
        swatch: Its key.
        drawing: The diagram.
        sentence: How sure the model is on average, and how often right.
        sources: Names and addresses of the predictions.
    """

    index: int
    name: str
    swatch: Markup
    drawing: Markup
    sentence: str
    sources: list[tuple[str, str]]


def section(material: Material) -> dict[str, Any]:
    """Return what the page shows of calibration."""
    return {
        "table": calibration_table(material),
        "owners": [entrant.index for entrant in material.entrants if entrant.result.calibration],
        "swatches": [swatch(entrant.index) for entrant in material.entrants if entrant.result.calibration],
        "notes": calibration_notes(material),
        "diagrams": [_diagram(material, entrant) for entrant in material.entrants],
    }


def calibration_table(material: Material) -> Table:
    """Return every model's figures on the test pictures before and after temperature scaling."""
    columns = (
        Column("Model", number=False),
        Column("Temperature", "fitted on validation"),
        Column("Calibration error", "as trained"),
        Column("Calibration error", "with temperature"),
        Column("Log loss", "nats, as trained"),
        Column("Log loss", "nats, with temperature"),
        Column("Brier score", "as trained"),
        Column("Brier score", "with temperature"),
    )
    rows = tuple(_row(model, model.calibration) for model in material.results.models if model.calibration is not None)
    caption = (
        "Means over seeds on the test pictures; lower is better. Logits are divided by one temperature per seed, which "
        "changes no answer."
    )
    return Table(caption, columns, rows, "results.json")


def calibration_notes(material: Material) -> list[str]:
    """Return what a reader of the table must know, as sentences."""
    results = [(model.name, model.calibration) for model in material.results.models]
    without = [name for name, result in results if result is None]
    notes = []
    if without:
        notes.append(
            f"The figures of {wording.listing(without)} come from a version that did not measure calibration; "
            f"run photofinish report on the study's folder."
        )
    for name, result in results:
        if result:
            notes.extend(_bound_notes(name, result))
            notes.extend(_worse_notes(name, result))
    return notes


def _bound_notes(name: str, result: CalibrationResult) -> list[str]:
    """Say what it means where a temperature is a bound of the search, one sentence a bound."""
    temperatures = result.temperature.per_seed
    notes = []
    for bound in sorted({one for one in temperatures if is_at_bound(one)}):
        of = "" if len(temperatures) == 1 else f" for {temperatures.count(bound)} of {len(temperatures)} seeds"
        notes.append(
            f"The temperature of {name} is at the bound of its search, {bound:g},{of} and no measurement: "
            f"{bound_in_words(bound)}."
        )
    return notes


def _worse_notes(name: str, result: CalibrationResult) -> list[str]:
    """Say which figures on the test pictures the temperature makes worse, if any."""
    before, after = result.before, result.after
    rises = []
    if after.ece.mean > max(before.ece.mean, after.ece_by_chance):
        rises.append(f"its calibration error rises from {before.ece.mean:.3f} to {after.ece.mean:.3f}")
    # What cannot be seen in the table needs no note.
    if after.nll.mean > before.nll.mean and f"{after.nll.mean:.3f}" != f"{before.nll.mean:.3f}":
        rises.append(f"its log loss on the test pictures rises from {before.nll.mean:.3f} to {after.nll.mean:.3f}")
    if not rises:
        return []
    note = (
        f"The temperature does not mend {name}: {wording.listing(rises)}. One number lowers the log loss of "
        "the validation pictures as far as one number can; it need not lower other figures too."
    )
    return [note]


def _row(model: ModelResult, result: CalibrationResult) -> tuple[Field, ...]:
    return (
        Field(model.name),
        _temperature(result.temperature),
        _error(result.before),
        _error(result.after),
        _loss(result.before.nll),
        _loss(result.after.nll),
        _loss(result.before.brier),
        _loss(result.after.brier),
    )


def _temperature(temperature: SeedMean) -> Field:
    """Return the mean and range over seeds; a bound of the search is no measurement and is averaged with none."""
    measured = tuple(one for one in temperature.per_seed if not is_at_bound(one))
    stuck = len(temperature.per_seed) - len(measured)
    if not stuck:
        return Field(f"{temperature.mean:.2f}", _range(measured), temperature.mean)
    of = "" if len(temperature.per_seed) == 1 else f" for {stuck} of {len(temperature.per_seed)} seeds"
    others = f"otherwise {_range(measured) or f'{measured[0]:.2f}'}" if measured else ""
    return Field(f"at its bound{of}", others, temperature.mean)


def _range(per_seed: tuple[float, ...]) -> str:
    return f"{min(per_seed):.2f} to {max(per_seed):.2f}" if len(per_seed) > 1 else ""


def _error(figures: CalibrationEstimates) -> Field:
    return Field(f"{figures.ece.mean:.3f}", f"chance {figures.ece_by_chance:.3f}", figures.ece.mean)


def _loss(estimate: Estimate) -> Field:
    return Field(f"{estimate.mean:.3f}", f"{estimate.low:.3f} to {estimate.high:.3f}", estimate.mean)


def _diagram(material: Material, entrant: Entrant) -> Diagram:
    before = [one.test for one in entrant.cells]
    after = [one.calibrated_test for one in entrant.cells]
    sureness = float(np.mean([confidences(one).mean() for one in before]))
    accuracy = float(np.mean([one.correct.mean() for one in before]))
    return Diagram(
        index=entrant.index,
        name=entrant.name,
        swatch=swatch(entrant.index),
        drawing=reliability_diagram(entrant.index, entrant.name, reliability_bins(*before), reliability_bins(*after)),
        sentence=_sureness(sureness, accuracy),
        sources=material.sources(entrant, "predictions/test.npz"),
    )


def _sureness(sureness: float, accuracy: float) -> str:
    """Say how sure a model is and how often it is right.

    Examples:
        >>> _sureness(0.912, 0.834)
        'As trained it is 91.2% sure on average and right on 83.4%: 7.8 points too sure.'
    """
    gap = sureness - accuracy
    points = wording.points(abs(gap), signed=False)
    verdict = f"{points} points too {'sure' if gap > 0 else 'unsure'}" if abs(gap) >= 0.0005 else "as sure as right"
    sure, right = wording.percent(sureness), wording.percent(accuracy)
    return f"As trained it is {sure} sure on average and right on {right}: {verdict}."
