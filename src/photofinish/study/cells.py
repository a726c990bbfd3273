"""The cells of a study as they lie in its folder, and what was not equal between them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from pydantic import ValidationError

from photofinish.errors import StudyError
from photofinish.evaluation.calibration import fit_temperature, with_temperature
from photofinish.runs import ModelRecord, Predictions, RunFolder, RunRecord, StudyFolder, TimeRecord
from photofinish.storage import read_json
from photofinish.study.plan import Plan

SPLITS = ("test", "validation")


@dataclass(frozen=True)
class Cell:
    """One model and seed.

    Attributes:
        model: The model as it was asked for.
        seed: The seed.
        folder: Where its files are.
        record: What it wrote down, or None when it never came that far.
        failure: Why there is nothing to compare, or None for a finished cell.
    """

    model: str
    seed: int
    folder: RunFolder
    record: RunRecord | None
    failure: str | None

    @property
    def name(self) -> str:
        """The cell in words."""
        return f"{self.model}, seed {self.seed}"


@dataclass(frozen=True)
class FinishedCell:
    """One model and seed with its predictions.

    Attributes:
        cell: The cell.
        record: What it wrote down.
        network: The network, as in the record.
        seconds: Where the time went, as in the record.
        test: Predictions of the test pictures.
        validation: Predictions of the validation pictures.
    """

    cell: Cell
    record: RunRecord
    network: ModelRecord
    seconds: TimeRecord
    test: Predictions
    validation: Predictions

    @cached_property
    def temperature(self) -> float:
        """By what the logits are to be divided, fitted on the validation predictions."""
        return fit_temperature(self.validation)

    @property
    def calibrated_test(self) -> Predictions:
        """The test predictions with the temperature."""
        return with_temperature(self.test, self.temperature)


def read_plan(folder: StudyFolder) -> Plan:
    """Read `study.json`.

    Raises:
        StudyError: It is missing or is not a plan of this version.
    """
    if not folder.plan.exists():
        raise StudyError(f"{folder.path} is not a study folder: it has no {folder.plan.name}")
    try:
        return Plan.model_validate(read_json(folder.plan))
    except ValidationError as error:
        complaint = error.errors()[0]["msg"]
        raise StudyError(f"{folder.plan} is not a plan of this version: {complaint}") from error


def read_cells(folder: StudyFolder, plan: Plan) -> tuple[list[Cell], list[FinishedCell]]:
    """Read every planned cell and refuse cells that do not belong together.

    A cell whose logits are not finite counts as failed: it would fail the same way again.

    Returns:
        All cells, failed and missing ones too, and the finished ones with their predictions; both with models
        in the order of the plan and seeds within them.

    Raises:
        StudyError: A cell saw other pictures than the plan says, predictions differ in ids, labels or
            classes, the seeds of one model were trained differently, or a file is damaged.
    """
    cells: list[Cell] = []
    finished: list[FinishedCell] = []
    for model in plan.models:
        for seed in plan.seeds:
            cell = _read_cell(folder, model, seed)
            if cell.failure is None and cell.record is not None:
                _require_planned(cell, cell.record, plan)
                one = _with_predictions(cell, cell.record)
                if _is_finite(one):
                    finished.append(one)
                else:
                    cell = replace(cell, failure="its logits are not finite numbers")
            cells.append(cell)
    for other in finished[1:]:
        _require_same_pictures(finished[0], other)
    _require_same_treatment_of_seeds(finished)
    return cells, finished


def _read_cell(folder: StudyFolder, model: str, seed: int) -> Cell:
    run = folder.cell(model, seed)
    if not run.record.exists():
        reason = "it was not run, or its process was ended before it could say why"
        return Cell(model, seed, run, None, reason)
    record = RunRecord.read(run.record)
    failure = None if record.status == "finished" else _last_line(record.error) or "it gave no reason"
    return Cell(model, seed, run, record, failure)


def _last_line(error: str | None) -> str:
    """Return the line of a traceback that says what happened."""
    lines = [line.strip() for line in (error or "").splitlines() if line.strip()]
    return lines[-1] if lines else ""


def _refusal(cell: Cell, what: str) -> StudyError:
    return StudyError(
        f"{cell.folder.path}: {what}; mismatched cells are not compared: delete the folder and run the same "
        "command again, or use another --output"
    )


def _require_planned(cell: Cell, record: RunRecord, plan: Plan) -> None:
    if record.data is None or record.data.fingerprint != plan.data.fingerprint:
        seen = record.data.fingerprint[:12] if record.data else "none"
        raise _refusal(cell, f"its pictures have the fingerprint {seen}, the plan's {plan.data.fingerprint[:12]}")
    if (record.settings.model, record.settings.seed) != (cell.model, cell.seed):
        raise _refusal(cell, f"it holds {record.settings.model}, seed {record.settings.seed}")


def _with_predictions(cell: Cell, record: RunRecord) -> FinishedCell:
    if record.model is None or record.seconds is None:
        raise _refusal(cell, "run.json says that it finished and lacks its model or its seconds")
    test, validation = (Predictions.read(cell.folder.predictions(split)) for split in SPLITS)
    return FinishedCell(cell, record, record.model, record.seconds, test, validation)


def _is_finite(one: FinishedCell) -> bool:
    return bool(np.isfinite(one.test.logits).all() and np.isfinite(one.validation.logits).all())


def _require_same_pictures(first: FinishedCell, other: FinishedCell) -> None:
    for split in SPLITS:
        ours, theirs = getattr(first, split), getattr(other, split)
        same = np.array_equal(ours.ids, theirs.ids) and np.array_equal(ours.labels, theirs.labels)
        if not same or ours.logits.shape != theirs.logits.shape:
            raise _refusal(other.cell, f"its {split} predictions are not of the pictures of {first.cell.name}")


def _require_same_treatment_of_seeds(finished: Sequence[FinishedCell]) -> None:
    first_of: dict[str, FinishedCell] = {}
    for one in finished:
        first = first_of.setdefault(one.cell.model, one)
        ours, theirs = first.record.settings, one.record.settings
        if (ours.data, ours.training, ours.backend) != (theirs.data, theirs.training, theirs.backend):
            raise _refusal(one.cell, f"its settings are not those of {first.cell.name}")


def not_equal(runs: Sequence[RunRecord]) -> list[str]:
    """Return, as sentences, what differed between the models apart from the networks themselves.

    Args:
        runs: Records of finished cells.

    Examples:
        >>> not_equal([])
        []
    """
    treatments = [_treatment(run) for run in runs]
    labels = dict.fromkeys(label for treatment in treatments for label in treatment)
    sentences = (
        _difference(label, runs, [treatment.get(label, "not recorded") for treatment in treatments]) for label in labels
    )
    return [sentence for sentence in sentences if sentence]


def _treatment(run: RunRecord) -> dict[str, str]:
    """Return everything that a fair race gives all models alike, by its label."""
    network, settings = run.model, run.settings
    alike: dict[str, object] = {
        "Weights before training": network.weights if network else settings.training.weights,
        "Input scaling": network.input_scaling if network else None,
        "Head": network.head if network else None,
        "Stochastic depth": network.stochastic_depth if network else None,
        "Statistics of BatchNormalization re-estimated": run.statistics_reestimated,
        "Folded BatchNormalization given statistics": run.statistics_unfolded,
        "Backend": settings.backend,
        "Training steps": run.steps,
    }
    # What the weights were is recorded with the model; which were asked for does not say as much.
    asked = settings.data.model_dump() | settings.training.model_dump(exclude={"weights"})
    alike |= {_in_words(name): value for name, value in asked.items()}
    alike |= {f"Version of {name}": version for name, version in run.versions.items()}
    alike |= {f"Hardware, {name}": value for name, value in run.hardware.items()}
    return {label: _shown(value) for label, value in alike.items()}


def _in_words(name: str) -> str:
    return name.replace("_", " ").capitalize()


def _difference(label: str, runs: Sequence[RunRecord], values: Sequence[str]) -> str | None:
    """Return one sentence on who had which value, or None when all had the same."""
    owners: dict[str, list[RunRecord]] = {}
    for run, value in zip(runs, values, strict=True):
        owners.setdefault(value, []).append(run)
    if len(owners) < 2:
        return None
    parts = [f"{value} for {_owners(group, runs)}" for value, group in owners.items()]
    return f"{label}: {'; '.join(parts)}."


def _shown(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.4g}"
    return "none" if value is None else str(value)


def _owners(group: Sequence[RunRecord], runs: Sequence[RunRecord]) -> str:
    """Name the models of a group, with their seeds where not all seeds of a model are in it."""
    names = []
    for model in dict.fromkeys(run.settings.model for run in group):
        seeds = [run.settings.seed for run in group if run.settings.model == model]
        whole = len(seeds) == sum(run.settings.model == model for run in runs)
        names.append(model if whole else f"{model} (seed {', '.join(map(str, seeds))})")
    return ", ".join(names)
