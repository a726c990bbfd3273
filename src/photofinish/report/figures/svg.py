"""Scales, ticks and elements: what every figure is built from.

Every text and every attribute passes through `element` or `label`, which escape it; figures never paste names
into markup themselves.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

from photofinish.report.names import printable

MODEL_STYLES = 8
"""Number of colours in the style sheet; dashes and markers repeat after other numbers."""
DASHES = ("", "7 3", "2 3", "9 3 2 3", "4 2")
MARKERS = ("circle", "square", "diamond", "triangle", "cross", "inverted", "bar")
Points = Sequence[tuple[float, float]]


@dataclass(frozen=True)
class Scale:
    """A linear map from values to pixels.

    Examples:
        >>> Scale((0.0, 1.0), (100.0, 0.0))(0.25)
        75.0
    """

    domain: tuple[float, float]
    pixels: tuple[float, float]

    def __call__(self, value: float) -> float:
        """Return the position of a value, which may lie outside the domain."""
        (low, high), (start, end) = self.domain, self.pixels
        return start + (end - start) * (value - low) / (high - low)


def element(tag: str, *content: Markup, **attributes: object) -> Markup:
    """Return an SVG element.

    Args:
        tag: Its name.
        content: Markup inside it.
        attributes: Numbers are rounded to a tenth of a pixel; `class_` and `stroke_width` become `class` and
            `stroke-width`.

    Examples:
        >>> element("circle", cx=1.2345, r=2, class_='dot "m0"')
        Markup('<circle cx="1.2" r="2" class="dot &#34;m0&#34;"/>')
    """
    written = Markup("").join(
        Markup(' {}="{}"').format(name.rstrip("_").replace("_", "-"), _attribute(value))
        for name, value in attributes.items()
    )
    if not content:
        return Markup("<{}{}/>").format(tag, written)
    return Markup("<{}{}>{}</{}>").format(tag, written, Markup("").join(content), tag)


def label(x: float, y: float, text: str, class_: str = "tick", anchor: str = "start", **more: object) -> Markup:
    """Return a text at a position; the text may come from anywhere."""
    return element("text", escape(printable(text)), x=x, y=y, class_=class_, text_anchor=anchor, **more)


def line(x1: float, y1: float, x2: float, y2: float, class_: str) -> Markup:
    """Return a straight line."""
    return element("line", x1=x1, y1=y1, x2=x2, y2=y2, class_=class_)


def path(points: Points, x: Scale, y: Scale, class_: str, **more: object) -> Markup:
    """Return a line through points given in the units of the scales."""
    steps = " ".join(f"{'L' if place else 'M'}{x(a):.1f},{y(b):.1f}" for place, (a, b) in enumerate(points))
    if len(points) == 1:
        # A lone point has no line; a zero-length stroke with round ends is drawn as a dot.
        steps += "h0.01"
    return element("path", d=steps, class_=class_, **more)


def drawing(
    width: float,
    height: float,
    title: str,
    description: str,
    *content: Markup,
    class_: str = "",
    hover: str = "",
) -> Markup:
    """Return a whole figure with its alternative text.

    Args:
        width: Natural width in CSS pixels; it shrinks with its container.
        height: Natural height.
        title: Short name, read by screen readers.
        description: What it shows, in words.
        content: The drawing.
        class_: Class of the `svg` element.
        hover: JSON for the script, from `hover_points`.
    """
    more = {"data_hover": hover, "tabindex": 0} if hover else {}
    return element(
        "svg",
        *content,
        viewBox=f"0 0 {width:g} {height:g}",
        width=width,
        height=height,
        role="img",
        preserveAspectRatio="xMinYMin slice",
        aria_label=f"{printable(title)}. {printable(description)}",
        class_=f"figure {class_}".strip(),
        **more,
    )


def hover_points(
    points: Sequence[tuple[float, float | None, str] | tuple[float, float | None, str, int]],
    reaches: Sequence[float] = (),
) -> str:
    """Return the JSON of hover texts for `drawing`.

    Args:
        points: Position (no `y`: at any height), text and, where the reader may hide models, the place of the model it
            belongs to.
        reaches: For each point, of a model, half the width of what it stands for: the pointer may be anywhere on it.
    """
    rows = [[round(x, 1), None if y is None else round(y, 1), *rest] for x, y, *rest in points]
    for row, reach in zip(rows, reaches, strict=False):
        row.append(round(reach, 1))
    return json.dumps(rows, ensure_ascii=False, separators=(",", ":"))


def model_class(index: int) -> str:
    """Return the class that gives a model its colour.

    Examples:
        >>> model_class(9)
        'm1'
    """
    return f"m{index % MODEL_STYLES}"


def marker(index: int, x: float, y: float, radius: float = 4.0) -> Markup:
    """Return a model's marker: its shape is the second cue beside its colour."""
    class_ = f"dot {model_class(index)}"
    shape, r = MARKERS[index % len(MARKERS)], radius
    outlines = {
        "square": ((-0.9, -0.9), (0.9, -0.9), (0.9, 0.9), (-0.9, 0.9)),
        "diamond": ((0, -1.3), (1.3, 0), (0, 1.3), (-1.3, 0)),
        "triangle": ((0, -1.2), (1.2, 0.9), (-1.2, 0.9)),
        "inverted": ((0, 1.2), (1.2, -0.9), (-1.2, -0.9)),
        "bar": ((-0.5, -1.3), (0.5, -1.3), (0.5, 1.3), (-0.5, 1.3)),
        "cross": (
            *((-1.2, -0.4), (-0.4, -0.4), (-0.4, -1.2), (0.4, -1.2), (0.4, -0.4), (1.2, -0.4)),
            *((1.2, 0.4), (0.4, 0.4), (0.4, 1.2), (-0.4, 1.2), (-0.4, 0.4), (-1.2, 0.4)),
        ),
    }
    if shape == "circle":
        return element("circle", cx=x, cy=y, r=r, class_=class_)
    points = " ".join(f"{x + r * dx:.1f},{y + r * dy:.1f}" for dx, dy in outlines[shape])
    return element("polygon", points=points, class_=class_)


