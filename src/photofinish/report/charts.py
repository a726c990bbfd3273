"""From training histories to line charts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import chain
from statistics import fmean

import numpy as np
from markupsafe import Markup

from photofinish.report.figures.curves import (
    Axis,
    Series,
    comparison,
    epoch_axis,
    number_axis,
    time_axis,
    training_panels,
)
from photofinish.report.figures.svg import Points
from photofinish.report.material import Entrant, Material
from photofinish.runs import EpochRecord

History = Sequence[EpochRecord]


def accuracy_by_epoch(material: Material, *, wide: bool) -> Markup | None:
    """Draw validation accuracy after every epoch, or nothing when no cell has a history."""
    series = series_of(material, lambda epoch: float(epoch.epoch))
    if not series:
        return None
    epochs = int(max(across for one in series for across, _ in one.mean))
    return comparison(series, epoch_axis(epochs), _accuracy_axis(series), wide=wide)


def accuracy_by_time(material: Material, *, wide: bool) -> Markup | None:
    """Draw validation accuracy against training seconds.

    Returns:
        The chart, or nothing when no cell has a history, or when the models were not timed on the same machine.
    """
    if not material.is_timed_alike:
        return None
    longest = max((epoch.elapsed_seconds for epoch in all_epochs(material)), default=0.0)
    axis, unit = time_axis(max(longest, 1e-3))
    series = series_of(material, lambda epoch: epoch.elapsed_seconds / unit, timed=True)
    return comparison(series, axis, _accuracy_axis(series), wide=wide) if series else None


def cell_panels(material: Material) -> list[tuple[int, str, str, Markup]]:
    """Draw training and validation curves of every finished cell.

    Returns:
        Place of the model, name of the cell, address of its metrics relative to the report, and drawing.
    """
    everything = list(all_epochs(material))
    if not everything:
        return []
    losses = [value for epoch in everything for value in (epoch.train_loss, epoch.validation_loss)]
    accuracies = [100 * value for epoch in everything for value in (epoch.train_accuracy, epoch.validation_accuracy)]
    axes = (
        epoch_axis(max(epoch.epoch for epoch in everything)),
        number_axis("loss", [0.0, min(max(losses), _usual(losses))], 4),
        number_axis("accuracy, %", [min(accuracies), max(accuracies)], 4, 100),
    )
    return [
        (
            entrant.index,
            one.cell.name,
            material.link(one.cell.folder, "metrics.jsonl"),
            _panel(entrant, one.cell.name, history, axes),
        )
        for entrant in material.entrants
        for one, history in zip(entrant.cells, entrant.epochs, strict=True)
        if history
    ]


def _usual(losses: Sequence[float]) -> float:
    """Return an upper end that the first epochs, when losses may be a hundred times the later ones, cannot move far."""
    return 3 * float(np.median(losses))


def _panel(entrant: Entrant, name: str, history: History, axes: tuple[Axis, Axis, Axis]) -> Markup:
    def curve(value_of: Callable[[EpochRecord], float]) -> Points:
        return [(float(epoch.epoch), value_of(epoch)) for epoch in history]

    loss = curve(lambda epoch: epoch.train_loss), curve(lambda epoch: epoch.validation_loss)
    accuracy = (
        curve(lambda epoch: 100 * epoch.train_accuracy),
        curve(lambda epoch: 100 * epoch.validation_accuracy),
    )
    return training_panels(entrant.index, name, loss, accuracy, axes)


def series_of(material: Material, across: Callable[[EpochRecord], float], *, timed: bool = False) -> list[Series]:
    """Return each model's validation accuracy in per cent; the mean ends with the shortest seed."""
    series = []
    for entrant in material.entrants:
        histories = [history for history in (entrant.timed_epochs if timed else entrant.epochs) if history]
        if not histories:
            continue
        seeds = tuple([(across(epoch), 100 * epoch.validation_accuracy) for epoch in history] for history in histories)
        mean = [(fmean(x for x, _ in points), fmean(y for _, y in points)) for points in zip(*seeds, strict=False)]
        series.append(Series(entrant.index, entrant.name, mean, seeds if len(seeds) > 1 else ()))
    return series


def _accuracy_axis(series: Sequence[Series]) -> Axis:
    values = [up for one in series for _, up in chain(one.mean, *one.seeds)]
    axis = number_axis("validation accuracy, %", values, 6, 100)
    return Axis(axis.title, axis.ticks, lambda value: f"{value:.1f}%")


def all_epochs(material: Material) -> list[EpochRecord]:
    """Return the training histories of all finished cells as one list."""
    return [epoch for entrant in material.entrants for history in entrant.epochs for epoch in history]
