"""Which classes each model takes for one another, and how well it does on every class."""

from __future__ import annotations

from typing import Any

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from photofinish.evaluation.class_groups import ClassGroups, class_groups
from photofinish.report import tables, wording
from photofinish.report.figures.classes import Row, class_chart
from photofinish.report.figures.confusion import (
    MOST_DRAWN,
    MOST_WITH_NUMBERS,
    dense_map,
    heat_map,
    most_confused,
)
from photofinish.report.figures.svg import swatch
from photofinish.report.material import Entrant, Material
from photofinish.report.tables import Column, Field, Table

MOST_GROUPS = 6
MOST_CHARTED = 20
"""Of more classes the chart shows the hardest."""
MOST_PAIRS_IN_TEXT = 5
"""Of each model, in the Markdown report."""

Counts = NDArray[np.int64]


def section(material: Material) -> dict[str, Any]:
    """Return what the page shows of confusions and classes."""
    counts = [entrant.confusions for entrant in material.entrants]
    many = len(material.classes) > MOST_WITH_NUMBERS
    # One order and the same groups for all models, so that their matrices can be laid beside one another.
    groups = class_groups(np.sum(counts, axis=0)) if many and counts else None
    rows = _hardest_first(material)
    return {
        "entrants": [
            _confusions(material, entrant, own, groups) for entrant, own in zip(material.entrants, counts, strict=True)
        ],
        "many": many,
        "one_seed": all(len(entrant.cells) == 1 for entrant in material.entrants),
        "drawn": len(material.classes) <= MOST_DRAWN,
        "charted": min(MOST_CHARTED, len(rows)),
        "chart": [class_chart(rows[:MOST_CHARTED], wide=wide) for wide in (True, False)] if rows else None,
    }


def confused_table(material: Material) -> Table:
    """Return the most confused pairs of every model."""
    columns = (
        Column("Model", number=False),
        Column("True class", number=False),
        Column("Predicted class", number=False),
        Column("Share", "of the true class"),
        Column("Times", "over all seeds"),
    )
    rows = tuple(
        (Field(entrant.name), Field(true), Field(predicted), Field(wording.percent(share)), Field(f"{count:,}"))
        for entrant in material.entrants
        for true, predicted, count, share in most_confused(entrant.confusions, material.classes, MOST_PAIRS_IN_TEXT)
    )
    return Table("The most frequent confusions of every model on the test pictures.", columns, rows, "cells/")


def _confusions(material: Material, entrant: Entrant, counts: Counts, groups: ClassGroups | None) -> dict[str, Any]:
    return {
        "index": entrant.index,
        "name": entrant.name,
        "swatch": swatch(entrant.index),
        "matrix": _matrix(material, entrant, counts, groups),
        "groups": _groups(material, entrant, counts, groups) if groups else [],
        "pairs": [
            (true, predicted, f"{count:,}", wording.percent(share))
            for true, predicted, count, share in most_confused(counts, material.classes)
        ],
        "classes": tables.classes_table(entrant, material.classes),
        "sources": material.sources(entrant, "predictions/test.npz"),
    }


def _matrix(material: Material, entrant: Entrant, counts: Counts, groups: ClassGroups | None) -> Markup | None:
    if groups is None:
        return heat_map(entrant.name, counts, material.classes)
    if len(material.classes) > MOST_DRAWN:
        return None
    return dense_map(entrant.name, counts, material.classes, groups.order, groups.groups[:MOST_GROUPS])


def _groups(material: Material, entrant: Entrant, counts: Counts, groups: ClassGroups) -> list[tuple[str, Markup]]:
    """Draw the part of the matrix that each group of classes makes up, with what it holds of this model's mistakes."""
    totals, mistakes = counts.sum(axis=1), int(counts.sum() - np.trace(counts))
    drawn = []
    for number, group in enumerate(groups.groups[:MOST_GROUPS], start=1):
        part = counts[np.ix_(group, group)]
        names = [material.classes[label] for label in group]
        share = (part.sum() - np.trace(part)) / max(1, mistakes)
        title = f"{number}: {wording.percent(float(share))} of all mistakes"
        drawing = heat_map(f"{entrant.name}, group {number}", part, names, totals[list(group)])
        drawn.append((title, drawing))
    return drawn


def _hardest_first(material: Material) -> list[Row]:
    """Return the accuracy of every model on every class, the class with the lowest mean first."""
    if not material.entrants:
        return []
    of_models = [tables.class_accuracies(entrant, len(material.classes)) for entrant in material.entrants]
    rows = []
    for name, accuracies in zip(material.classes, zip(*of_models, strict=True), strict=True):
        marks = [
            (entrant.index, entrant.name, accuracy)
            for entrant, accuracy in zip(material.entrants, accuracies, strict=True)
            if accuracy is not None
        ]
        if marks:
            rows.append(Row(name, tuple(marks)))
    return sorted(rows, key=lambda row: float(np.mean([accuracy.mean for _, _, accuracy in row.marks])))
