"""Stacked bars: what durations are made of, one bar below the other on the same axis."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from photofinish.report import wording
from photofinish.report.figures.curves import time_axis
from photofinish.report.figures.svg import Scale, drawing, element, hover_points, label, line
from photofinish.report.names import printable, shortened

TOP, ROW, BAR, AXIS = 6.0, 56.0, 20.0, 24.0
LEAST_WIDTH = 1.0
"""A part that took any time at all is seen, if only as a line."""


@dataclass(frozen=True)
class Part:
    """A part of a duration.

    Attributes:
        kind: Class that gives it the colour of its meaning.
        label: What it is.
        seconds: How long it took.
    """

    kind: str
    label: str
    seconds: float


@dataclass(frozen=True)
class Bar:
    """A duration and its parts, in the order in which they are drawn.

    Attributes:
        index: The model's place, by which the reader may hide it.
        name: The model.
        parts: What it is made of.
    """

    index: int
    name: str
    parts: tuple[Part, ...]

    @property
    def seconds(self) -> float:
        """The whole."""
        return sum(part.seconds for part in self.parts)


def stacked_bars(bars: Sequence[Bar], title: str, what: str, *, wide: bool) -> Markup:
    """Draw durations, each with its name and its total above it.

    Args:
        bars: At least one.
        title: Short name, read by screen readers.
        what: What the axis measures.
        wide: For a wide page, or for a telephone.
    """
    width = 1180.0 if wide else 358.0
    axis, unit = time_axis(max(1e-3, *(bar.seconds for bar in bars)), what)
    left, right = 1.0, width - 12.0
    scale = Scale((0.0, axis.ticks[-1] * unit), (left, right))
    bottom = TOP + ROW * len(bars) - 8
    drawn = []
    for tick, text in zip(axis.ticks, axis.labels, strict=True):
        x = scale(tick * unit)
        drawn.append(line(x, TOP + 18, x, bottom, "grid"))
        drawn.append(label(x, bottom + 16, text, anchor="start" if tick == axis.ticks[0] else "middle"))
    drawn.append(label(right, bottom + 34, axis.title, "axis-title", "end"))
    shown: list[tuple[float, float | None, str, int]] = []
    reaches = []
    for place, bar in enumerate(bars):
        y = TOP + ROW * place
        inside = [
            label(left, y + 13, shortened(bar.name, 60 if wide else 30), "bar-name"),
            label(right, y + 13, wording.seconds(bar.seconds), "bar-total", "end"),
        ]
        for part, start, end in _placed(bar, scale):
            inside.append(element("rect", x=start, y=y + 20, width=end - start, height=BAR, class_=f"part {part.kind}"))
            share = wording.percent(part.seconds / bar.seconds)
            text = f"{printable(bar.name)}\n{part.label}: {wording.seconds(part.seconds)}, {share}"
            shown.append(((start + end) / 2, y + 20 + BAR / 2, text, bar.index))
            reaches.append((end - start) / 2)
        drawn.append(element("g", *inside, data_models=bar.index))
    spoken = "; ".join(
        f"{bar.name} took {wording.seconds(bar.seconds)}: "
        + ", ".join(f"{part.label} {wording.seconds(part.seconds)}" for part in bar.parts if part.seconds > 0)
        for bar in bars
    )
    height = bottom + AXIS + 10
    return drawing(width, height, title, spoken, *drawn, class_="bars", hover=hover_points(shown, reaches))


def key(kind: str) -> Markup:
    """Return the key of a kind of part for a legend."""
    rect = element("rect", x=0, y=1, width=12, height=12, class_=f"part {kind}")
    return element("svg", rect, viewBox="0 0 12 14", width=12, height=14, class_="swatch", aria_hidden="true")


def _placed(bar: Bar, scale: Scale) -> list[tuple[Part, float, float]]:
    """Return the parts that took any time, each with its ends; a thin line of ground keeps neighbours apart."""
    found, before = [], 0.0
    for part in bar.parts:
        if part.seconds > 0:
            start, end = scale(before), scale(before + part.seconds)
            gap = 1.0 if end - start > 3 else 0.0
            found.append((part, start, max(end - gap, start + LEAST_WIDTH)))
        before += part.seconds
    return found
