"""Accuracy by class: one row a class, one interval a model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from photofinish.report import wording
from photofinish.report.figures.svg import (
    Scale,
    drawing,
    element,
    hover_points,
    label,
    line,
    marker,
    model_class,
    tick_label,
    ticks,
)
from photofinish.report.names import printable, shortened
from photofinish.study.results import Estimate

LINE = 13.0
"""Height of one model's interval."""
GAP = 9.0
TOP = 24.0


@dataclass(frozen=True)
class Row:
    """A class.

    Attributes:
        name: The class.
        marks: Place, name and accuracy of every model.
    """

    name: str
    marks: tuple[tuple[int, str, Estimate], ...]


def class_chart(rows: Sequence[Row], *, wide: bool) -> Markup:
    """Draw the accuracy of every model on every class with its interval.

    Args:
        rows: The classes from the top; at least one.
        wide: Use the width of a large screen.
    """
    width, letters = (780.0, 22) if wide else (358.0, 13)
    left = max(88.0, 16 + 7.0 * max(len(shortened(row.name, letters)) for row in rows))
    ends = [end for row in rows for _, _, accuracy in row.marks for end in (accuracy.low, accuracy.high)]
    axis = [tick for tick in ticks(100 * min(ends), 100 * max(ends), 6 if wide else 4) if 0 <= tick <= 100]
    x = Scale((axis[0], axis[-1]), (left, width - 14))
    bottom = TOP + sum(_height(row) for row in rows)
    parts = [label(left - 10, TOP - 8, "accuracy, %", "axis-title", "end")]
    for tick in axis:
        parts.append(line(x(tick), TOP - 4, x(tick), bottom, "grid"))
        parts.append(label(x(tick), TOP - 8, tick_label(tick, axis[1] - axis[0]), anchor="middle"))
    shown: list[tuple[float, float | None, str, int]] = []
    top = TOP
    for row in rows:
        parts.append(label(left - 10, top + _height(row) / 2 + 1, shortened(row.name, letters), "class", "end"))
        for place, (index, name, accuracy) in enumerate(row.marks):
            y = top + GAP / 2 + (place + 0.5) * LINE
            parts.append(element("g", *_mark(index, accuracy, x, y), data_models=index))
            interval = wording.interval_percent(accuracy.low, accuracy.high)
            text = (
                f"{printable(row.name)}, {printable(name)}\n{wording.percent(accuracy.mean)}, 95% interval {interval}"
            )
            shown.append((x(100 * accuracy.mean), y, text, index))
        top += _height(row)
        parts.append(line(0, top, width, top, "grid"))
    lowest = rows[0]
    means = ", ".join(f"{name} {wording.percent(accuracy.mean)}" for _, name, accuracy in lowest.marks)
    description = f"{len(rows)} classes, the hardest first: {lowest.name} ({means})"
    return drawing(
        width, bottom + 2, "Accuracy by class", description, *parts, class_="by-class", hover=hover_points(shown)
    )


def _height(row: Row) -> float:
    return GAP + LINE * len(row.marks)


def _mark(index: int, accuracy: Estimate, x: Scale, y: float) -> list[Markup]:
    class_ = model_class(index)
    low, high = x(100 * accuracy.low), x(100 * accuracy.high)
    seeds = [element("circle", cx=x(100 * value), cy=y, r=1.8, class_=f"seed {class_}") for value in accuracy.per_seed]
    return [
        line(low, y, high, y, f"interval {class_}"),
        *(seeds if len(seeds) > 1 else []),
        marker(index, x(100 * accuracy.mean), y, 4.0),
    ]
