"""The cells of a study as they lie in its folder, and that they belong together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
from pydantic import ValidationError

from photofinish.errors import StudyError
from photofinish.evaluation.calibration import fit_temperature, with_temperature
from photofinish.runs import (
    AuditRecord,
    DataRecord,
    ModelRecord,
    Predictions,
    RunFolder,
    RunRecord,
    StudyFolder,
    TimeRecord,
)
from photofinish.storage import read_json
from photofinish.study.plan import Plan
from photofinish.study.treatment import Treated, disagreements

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


def read_audit(folder: StudyFolder, plan: Plan) -> AuditRecord | None:
    """Read `audit.json`, or return None: studies of earlier versions have none.

    Raises:
        StudyError: It is damaged, or of other pictures.
    """
    if not folder.audit.exists():
        return None
    audit = AuditRecord.read(folder.audit)
    if audit.fingerprint != plan.data.fingerprint:
        raise StudyError(
            f"{folder.audit} is of other pictures than the study; delete it and run the same command again"
        )
    return audit


def finished_run(path: Path) -> tuple[RunFolder, RunRecord, DataRecord]:
    """Open the folder of a finished run.

    Args:
        path: A run folder, of a study or by itself.

    Returns:
        The folder, its record, and what it was trained on.

    Raises:
        StudyError: It is no such folder, or the run did not finish.
    """
    folder = RunFolder(path)
    if not folder.record.exists():
        hint = "; the runs of a study are its cells/<model>/seed-<k>" if StudyFolder(path).plan.exists() else ""
        raise StudyError(f"{path} is not a run folder: it has no {folder.record.name}{hint}")
    record = RunRecord.read(folder.record)
    if record.data is None:
        raise StudyError(f"{path} holds a run that did not finish: {record.error}")
    return folder, record, record.data


def read_cells(folder: StudyFolder, plan: Plan) -> tuple[list[Cell], list[FinishedCell]]:
    """Read every planned cell and refuse cells that do not belong together.

    A cell whose logits are not finite counts as failed: it would fail the same way again.

    Returns:
        All cells, failed and missing ones too, and the finished ones with their predictions; both with models
        in the order of the plan and seeds within them.

    Raises:
        StudyError: A cell saw other pictures than the plan says, predictions differ in ids, labels or
            classes, cells were treated differently in what may not differ, or a file is damaged.
    """
    cells: list[Cell] = []
    finished: list[FinishedCell] = []
    for model, seed in plan.members:
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
        require_same_pictures(finished[0], other)
    _require_equal_treatment(finished, plan.sources)
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


def require_same_pictures(first: FinishedCell, other: FinishedCell) -> None:
    """Refuse two cells whose predictions are not of the same pictures in the same order.

    Raises:
        StudyError: They are not.
    """
    for split in SPLITS:
        ours, theirs = getattr(first, split), getattr(other, split)
        same = np.array_equal(ours.ids, theirs.ids) and np.array_equal(ours.labels, theirs.labels)
        if not same or ours.logits.shape != theirs.logits.shape:
            raise _refusal(other.cell, f"its {split} predictions are not of the pictures of {first.cell.name}")


def _require_equal_treatment(finished: Sequence[FinishedCell], sources: Mapping[str, str]) -> None:
    """Refuse cells that differ in what may not differ: from the first of their model, and from the first of all."""
    first_of: dict[str, FinishedCell] = {}
    for one in finished:
        for first in (first_of.setdefault(one.cell.model, one), finished[0]):
            found = disagreements(_treated(first, sources), _treated(one, sources))
            if found:
                differences = "; ".join(found.values())
                raise _refusal(one.cell, f"its settings are not those of {first.cell.name}: {differences}")


def _treated(one: FinishedCell, sources: Mapping[str, str]) -> Treated:
    return Treated(one.cell.name, one.record, sources)
