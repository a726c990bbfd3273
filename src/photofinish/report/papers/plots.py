"""Each plot: a pure function from a study to a figure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from photofinish.report.charts import all_epochs, series_of
from photofinish.report.figures.confusion import MOST_DRAWN, MOST_WITH_NUMBERS
from photofinish.report.figures.curves import Series, epoch_axis, time_axis
from photofinish.report.material import Entrant, Material
from photofinish.report.names import printable, shortened
from photofinish.report.papers.style import colours, line_style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# One column of a two-column paper, and the whole width of a page, in inches.
COLUMN, PAGE = 3.4, 7.0
LONGEST_NAME = 28
Plot = Callable[[Material], "Figure | None"]


def accuracy(material: Material) -> Figure | None:
    """Plot each model's test accuracy with its interval and seeds."""
    if not material.entrants:
        return None
    figure, axes = _figure(COLUMN, 0.7 + 0.32 * len(material.entrants))
    for place, entrant in enumerate(material.entrants):
        found, style = entrant.result.test_accuracy, line_style(entrant.index)
        axes.plot(
            [100 * found.low, 100 * found.high],
            [place, place],
            color=style["color"],
            linewidth=1.5,
            solid_capstyle="butt",
        )
        axes.plot(100 * found.mean, place, color=style["color"], marker=style["marker"], markersize=6)
        axes.plot(
            [100 * value for value in found.per_seed], [place + 0.22] * len(found.per_seed), linestyle="none",
            marker="o", markersize=2.6, markerfacecolor="none", color=style["color"], markeredgewidth=0.8,
        )  # fmt: skip
    _rows(axes, [shortened(entrant.name, LONGEST_NAME) for entrant in material.entrants])
    axes.set_xlabel("test accuracy, %")
    return figure


def differences(material: Material) -> Figure | None:
    """Plot every pair's difference in accuracy with its interval; undecided pairs are hollow."""
    pairs = material.results.pairs
    if not pairs:
        return None
    place_of = {entrant.name: entrant.index for entrant in material.entrants}
    ink = colours()["text"]
    figure, axes = _figure(COLUMN, 0.7 + 0.4 * len(pairs))
    axes.axvline(0, color=ink, linewidth=1)
    for row, pair in enumerate(pairs):
        winner = {"a": pair.a, "b": pair.b}.get(pair.verdict)
        style = line_style(place_of[winner]) if winner else {"color": ink, "marker": "o"}
        axes.plot([100 * pair.low, 100 * pair.high], [row, row], color=style["color"], linewidth=1.5)
        axes.plot(
            100 * pair.difference, row, color=style["color"], marker=style["marker"], markersize=6,
            markerfacecolor=style["color"] if winner else "white",
        )  # fmt: skip
    _rows(axes, [f"{shortened(pair.a, LONGEST_NAME)}\nminus {shortened(pair.b, LONGEST_NAME)}" for pair in pairs])
    axes.set_xlabel("difference in test accuracy, points")
    return figure


def accuracy_by_epoch(material: Material) -> Figure | None:
    """Plot validation accuracy after every epoch."""
    series = series_of(material, lambda epoch: float(epoch.epoch))
    figure = _curves(series, "epoch")
    if figure is not None:
        last = int(max(across for one in series for across, _ in one.mean))
        figure.axes[0].set_xticks([tick for tick in epoch_axis(last).ticks if tick <= last])
    return figure


def accuracy_by_time(material: Material) -> Figure | None:
    """Plot validation accuracy against training time, of models that were timed on the same machine."""
    if not material.is_timed_alike:
        return None
    longest = max((epoch.elapsed_seconds for epoch in all_epochs(material)), default=0.0)
    axis, unit = time_axis(max(longest, 1e-3))
    return _curves(series_of(material, lambda epoch: epoch.elapsed_seconds / unit, timed=True), axis.title)


def confusion_of(place: int) -> Plot:
    """Return the plot of one model's confusions, by its place."""

    def confusion(material: Material) -> Figure | None:
        if len(material.classes) > MOST_DRAWN:
            return None
        return _confusion(material.entrants[place], material.classes)

    return confusion


def _confusion(entrant: Entrant, classes: Sequence[str]) -> Figure:
    counts = entrant.confusions
    shares = 100 * counts / np.maximum(1, counts.sum(axis=1, keepdims=True))
    side = COLUMN if len(classes) <= MOST_WITH_NUMBERS // 2 else PAGE
    figure, axes = _figure(side, side)
    axes.spines[:].set_visible(False)
    # As on the page the shade follows the root of the share, so that rare confusions are seen.
    axes.imshow(np.sqrt(shares / 100), cmap="Blues", vmin=0, vmax=1)
    names = [shortened(name, LONGEST_NAME) for name in classes]
    size = min(9.0, 72 * 0.72 * side / (1.6 * len(classes)))
    axes.set_xticks(range(len(classes)), names, rotation=90, fontsize=size)
    axes.set_yticks(range(len(classes)), names, fontsize=size)
    axes.tick_params(length=0)
    axes.set_xlabel("predicted class")
    axes.set_ylabel("true class")
    axes.set_title(printable(entrant.name))
    if len(classes) <= MOST_WITH_NUMBERS:
        for row, column in np.argwhere(counts).tolist():
            share = shares[row, column]
            text = "<1" if share < 0.5 else f"{share:.0f}"
            colour = "white" if share > 45 else "black"
            axes.text(column, row, text, ha="center", va="center", fontsize=0.85 * size, color=colour)
    return figure


def _curves(series: Sequence[Series], title: str) -> Figure | None:
    if not series:
        return None
    figure, axes = _figure(COLUMN, 0.75 * COLUMN)
    for one in series:
        style = line_style(one.index)
        for seed in one.seeds:
            axes.plot(*zip(*seed, strict=True), color=style["color"], linewidth=0.6, alpha=0.5)
        axes.plot(
            *zip(*one.mean, strict=True), **style, markevery=[-1], markersize=5, linewidth=1.5,
            label=shortened(one.name, LONGEST_NAME),
        )  # fmt: skip
    axes.grid(color=colours()["grid"])
    axes.set_axisbelow(True)
    axes.set_xlabel(title)
    axes.set_ylabel("validation accuracy, %")
    axes.legend(fontsize="small")
    return figure


def _rows(axes: Axes, names: Sequence[str]) -> None:
    """Label the rows of a plot, the first above."""
    axes.set_yticks(
        range(len(names)), ["\n".join(shortened(part, LONGEST_NAME) for part in n.split("\n")) for n in names]
    )
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.spines["left"].set_visible(False)
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="x", color=colours()["grid"])
    axes.set_axisbelow(True)


def _figure(width: float, height: float) -> tuple[Figure, Axes]:
    """Return an empty figure, in inches; it belongs to no window and needs not be closed."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height))
    return figure, figure.add_subplot()