def swatch(index: int) -> Markup:
    """Return the key of a model: its line with its marker."""
    stroke = element("line", x1=1, y1=7, x2=27, y2=7, class_=f"mean {model_class(index)}", **dash(index))
    return element(
        "svg",
        stroke,
        marker(index, 14, 7),
        viewBox="0 0 28 14",
        width=28,
        height=14,
        class_="swatch",
        aria_hidden="true",
    )


def dash(index: int) -> dict[str, object]:
    """Return the attribute that gives a model's lines their dash."""
    pattern = DASHES[index % len(DASHES)]
    return {"stroke_dasharray": pattern} if pattern else {}


def ticks(low: float, high: float, count: int = 5) -> list[float]:
    """Return round numbers that enclose a range: about `count` of them, in steps of 1, 2, 2.5 or 5.

    Examples:
        >>> ticks(0.81, 0.93, 4)
        [0.8, 0.85, 0.9, 0.95]
        >>> ticks(3, 3)
        [2.9, 2.95, 3.0, 3.05, 3.1]
    """
    if high <= low:
        half = abs(low) / 30 or 0.5
        low, high = low - half, high + half
    raw = (high - low) / max(1, count - 1)
    power = 10 ** math.floor(math.log10(raw))
    step = next(factor * power for factor in (1, 2, 2.5, 5, 10) if factor * power >= raw * 0.999)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [round(number * step, 12) for number in range(first, last + 1)]


def tick_label(value: float, step: float) -> str:
    """Return a tick's number with as many decimals as its step needs.

    Examples:
        >>> tick_label(0.5, 0.25), tick_label(20, 10)
        ('0.50', '20')
    """
    decimals = max(0, -math.floor(math.log10(step) + 1e-9))
    if abs(round(step * 10**decimals) - step * 10**decimals) > 1e-6:
        decimals += 1
    return f"{value:,.{decimals}f}".replace("-", "\u2212")


def _attribute(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.1f}".removesuffix(".0")
    return printable(str(value))
