"""Reliability diagrams: how often a model was right beside how sure it was."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

from photofinish.evaluation.calibration import ReliabilityBin
from photofinish.report import wording
from photofinish.report.figures.svg import (
    Scale,
    dash,
    drawing,
    element,
    hover_points,
    label,
    line,
    marker,
    model_class,
    path,
)

Bins = Sequence[ReliabilityBin | None]

WIDTH, HEIGHT = 358.0, 216.0
SIDE, TOP = 132.0, 22.0
LEFTS = (34.0, 218.0)
BARS = (190.0, 162.0)
"""Bottom and top of the bars that tell how many answers a bin has."""
AS_TRAINED, SCALED = "as trained", "with temperature"
TICKS = (0, 25, 50, 75, 100)


def reliability_diagram(index: int, name: str, before: Bins, after: Bins) -> Markup:
    """Draw accuracy against confidence of one model, as trained on the left and with its temperature on the right.

    Points below the diagonal are answers that were surer than right. Bars below tell how many answers each bin holds.

    Args:
        index: The model's place, which decides colour, dash and marker.
        name: The model.
        before: Bins of equal width of the predictions as they are.
        after: Likewise with the temperature.
    """
    panels, shown = [], []
    most = max(one.count for one in (*before, *after) if one)
    for bins, left, title in ((before, LEFTS[0], AS_TRAINED), (after, LEFTS[1], SCALED)):
        x, y = Scale((0.0, 1.0), (left, left + SIDE)), Scale((0.0, 1.0), (TOP + SIDE, TOP))
        panels += [_frame(x, y, title), _bars(index, bins, x, most), _points(index, bins, x, y)]
        shown += [
            (x(one.confidence), y(one.accuracy), f"{title}\n{_in_words(one, place, len(bins))}")
            for place, one in enumerate(bins)
            if one
        ]
    description = f"{AS_TRAINED}: {_gap(before)}; {SCALED}: {_gap(after)}"
    return drawing(
        WIDTH, HEIGHT, f"Reliability of {name}", description, *panels, class_="panels", hover=hover_points(shown)
    )


def _frame(x: Scale, y: Scale, title: str) -> Markup:
    left, right = x.pixels
    bottom, top = y.pixels
    parts = [label(right, top - 9, title, anchor="end")]
    if left == LEFTS[0]:
        # Both panels share this axis, and the second has no room for its title.
        parts.append(label(left - 30, top - 9, "accuracy, %", "axis-title"))
    for tick in TICKS:
        parts.append(line(left, y(tick / 100), right, y(tick / 100), "grid"))
        parts.append(label(left - 6, y(tick / 100) + 4, str(tick), anchor="end"))
    parts.append(line(left, bottom, right, top, "diagonal"))
    parts.append(line(left, bottom, right, bottom, "axis"))
    parts.append(line(left, BARS[0], right, BARS[0], "axis"))
    parts += [label(x(tick / 100), BARS[0] + 16, str(tick), anchor="middle") for tick in (0, 100)]
    parts.append(label((left + right) / 2, BARS[0] + 16, "confidence, %", "axis-title", "middle"))
    return element("g", *parts)


def _bars(index: int, bins: Bins, x: Scale, most: int) -> Markup:
    height = Scale((0.0, float(most)), (0.0, BARS[0] - BARS[1]))
    width = (x.pixels[1] - x.pixels[0]) / len(bins)
    bars = [
        element(
            "rect",
            x=x.pixels[0] + place * width + 0.5,
            y=BARS[0] - max(1.0, height(one.count)),
            width=width - 1,
            height=max(1.0, height(one.count)),
            class_=f"bar {model_class(index)}",
        )
        for place, one in enumerate(bins)
        if one
    ]
    return element("g", *bars)


def _points(index: int, bins: Bins, x: Scale, y: Scale) -> Markup:
    filled = [one for one in bins if one]
    class_ = model_class(index)
    curve = path([(one.confidence, one.accuracy) for one in filled], x, y, f"thin {class_}", **dash(index))
    intervals = [
        line(x(one.confidence), y(one.low), x(one.confidence), y(one.high), f"interval {class_}") for one in filled
    ]
    dots = [marker(index, x(one.confidence), y(one.accuracy), 3.5) for one in filled]
    return element("g", curve, *intervals, *dots)


def _in_words(one: ReliabilityBin, place: int, bins: int) -> str:
    answers = "1 answer" if one.count == 1 else f"{one.count:,} answers"
    interval = wording.interval_percent(one.low, one.high)
    return (
        f"{answers} {100 * place / bins:.0f} to {100 * (place + 1) / bins:.0f}% sure, on average "
        f"{wording.percent(one.confidence)}\nright {wording.percent(one.accuracy)}, 95% interval {interval}"
    )


def _gap(bins: Bins) -> str:
    """Say on average how sure the model was and how often it was right."""
    filled = [one for one in bins if one]
    total = sum(one.count for one in filled)
    confidence = sum(one.count * one.confidence for one in filled) / total
    accuracy = sum(one.count * one.accuracy for one in filled) / total
    return f"mean confidence {wording.percent(confidence)}, accuracy {wording.percent(accuracy)}"
