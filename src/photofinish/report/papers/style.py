"""How plots for papers look: the page's own colours, dashes and markers, on white."""

from __future__ import annotations

import re
from importlib.resources import files
from typing import Any

from photofinish.report.figures.svg import DASHES, MARKERS, MODEL_STYLES

# What the page's markers are called here.
_MARKERS = {
    "circle": "o",
    "square": "s",
    "diamond": "D",
    "triangle": "^",
    "cross": "P",
    "inverted": "v",
    "bar": "d",
}
# Type 42 is embedded as outlines that editors can read; journals refuse the default, type 3. Numbers for names of
# elements come from a fixed salt, so that the same study gives the same file.
SETTINGS: Any = {
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlesize": "medium",
    "figure.constrained_layout.use": True,
    "figure.dpi": 100,
    "font.family": "DejaVu Sans",
    "font.size": 9,
    "grid.linewidth": 0.6,
    "legend.frameon": False,
    "pdf.fonttype": 42,
    "savefig.dpi": 300,
    "svg.hashsalt": "photofinish",
    # A class may be called $x$; names are texts, not formulas.
    "text.parse_math": False,
}


def colours() -> dict[str, str]:
    """Return the page's colours in its light theme by their names in the style sheet.

    Examples:
        >>> sorted(colours())[:3]
        ['amber', 'c0', 'c1']
    """
    sheet = (files("photofinish.report") / "static" / "report.css").read_text(encoding="utf-8")
    light = sheet.partition(":root {")[2].partition("}")[0]
    return dict(re.findall(r"--([a-z0-9]+):\s*(#[0-9a-f]{6})", light))


def line_style(index: int) -> dict[str, Any]:
    """Return colour, dash and marker of a model by its place, as on the page.

    Args:
        index: Its place among the compared models.
    """
    pattern = [float(length) for length in DASHES[index % len(DASHES)].split()]
    return {
        "color": colours()[f"c{index % MODEL_STYLES}"],
        "linestyle": (0, pattern) if pattern else "solid",
        "marker": _MARKERS[MARKERS[index % len(MARKERS)]],
    }
