"""What `photofinish evaluate` prints."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import typer
from rich.console import Console
from rich.table import Table

from photofinish.errors import SettingsError
from photofinish.evaluation import metrics
from photofinish.evaluation.calibration import (
    CalibrationFigures,
    bound_in_words,
    is_at_bound,
    stored_temperature,
    with_temperature,
)
from photofinish.report.names import printable
from photofinish.runs import Predictions, RunFolder, RunRecord
from photofinish.study.cells import finished_run

LARGEST_PRINTED_CONFUSION = 20
NAMED = 5


def print_evaluation(run: Path, data: str | None, split: str, *, own_model: str | None, as_json: bool) -> None:
    """Print the figures of a trained model on its own pictures or on others.

    Args:
        run: The folder of the trained model.
        data: Other pictures, or None for the predictions stored with the run.
        split: `test` or `validation`.
        own_model: `path/to/model.py:function`, where other pictures are predicted by someone's own model.
        as_json: Print JSON instead of tables.

    Raises:
        SettingsError: The split is unknown.
        StudyError: There is no finished run.
    """
    if split not in {"test", "validation"}:
        raise SettingsError(f"unknown split '{split}': choose test or validation")
    folder, record, trained_on = finished_run(run)
    if data is None:
        predictions, classes = Predictions.read(folder.predictions(split)), trained_on.classes
        which = f"{split} pictures"
    else:
        predictions, classes, which = _predict_anew(folder, record, data, split, own_model)
    temperature = stored_temperature(folder)
    if as_json:
        typer.echo(json.dumps(_as_dictionary(predictions, classes, temperature), indent=1))
        return
    _print_tables(predictions, classes, f"{record.settings.model}, seed {record.settings.seed}, {which}")
    if temperature is not None:
        before, after = (
            CalibrationFigures.of(one) for one in (predictions, with_temperature(predictions, temperature))
        )
        _print_calibration(before, after, temperature, fitted_on_these=data is None and split == "validation")
        for sentence in _about_the_temperature(before, after, temperature, None if data else split):
            typer.echo(sentence)


def _predict_anew(
    folder: RunFolder, record: RunRecord, data: str, split: str, own_model: str | None
) -> tuple[Predictions, tuple[str, ...], str]:
    """Predict other pictures with the saved model; return also which they were, in words."""
    from photofinish.catalog.manifest import read_manifest
    from photofinish.study.cell import choose_backend

    choose_backend(record.settings)
    from photofinish.evaluation.predict import pictures_for, predict_saved

    manifest = read_manifest(folder.checkpoints)
    prepared, part = pictures_for(record, data, split)
    if prepared.record.classes != manifest.class_names:
        raise SettingsError(
            f"{data} has other classes ({_some(prepared.record.classes)}) than the model was trained for "
            f"({_some(manifest.class_names)})"
        )
    which = f"all pictures of {data}" if part is None else f"{part} pictures"
    return predict_saved(folder, prepared, part or "test", own_model=own_model), manifest.class_names, which


def _some(classes: Sequence[str]) -> str:
    return ", ".join([*classes[:NAMED], *(["..."] if len(classes) > NAMED else [])])


def _as_dictionary(predictions: Predictions, classes: tuple[str, ...], temperature: float | None) -> dict[str, Any]:
    """Return all figures as plain numbers."""
    low, high = _interval(predictions)
    return {
        "pictures": len(predictions.labels),
        "accuracy": metrics.accuracy(predictions),
        "accuracy_interval": [low, high],
        "loss": metrics.negative_log_likelihood(predictions),
        "ece": metrics.expected_calibration_error(predictions),
        "calibration": None if temperature is None else _calibration_as_dictionary(predictions, temperature),
        "confusion": metrics.confusion_matrix(predictions).tolist(),
        "classes": [
            {"name": name, **dataclasses.asdict(row)}
            for name, row in zip(classes, _per_class(predictions), strict=True)
        ],
    }


def _calibration_as_dictionary(predictions: Predictions, temperature: float) -> dict[str, Any]:
    return {
        "temperature": temperature,
        "before": dataclasses.asdict(CalibrationFigures.of(predictions)),
        "after": dataclasses.asdict(CalibrationFigures.of(with_temperature(predictions, temperature))),
    }


def _print_tables(predictions: Predictions, classes: tuple[str, ...], title: str) -> None:
    # A class may be called [red].
    console = Console(markup=False)
    low, high = _interval(predictions)
    accuracy, loss = metrics.accuracy(predictions), metrics.negative_log_likelihood(predictions)
    console.print(
        f"{printable(title)}: accuracy {100 * accuracy:.2f}% (95% interval {100 * low:.2f} to {100 * high:.2f}), "
        f"loss {loss:.4f}, {len(predictions.labels)} pictures",
        markup=False,
        highlight=False,
        soft_wrap=True,
    )
    table = Table(box=None, pad_edge=False)
    for column in ("class", "pictures", "precision", "recall", "F1"):
        table.add_column(column, justify="left" if column == "class" else "right")
    for name, row in zip(classes, _per_class(predictions), strict=True):
        table.add_row(printable(name), str(row.support), _share(row.precision), _share(row.recall), _share(row.f1))
    console.print(table)
    if len(classes) <= LARGEST_PRINTED_CONFUSION:
        confusion = Table(
            box=None,
            pad_edge=False,
            title="confusion: rows are true, columns predicted",
            title_justify="left",
        )
        confusion.add_column("")
        for name in classes:
            confusion.add_column(printable(name)[:6], justify="right")
        for name, counts in zip(classes, metrics.confusion_matrix(predictions).tolist(), strict=True):
            confusion.add_row(printable(name), *(str(count) if count else "." for count in counts))
        console.print(confusion)


def _about_the_temperature(
    before: CalibrationFigures, after: CalibrationFigures, temperature: float, split: str | None
) -> list[str]:
    """Say where a temperature is no measurement, and where it made the log loss of the run's own pictures worse.

    Args:
        before: Of the predictions as trained.
        after: Of the same with the temperature.
        temperature: What logits are divided by.
        split: Which of the run's own pictures were evaluated; None for others.
    """
    sentences = []
    if is_at_bound(temperature):
        sentences.append(
            f"The temperature is at the bound of its search, {temperature:g}, and no measurement: "
            f"{bound_in_words(temperature)}."
        )
    # What cannot be seen in the table needs no note.
    if split is not None and after.nll > before.nll and f"{after.nll:.4f}" != f"{before.nll:.4f}":
        sentences.append(
            f"The temperature makes the log loss of the {split} pictures worse: {before.nll:.4f} becomes "
            f"{after.nll:.4f}."
        )
    return sentences


def _print_calibration(
    before: CalibrationFigures, after: CalibrationFigures, temperature: float, *, fitted_on_these: bool
) -> None:
    table = Table(box=None, pad_edge=False, title="calibration, lower is better", title_justify="left")
    for column in ("", "calibration error", "by chance", "log loss", "Brier score"):
        table.add_column(column, justify="right" if column else "left", no_wrap=True)
    fitted = "these" if fitted_on_these else "the validation"
    for name, figures in (("as trained", before), (f"with temperature {temperature:.3f}", after)):
        table.add_row(
            name, f"{figures.ece:.4f}", f"{figures.ece_by_chance:.4f}", f"{figures.nll:.4f}", f"{figures.brier:.4f}"
        )
    console = Console(markup=False)
    console.print()
    console.print(table)
    console.print(
        f"The temperature was fitted on {fitted} pictures. By chance: 95% of perfectly calibrated models stay below.",
        highlight=False,
        soft_wrap=True,
    )


def _interval(predictions: Predictions) -> tuple[float, float]:
    return metrics.wilson_interval(metrics.accuracy(predictions), len(predictions.labels))


def _per_class(predictions: Predictions) -> list[metrics.ClassMetrics]:
    return metrics.class_metrics(metrics.confusion_matrix(predictions))


def _share(value: float | None) -> str:
    return "none" if value is None else f"{value:.3f}"
