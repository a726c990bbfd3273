"""Dot-and-interval strips: one per row of a table, all on the same axis."""

from __future__ import annotations

from collections.abc import Sequence

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
from photofinish.study.results import Estimate, ModelResult, PairResult

WIDTH, HEIGHT, PADDING = 210.0, 42.0, 14.0
"""The lowest part of a strip holds its tick labels; it is cut off where the table has an axis of its own."""
MIDDLE = 13.0


def accuracy_ticks(models: Sequence[ModelResult]) -> list[float]:
    """Return the common ticks, in per cent, of all accuracies with their intervals and seeds."""
    ends = [
        end
        for model in models
        for end in (model.test_accuracy.low, model.test_accuracy.high, *model.test_accuracy.per_seed)
    ]
    return _percent_ticks(min(ends), max(ends), 0, 100)


def difference_ticks(pairs: Sequence[PairResult]) -> list[float]:
    """Return the common ticks, in percentage points, of all differences; zero is always among them."""
    ends = [0.0, *(end for pair in pairs for end in (pair.low, pair.high, pair.difference))]
    return _percent_ticks(min(ends), max(ends), -100, 100)


def _percent_ticks(low: float, high: float, least: float, most: float) -> list[float]:
    return [tick for tick in ticks(100 * low, 100 * high, 4) if least <= tick <= most]


def accuracy_strip(index: int, name: str, accuracy: Estimate, axis: Sequence[float]) -> Markup:
    """Draw a model's mean accuracy, its interval and every seed.

    Args:
        index: The model's place, which decides colour and marker.
        name: The model.
        accuracy: Shares between 0 and 1.
        axis: Ticks in per cent.
    """
    scale = _scale(axis)
    interval = wording.interval_percent(accuracy.low, accuracy.high)
    text = f"{wording.percent(accuracy.mean)}, 95% interval {interval}"
    seeds = [
        element("circle", cx=scale(100 * value), cy=MIDDLE + 9, r=2, class_=f"seed {model_class(index)}")
        for value in accuracy.per_seed
    ]
    shown = [(scale(100 * accuracy.mean), None, text)]
    shown += [(scale(100 * value), None, f"one seed: {wording.percent(value)}") for value in accuracy.per_seed]
    return drawing(
        WIDTH,
        HEIGHT,
        f"Test accuracy of {name}",
        f"{text}; seeds: {', '.join(map(wording.percent, accuracy.per_seed))}",
        _grid(axis, scale),
        _interval(scale(100 * accuracy.low), scale(100 * accuracy.high), model_class(index)),
        *seeds,
        marker(index, scale(100 * accuracy.mean), MIDDLE, 4.5),
        class_="strip",
        hover=hover_points(shown),
    )


def difference_strip(pair: PairResult, winner: int | None, axis: Sequence[float]) -> Markup:
    """Draw the difference of a pair with its interval and the line of no difference.

    Args:
        pair: The pair.
        winner: Place of the more accurate model, or None when the pair is undecided: the dot is then hollow.
        axis: Ticks in percentage points.
    """
    scale = _scale(axis)
    interval = wording.interval_points(pair.low, pair.high)
    text = f"{wording.points(pair.difference)} points, 95% interval {interval}"
    zero = line(scale(0), 0, scale(0), 26, "zero")
    at = scale(100 * pair.difference)
    dot = (
        element("circle", cx=at, cy=MIDDLE, r=4.2, class_="hollow")
        if winner is None
        else marker(winner, at, MIDDLE, 4.5)
    )
    return drawing(
        WIDTH,
        HEIGHT,
        f"Difference between {pair.a} and {pair.b}",
        text,
        _grid(axis, scale),
        zero,
        _interval(scale(100 * pair.low), scale(100 * pair.high), "ink" if winner is None else model_class(winner)),
        dot,
        class_="strip",
        hover=hover_points([(at, None, text)]),
    )


def strip_axis(axis: Sequence[float], unit: str) -> Markup:
    """Draw the axis that a column of strips shares.

    Args:
        axis: Ticks.
        unit: Written after the last tick's number.
    """
    scale = _scale(axis)
    return drawing(WIDTH, 16, "Axis", unit, *_tick_labels(axis, scale, 12, unit), class_="strip-head")


def _scale(axis: Sequence[float]) -> Scale:
    return Scale((axis[0], axis[-1]), (PADDING, WIDTH - PADDING))


def _tick_labels(axis: Sequence[float], scale: Scale, y: float, unit: str = "") -> list[Markup]:
    step = axis[1] - axis[0]
    texts = [tick_label(tick, step) for tick in axis]
    texts[-1] += unit
    return [label(scale(tick), y, text, anchor="middle") for tick, text in zip(axis, texts, strict=True)]


def _grid(axis: Sequence[float], scale: Scale) -> Markup:
    lines = [line(scale(tick), 0, scale(tick), 26, "grid") for tick in axis]
    return element("g", *lines, *_tick_labels(axis, scale, 39))


def _interval(low: float, high: float, class_: str) -> Markup:
    ends = [line(x, MIDDLE - 3, x, MIDDLE + 3, f"interval {class_}") for x in (low, high)]
    return element("g", line(low, MIDDLE, high, MIDDLE, f"interval {class_}"), *ends)
