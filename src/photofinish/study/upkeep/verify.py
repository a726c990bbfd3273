"""Whether a run or a study is what it says it is: nothing missing, nothing changed, nothing that does not belong."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
from pydantic import ValidationError

from photofinish.catalog.manifest import MANIFEST, read_manifest, verified_tensors
from photofinish.config import CellSettings, Settings
from photofinish.errors import PhotofinishError, StudyError
from photofinish.evaluation.metrics import accuracy
from photofinish.runs import DataRecord, Predictions, RunFolder, RunRecord, StudyFolder, read_epochs
from photofinish.storage import read_json
from photofinish.study.cells import SPLITS, read_audit, read_cells, read_plan
from photofinish.study.execute import same_settings
from photofinish.study.plan import Plan
from photofinish.study.results import Results


class Defect(Settings):
    """Something that is wrong.

    Attributes:
        file: The file or folder.
        problem: What is wrong with it.
    """

    file: str
    problem: str


def check_folder(path: Path) -> list[Defect]:
    """Verify a run folder or a study folder; nothing is changed.

    Args:
        path: Of a run, of a study, or of a joined study.

    Returns:
        What is wrong, nothing where all is well.

    Raises:
        StudyError: It is neither a run nor a study.
    """
    study, run = StudyFolder(path), RunFolder(path)
    if study.plan.exists():
        return list(_check_study(study))
    if not run.record.exists() and not run.log.exists():
        raise StudyError(f"{path} is neither a run nor a study: it has no {run.record.name} and no {study.plan.name}")
    return list(_check_run(run))


def _check_study(study: StudyFolder) -> Iterator[Defect]:
    try:
        plan = read_plan(study)
    except PhotofinishError as error:
        yield Defect(file=str(study.plan), problem=str(error))
        return
    planned = {(cell.model, cell.seed): cell for cell in plan.cells()}
    sound = []
    for model, seed in plan.members:
        # The cells of a joined study have the settings of theirs, and leave the trained networks where they are.
        wanted = None if plan.joined else planned[model, seed]
        defects = list(_check_run(study.cell(model, seed), wanted, plan, with_model=not plan.joined))
        if not defects:
            sound.append((model, seed))
        yield from defects
    yield from _attempt(study.audit, lambda: read_audit(study, plan))
    if len(sound) == len(plan.members):
        yield from _attempt(study.path, lambda: read_cells(study, plan))
    yield from _check_results(study, sound)


def _check_results(study: StudyFolder, sound: Sequence[tuple[str, int]]) -> Iterator[Defect]:
    """Hold the figures against the predictions that they were computed from, of the cells that are sound."""
    if not study.results.exists():
        yield Defect(file=str(study.results), problem=f"it is missing; photofinish report {study.path} writes it")
        return
    try:
        results = Results.model_validate(read_json(study.results))
    except (ValidationError, PhotofinishError) as error:
        yield Defect(file=str(study.results), problem=f"it cannot be read: {_first(error)}")
        return
    said = {
        (model.name, seed): share
        for model in results.models
        for seed, share in zip(model.seeds, model.test_accuracy.per_seed, strict=False)
    }
    for model, seed in sound:
        share = accuracy(Predictions.read(study.cell(model, seed).predictions("test")))
        if not np.isclose(said.get((model, seed), -1.0), share, rtol=0, atol=1e-9):
            problem = (
                f"its test accuracy of {model}, seed {seed}, is not that of the predictions, {share:.4f}; "
                f"photofinish report {study.path} computes it anew"
            )
            yield Defect(file=str(study.results), problem=problem)


def _check_run(
    run: RunFolder, wanted: CellSettings | None = None, plan: Plan | None = None, *, with_model: bool = True
) -> Iterator[Defect]:
    """Verify a run, and where it is a cell, that it is the one that was planned."""
    if not run.record.exists():
        yield Defect(file=str(run.path), problem=f"it has no {run.record.name}: it was not run, or was ended before")
        return
    try:
        record = RunRecord.read(run.record)
    except PhotofinishError as error:
        yield Defect(file=str(run.record), problem=str(error))
        return
    if record.status != "finished" or record.data is None or record.model is None or record.seconds is None:
        yield Defect(file=str(run.record), problem=f"the run did not finish: {record.error or 'its record is short'}")
        return
    if wanted is not None and not same_settings(wanted, record.settings):
        yield Defect(file=str(run.record), problem=f"it was not run as planned: {_changes(wanted, record.settings)}")
    if plan is not None and record.data.fingerprint != plan.data.fingerprint:
        problem = f"its pictures are {record.data.fingerprint[:12]}, and the plan's {plan.data.fingerprint[:12]}"
        yield Defect(file=str(run.record), problem=problem)
    yield from _check_epochs(run, record)
    for split in SPLITS:
        yield from _check_predictions(run.predictions(split), record.data, split)
    if with_model:
        for folder in (run.checkpoints, *run.kept_best):
            yield from _attempt(folder, functools.partial(_require_model, folder, record))


def _check_epochs(run: RunFolder, record: RunRecord) -> Iterator[Defect]:
    try:
        epochs = [line.epoch for line in read_epochs(run.metrics)]
    except PhotofinishError as error:
        yield Defect(file=str(run.metrics), problem=str(error))
        return
    training = record.settings.training
    asked = len(epochs) if training.steps is not None else training.epochs
    if epochs != list(range(1, asked + 1)) or not epochs:
        shown = ", ".join(map(str, epochs[:5])) or "none"
        problem = f"it should have a line for each of {asked} epochs, 1 to {asked}, and has {len(epochs)} ({shown}...)"
        yield Defect(file=str(run.metrics), problem=problem)


def _check_predictions(path: Path, data: DataRecord, split: str) -> Iterator[Defect]:
    try:
        found = Predictions.read(path)
    except PhotofinishError as error:
        yield Defect(file=str(path), problem=str(error))
        return
    expected = (data.test if split == "test" else data.validation, len(data.classes))
    if found.logits.shape != expected:
        shapes = f"{found.logits.shape[0]} x {found.logits.shape[1]} logits instead of {expected[0]} x {expected[1]}"
        yield Defect(file=str(path), problem=f"it has {shapes}")
        return
    if not np.isfinite(found.logits).all():
        yield Defect(file=str(path), problem="some of its logits are not finite numbers")
    if len(found.labels) and not (found.labels.min() >= 0 and found.labels.max() < len(data.classes)):
        yield Defect(file=str(path), problem="some of its labels are of no class")
    if len(np.unique(found.ids)) != len(found.ids):
        yield Defect(file=str(path), problem="some pictures are in it more than once")


def _require_model(folder: Path, record: RunRecord) -> None:
    """Refuse a trained network that is not the one that its manifest vouches for, or is of something else."""
    manifest = read_manifest(folder)
    verified_tensors(folder, manifest)
    said = (manifest.name, manifest.image_size, manifest.class_names)
    expected = (record.settings.model, record.settings.data.image_size, record.data.classes if record.data else ())
    if said != expected:
        raise StudyError(f"{folder / MANIFEST} is of another model, image size or classes than the run")


def _attempt(path: Path, action: Callable[[], object]) -> Iterator[Defect]:
    try:
        action()
    except PhotofinishError as error:
        yield Defect(file=str(path), problem=str(error))


def _changes(wanted: CellSettings, found: CellSettings) -> str:
    """Name what differs, where the pictures lie aside."""
    pairs = [("model", wanted.model, found.model), ("seed", wanted.seed, found.seed)]
    pairs.append(("backend", wanted.backend, found.backend))
    for ours, theirs in ((wanted.data, found.data), (wanted.training, found.training)):
        values = theirs.model_dump()
        pairs += [(name, value, values[name]) for name, value in ours.model_dump().items() if name != "source"]
    return "; ".join(f"{name} was to be {old} and is {new}" for name, old, new in pairs if old != new)


def _first(error: Exception) -> str:
    if isinstance(error, ValidationError):
        return str(error.errors()[0]["msg"])
    return " ".join(str(error).split())
