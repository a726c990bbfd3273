"""The report's tables as plain data, rendered as HTML by the page and as Markdown by the text."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from photofinish.evaluation.metrics import class_metrics, confusion_matrix
from photofinish.report import wording
from photofinish.report.material import Entrant, Material
from photofinish.report.verdict import more_work
from photofinish.runs import cell_name
from photofinish.storage.sizes import size
from photofinish.study.results import Estimate, ModelResult, PairResult, Results
from photofinish.study.statistics import mean_accuracy

MISSING = "\u2013"


@dataclass(frozen=True)
class Column:
    """A column's title, its unit or meaning in a few words, and whether it holds numbers."""

    title: str
    note: str = ""
    number: bool = True


@dataclass(frozen=True)
class Field:
    """What stands in one place of a table.

    Attributes:
        text: The main figure or word.
        detail: A second line, such as an interval.
        order: What the table is sorted by; None for words.
    """

    text: str
    detail: str = ""
    order: float | None = None


@dataclass(frozen=True)
class Table:
    """A table with its caption and the file that its figures come from, relative to the report."""

    caption: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Field, ...], ...]
    source: str


def models_table(material: Material) -> Table:
    """Return the measured figures of every model."""
    columns = (
        Column("Model", number=False),
        Column("Test accuracy", "95% interval"),
        Column("Training time", _time_note(material)),
        Column("Parameters"),
        Column("Multiply-adds", "per picture"),
        Column("Training speed", "images/s"),
        Column("Inference speed", "images/s"),
        Column("Peak memory"),
        Column("Compile time", "of the training step"),
        Column("Calibration error", "0 to 1"),
        Column("Log loss", "nats"),
    )
    rows = tuple(_model_row(model) for model in material.results.models)
    caption = "Every figure was measured in this study. Training time is without compilation and validation."
    if not material.is_timed_alike:
        caption += " Times, speeds and memory are of different machines and are not compared: see Times by machine."
    return Table(caption, columns, rows, "results.json")


def _model_row(model: ModelResult) -> tuple[Field, ...]:
    accuracy, seconds = model.test_accuracy, model.train_seconds
    return (
        Field(model.name, _seeds(model)),
        Field(
            wording.percent(accuracy.mean),
            wording.interval_percent(accuracy.low, accuracy.high),
            accuracy.mean,
        ),
        Field(wording.seconds(seconds.mean), _seconds_range(seconds), seconds.mean),
        Field(wording.large(model.parameters), "", model.parameters),
        _macs(model),
        Field(wording.rate(model.train_images_per_second), "", model.train_images_per_second),
        Field(wording.rate(model.inference_images_per_second), "", model.inference_images_per_second),
        _memory(model),
        Field(wording.seconds(model.compile_seconds), "", model.compile_seconds),
        Field(f"{model.ece:.3f}", "", model.ece),
        Field(f"{model.nll:.3f}", "", model.nll),
    )


def _seeds(model: ModelResult) -> str:
    count = len(model.seeds)
    text = "1 seed" if count == 1 else f"{count} seeds"
    return f"{text}, {len(model.failed_seeds)} failed" if model.failed_seeds else text


def _seconds_range(seconds: Estimate) -> str:
    """The spread that was seen; a t interval of seconds would claim more than anyone asks of it."""
    if len(seconds.per_seed) < 2:
        return ""
    return wording.seconds_range(min(seconds.per_seed), max(seconds.per_seed))


def _time_note(material: Material) -> str:
    """Say what the training time is of, and what stands beside it where there are several seeds."""
    if any(len(model.train_seconds.per_seed) > 1 for model in material.results.models):
        return "all epochs; mean, range over seeds"
    return "all epochs"


def _macs(model: ModelResult) -> Field:
    if model.macs is None:
        return Field(MISSING, "not countable")
    return Field(wording.large(model.macs), f"at {model.image_size} px", model.macs)


def _memory(model: ModelResult) -> Field:
    if not model.peak_memory_bytes:
        return Field(MISSING, "not recorded")
    return Field(size(model.peak_memory_bytes), "", model.peak_memory_bytes)


def pairs_table(material: Material) -> Table:
    """Return every pair of models with its test."""
    columns = (
        Column("Pair", number=False),
        Column("Difference", "points, 95% interval"),
        Column("p", "as tested"),
        Column("Adjusted p", "Holm"),
        Column("Verdict", "at 5%", number=False),
        Column("Test", number=False),
    )
    rows = tuple(_pair_row(pair, material.results) for pair in material.results.pairs)
    caption = "Accuracy of the first model minus accuracy of the second, on the same test pictures."
    return Table(caption, columns, rows, "results.json")


def _pair_row(pair: PairResult, results: Results) -> tuple[Field, ...]:
    return (
        Field(f"{pair.a} {wording.MINUS} {pair.b}"),
        Field(wording.points(pair.difference), wording.interval_points(pair.low, pair.high), pair.difference),
        Field(wording.p_value(pair.p_value), "", pair.p_value),
        Field(wording.p_value(pair.p_adjusted), "", pair.p_adjusted),
        _verdict(pair, results),
        Field(pair.test),
    )


def _verdict(pair: PairResult, results: Results) -> Field:
    if pair.verdict == "undecided":
        return Field("undecided", more_work(pair, results))
    return Field(pair.a if pair.verdict == "a" else pair.b, "more accurate")


def classes_table(entrant: Entrant, classes: tuple[str, ...]) -> Table:
    """Return support, precision, recall and F1 of every class, averaged over the model's seeds.

    Args:
        entrant: The model.
        classes: Class names in label order.
    """
    columns = (
        Column("Class", number=False),
        Column("Pictures", "in the test set"),
        Column("Recall", "share found, 95% interval"),
        Column("Precision", "share right"),
        Column("F1"),
    )
    per_seed = [class_metrics(confusion_matrix(one.test)) for one in entrant.cells]
    rows = []
    for label, (name, accuracy) in enumerate(zip(classes, class_accuracies(entrant, len(classes)), strict=True)):
        own = [metrics[label] for metrics in per_seed]
        rows.append(
            (
                Field(name),
                Field(f"{own[0].support:,}", "", own[0].support),
                _recall(accuracy) if accuracy else Field(MISSING),
                _mean_share([one.precision for one in own]),
                _mean_share([one.f1 for one in own]),
            )
        )
    caption = f"{entrant.name}: classes in the order of their labels, means over {_seeds(entrant.result)}."
    return Table(caption, columns, tuple(rows), f"cells/{cell_name(entrant.name)}/")


def class_accuracies(entrant: Entrant, classes: int) -> list[Estimate | None]:
    """Return a model's accuracy on each class over its seeds; None for a class without test pictures.

    Args:
        entrant: The model.
        classes: How many classes there are.
    """
    answers = np.stack([one.test.correct for one in entrant.cells])
    members = [entrant.cells[0].test.labels == label for label in range(classes)]
    return [mean_accuracy(answers[:, own]) if own.any() else None for own in members]


def _recall(estimate: Estimate) -> Field:
    interval = wording.interval_percent(estimate.low, estimate.high)
    return Field(wording.percent(estimate.mean), interval, estimate.mean)


def _mean_share(values: list[float | None]) -> Field:
    """Average over the seeds that have a value: a class that was never predicted has no precision."""
    known = [value for value in values if value is not None]
    if not known:
        return Field(MISSING)
    mean = float(np.mean(known))
    return Field(wording.percent(mean), "", mean)
