"""Confusion matrices as heat maps that stay readable from two classes to a hundred."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from photofinish.report.figures.svg import drawing, element, label, line
from photofinish.report.names import printable, shortened

MOST_WITH_NUMBERS = 20
STEPS = 10
"""Shades of the heat map; the shade follows the root of the share, so that rare confusions are seen."""


def heat_map(name: str, counts: NDArray[np.int64], classes: Sequence[str]) -> Markup:
    """Draw a confusion matrix, every row as shares of its true class.

    Up to 20 classes carry names and per cent in their cells; more are drawn as small squares that tell their
    names and counts when pointed at.

    Args:
        name: The model.
        counts: Rows true, columns predicted, shape (classes, classes).
        classes: Class names in label order.
    """
    right = np.trace(counts) / max(1, counts.sum())
    description = f"{len(classes)} classes; {right:.1%} on the diagonal. The most confused pairs are listed beside."
    few = len(classes) <= MOST_WITH_NUMBERS
    kind = "dense" if not few else "numbered small" if len(classes) <= 10 else "numbered"
    width, height, parts = (_with_numbers if few else _without_numbers)(counts, classes)
    names = json.dumps([printable(one) for one in classes], ensure_ascii=False, separators=(",", ":"))
    grid = element("g", *parts, data_classes=names)
    return drawing(width, height, f"Confusion matrix of {name}", description, grid, class_=f"matrix {kind}")


def _with_numbers(counts: NDArray[np.int64], classes: Sequence[str]) -> tuple[float, float, list[Markup]]:
    longest = max(len(shortened(one, 14)) for one in classes)
    # The axis' own title stands left of the first column's name.
    side, left = (37.0 if len(classes) <= 10 else 32.0), max(74.0, 22 + 7.0 * longest)
    # Short names stand upright over their columns; longer ones are turned.
    turned = longest * 7.0 > side
    top = 26 + (5.4 * longest if turned else 14.0)
    parts = [
        label(left, 12, "predicted class", "axis-title"),
        label(0, top - 8, "true class", "axis-title"),
    ]
    for position, one in enumerate(classes):
        middle = (position + 0.5) * side
        parts.append(label(left - 8, top + middle + 4, shortened(one, 14), "tick", "end"))
        parts.append(_column_name(left + middle, top - 7, shortened(one, 14), turned=turned))
    parts += _cells(counts, left, top, side, numbers=True)
    extent = side * len(classes)
    # The last turned name leans out over the right edge.
    lean = 5.0 * longest if turned else 0.0
    return left + extent + max(2.0, lean - side / 2), top + extent + 2, parts


def _column_name(x: float, y: float, text: str, *, turned: bool) -> Markup:
    if not turned:
        return label(x, y, text, "tick", "middle")
    return label(x, y, text, "tick", "start", transform=f"rotate(-45 {x:.1f} {y:.1f})")


def _without_numbers(counts: NDArray[np.int64], classes: Sequence[str]) -> tuple[float, float, list[Markup]]:
    side = max(3.0, math.floor(560 / len(classes)))
    extent, left, top = side * len(classes), 22.0, 22.0
    parts = [
        label(left, 12, "predicted class, in the order of the labels", "axis-title"),
        label(10, top, "true class", "axis-title", "end", transform=f"rotate(-90 10 {top:g})"),
        element("rect", x=left, y=top, width=extent, height=extent, class_="plate"),
        *_cells(counts, left, top, side, numbers=False),
    ]
    tenth = 10 * side
    for place in range(1, (len(classes) - 1) // 10 + 1):
        parts.append(line(left + place * tenth, top, left + place * tenth, top + extent, "grid"))
        parts.append(line(left, top + place * tenth, left + extent, top + place * tenth, "grid"))
    return left + extent + 2, top + extent + 2, parts


def _cells(counts: NDArray[np.int64], left: float, top: float, side: float, *, numbers: bool) -> list[Markup]:
    """Draw every cell that holds something; empty ones stay blank."""
    totals = np.maximum(1, counts.sum(axis=1))
    gap = 1.0 if numbers else 0.0
    parts = []
    for row, column in np.argwhere(counts | numbers).tolist():
        share = float(counts[row, column] / totals[row])
        kind = "hit" if row == column else "miss"
        x, y = left + column * side, top + row * side
        parts.append(
            element(
                "rect",
                x=x,
                y=y,
                width=side - gap,
                height=side - gap,
                class_=f"{kind} s{math.ceil(STEPS * math.sqrt(share))}",
                data_c=f"{row},{column},{counts[row, column]},{totals[row]}",
            )
        )
        if numbers and share > 0:
            strong = math.ceil(STEPS * math.sqrt(share))
            class_ = f"share {kind} t{strong}"
            parts.append(label(x + side / 2, y + side / 2 + 4, _share_label(share), class_, "middle"))
    return parts


def _share_label(share: float) -> str:
    return "<1" if share < 0.005 else f"{100 * share:.0f}"


def most_confused(
    counts: NDArray[np.int64], classes: Sequence[str], most: int = 8
) -> list[tuple[str, str, int, float]]:
    """Return the most frequent confusions: true class, predicted class, count and share of the true class.

    Args:
        counts: Rows true, columns predicted, shape (classes, classes).
        classes: Class names in label order.
        most: How many.

    Examples:
        >>> most_confused(np.array([[8, 2], [0, 9]]), ["cat", "dog"])
        [('cat', 'dog', 2, 0.2)]
    """
    wrong = counts - np.diag(np.diag(counts))
    totals = counts.sum(axis=1)
    order = np.argsort(-wrong, axis=None, kind="stable")[:most]
    places = [divmod(int(place), len(classes)) for place in order]
    return [
        (classes[row], classes[column], int(wrong[row, column]), float(wrong[row, column] / totals[row]))
        for row, column in places
        if wrong[row, column]
    ]
