"""Confusion matrices as heat maps: with numbers up to twenty classes, as small squares up to two hundred."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from photofinish.report.figures.svg import drawing, element, label
from photofinish.report.names import printable, shortened

MOST_WITH_NUMBERS = 20
MOST_DRAWN = 200
"""Of more classes the squares would be smaller than three pixels."""
LEAST_SIDE = 3.0
STEPS = 10
"""Shades of the heat map; the shade follows the root of the share, so that rare confusions are seen."""


def heat_map(
    name: str,
    counts: NDArray[np.int64],
    classes: Sequence[str],
    totals: NDArray[np.int64] | None = None,
) -> Markup:
    """Draw a confusion matrix with names and per cent in its cells, every row as shares of its true class.

    Args:
        name: The model.
        counts: Rows true, columns predicted, shape (classes, classes); at most 20 classes can be read.
        classes: Class names in the order of the rows.
        totals: Pictures of each class where the matrix is part of a larger one, shape (classes,).
    """
    right = np.trace(counts) / max(1, counts.sum())
    where = "on the diagonal" if totals is None else "of these on the diagonal"
    description = f"{len(classes)} classes; {right:.1%} {where}. The most confused pairs are listed beside."
    width, height, parts = _with_numbers(
        counts, np.maximum(1, counts.sum(axis=1) if totals is None else totals), classes
    )
    names = json.dumps([printable(one) for one in classes], ensure_ascii=False, separators=(",", ":"))
    kind = "numbered small" if len(classes) <= 10 else "numbered"
    grid = element("g", *parts, data_classes=names)
    return drawing(width, height, f"Confusion matrix of {name}", description, grid, class_=f"matrix {kind}")


def dense_map(
    name: str,
    counts: NDArray[np.int64],
    classes: Sequence[str],
    order: Sequence[int],
    groups: Sequence[Sequence[int]],
) -> Markup:
    """Draw a confusion matrix of many classes as small squares, which tell their names and counts when pointed at.

    Squares of one shade are one path: a square as an element of its own would take ten times the space.

    Args:
        name: The model.
        counts: Rows true, columns predicted, in label order, shape (classes, classes).
        classes: Class names in label order.
        order: The classes as they are to stand in the matrix.
        groups: Runs of that order to be outlined and numbered.
    """
    sorted_counts = counts[np.ix_(order, order)]
    totals = np.maximum(1, sorted_counts.sum(axis=1))
    side = max(LEAST_SIDE, math.floor(560 / len(order)))
    extent, left, top = side * len(order), 22.0, 22.0
    parts = [
        label(left, 12, "predicted class", "axis-title"),
        label(10, top, "true class", "axis-title", "end", transform=f"rotate(-90 10 {top:g})"),
        element("rect", x=left, y=top, width=extent, height=extent, class_="plate"),
        *_shades(sorted_counts, totals, left, top, side),
        *_outlines([(order.index(group[0]), len(group)) for group in groups], left, top, side, left + extent),
        element("rect", x=0, y=0, width=side, height=side, class_="pointed", visibility="hidden"),
    ]
    rows, columns = np.nonzero(sorted_counts)
    cells = np.column_stack([rows, columns, sorted_counts[rows, columns]])
    told = {
        "names": [printable(classes[label]) for label in order],
        "totals": totals.tolist(),
        "left": left,
        "top": top,
        "side": side,
        "cells": cells.ravel().tolist(),
    }
    right = np.trace(counts) / max(1, counts.sum())
    return drawing(
        left + extent + 2,
        top + extent + 2,
        f"Confusion matrix of {name}",
        f"{len(order)} classes, those that are confused side by side; {right:.1%} on the diagonal. The most confused "
        "pairs are listed beside, the groups below.",
        element("g", *parts, data_cells=json.dumps(told, ensure_ascii=False, separators=(",", ":"))),
        class_="matrix dense",
    )


def _shades(counts: NDArray[np.int64], totals: NDArray[np.int64], left: float, top: float, side: float) -> list[Markup]:
    """Draw every cell that holds something, one path for each kind and shade."""
    squares: dict[str, list[str]] = {}
    for row, column in np.argwhere(counts).tolist():
        class_ = _shade("hit" if row == column else "miss", float(counts[row, column] / totals[row]))
        place = f"M{left + column * side:g} {top + row * side:g}h{side:g}v{side:g}h-{side:g}z"
        squares.setdefault(class_, []).append(place)
    return [element("path", d="".join(places), class_=class_) for class_, places in squares.items()]


def _outlines(runs: Sequence[tuple[int, int]], left: float, top: float, side: float, end: float) -> list[Markup]:
    parts = []
    for number, (first, members) in enumerate(runs, start=1):
        x, y, extent = left + first * side, top + first * side, members * side
        parts.append(element("rect", x=x, y=y, width=extent, height=extent, class_="outline"))
        # On the side where there is room.
        fits = x + extent + 14 < end
        at, anchor = (x + extent + 4, "start") if fits else (x - 4, "end")
        parts.append(label(at, y + extent / 2 + 4, str(number), "group", anchor))
    return parts


def _shade(kind: str, share: float) -> str:
    return f"{kind} s{math.ceil(STEPS * math.sqrt(share))}"


def _with_numbers(
    counts: NDArray[np.int64], totals: NDArray[np.int64], classes: Sequence[str]
) -> tuple[float, float, list[Markup]]:
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
    parts += _cells(counts, totals, left, top, side)
    extent = side * len(classes)
    # The last turned name leans out over the right edge.
    lean = 5.0 * longest if turned else 0.0
    return left + extent + max(2.0, lean - side / 2), top + extent + 2, parts


def _column_name(x: float, y: float, text: str, *, turned: bool) -> Markup:
    if not turned:
        return label(x, y, text, "tick", "middle")
    return label(x, y, text, "tick", "start", transform=f"rotate(-45 {x:.1f} {y:.1f})")


def _cells(counts: NDArray[np.int64], totals: NDArray[np.int64], left: float, top: float, side: float) -> list[Markup]:
    """Draw every cell, with its per cent where it holds something."""
    parts = []
    for (row, column), count in np.ndenumerate(counts):
        share = float(count / totals[row])
        kind = "hit" if row == column else "miss"
        x, y = left + column * side, top + row * side
        told = f"{row},{column},{count},{totals[row]}"
        parts.append(
            element("rect", x=x, y=y, width=side - 1, height=side - 1, class_=_shade(kind, share), data_c=told)
        )
        if share > 0:
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
