"""Which runs lie below some folders, and what has become of them."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from photofinish.config import Settings
from photofinish.errors import PhotofinishError, StudyError
from photofinish.evaluation.metrics import accuracy
from photofinish.runs import Predictions, RunFolder, RunRecord, StudyFolder
from photofinish.runs.checkpoints import CheckpointStore
from photofinish.storage.sealed import DamagedError
from photofinish.study.locks import LOCK, WORKER_LOCK, is_in_use

Status = Literal["finished", "failed", "running", "interrupted", "abandoned", "damaged"]
CELLS, SEED = "cells", "seed-"


class RunSummary(Settings):
    """A run in a line.

    Attributes:
        folder: Where it lies.
        model: The model as it was asked for; of a run without a record its folder's name.
        seed: Its seed, or None where it is not known.
        status: `finished`, `failed`, `running` (a process is writing to it), `interrupted` (it can go on from a
            checkpoint), `abandoned` (no record, and nobody is writing to it) or `damaged` (its record or its
            predictions cannot be read).
        accuracy: On the test pictures, between 0 and 1, of a finished run.
        bytes: What its files take.
        age_seconds: Seconds since any of its files was written.
        problem: Why it failed or what is damaged.
    """

    folder: str
    model: str
    seed: int | None
    status: Status
    accuracy: float | None
    bytes: int
    age_seconds: float
    problem: str | None = None


@dataclass(frozen=True)
class Found:
    """A run folder below a study or by itself.

    Attributes:
        run: The run folder.
        study: The study folder it is a cell of, or None.
    """

    run: RunFolder
    study: StudyFolder | None

    @property
    def is_in_use(self) -> bool:
        """Whether a process writes to the run, or to the study it belongs to and may begin with it at any time."""
        return is_in_use(self.run.path) or (self.study is not None and is_in_use(self.study.path))


def find_runs(folders: Sequence[Path]) -> Iterator[Found]:
    """Yield every run at or below some folders, each once, in the order of their paths; links are not followed.

    Args:
        folders: Existing folders.

    Raises:
        StudyError: One of them does not exist.
    """
    seen: set[Path] = set()
    for folder in folders:
        if not folder.is_dir():
            raise StudyError(f"{folder} is not a folder; name one that holds runs or studies")
        for root, inner, files in os.walk(folder):
            inner.sort()
            path = Path(root)
            study = _study_of(path)
            if RunFolder(path).record.name in files or _was_begun(path, files, study):
                inner.clear()
                real = path.resolve()
                if real not in seen:
                    seen.add(real)
                    yield Found(RunFolder(path), study)


def _study_of(path: Path) -> StudyFolder | None:
    """Return the study whose cell lies at a path: `<study>/cells/<model>/seed-<k>`."""
    parents = path.absolute().parents
    if not path.name.startswith(SEED) or len(parents) < 3 or parents[1].name != CELLS:
        return None
    study = StudyFolder(parents[2])
    return study if study.plan.is_file() else None


def _was_begun(path: Path, files: Sequence[str], study: StudyFolder | None) -> bool:
    """Return whether a run was begun here and left no record: a log alone may be anybody's."""
    ours = study is not None or ((LOCK in files or WORKER_LOCK in files) and not StudyFolder(path).plan.is_file())
    return ours and RunFolder(path).log.name in files


def summarize(found: Found) -> RunSummary:
    """Say in a line what has become of a run."""
    run = found.run
    sizes, times = _sizes_and_times(run.path)
    status: Status = "abandoned"
    model, seed = (run.path.parent.name, _seed_of(run.path)) if found.study else (run.path.name, None)
    share, problem = None, None
    if run.record.is_file():
        try:
            record = RunRecord.read(run.record)
            model, seed, status = record.settings.model, record.settings.seed, record.status
            problem = record.error
            if status == "finished":
                share = accuracy(Predictions.read(run.predictions("test")))
        except PhotofinishError as error:
            status, problem = "damaged", str(error)
    if status in {"abandoned", "failed"} and CheckpointStore(run.resume).checkpoints:
        status = "interrupted"
        with contextlib.suppress(DamagedError):
            settings = CheckpointStore(run.resume).read_beginning().settings
            model, seed = settings.model, settings.seed
    # A record is written last; what has one is not being written, whatever else its study does.
    if status in {"abandoned", "failed", "interrupted"} and _is_being_written(found):
        status, problem = "running", None
    return RunSummary(
        folder=str(run.path),
        model=model,
        seed=seed,
        status=status,
        accuracy=share,
        bytes=sum(sizes),
        age_seconds=max(0.0, time.time() - max(times, default=time.time())),
        problem=problem,
    )


def _is_being_written(found: Found) -> bool:
    if found.study is None:
        return is_in_use(found.run.path)
    return is_in_use(found.run.path) and is_in_use(found.study.path)


def _seed_of(path: Path) -> int | None:
    text = path.name.removeprefix(SEED)
    return int(text) if text.isascii() and text.isdecimal() else None


def _sizes_and_times(folder: Path) -> tuple[list[int], list[float]]:
    """Return bytes and time of writing of every file below a folder; links count for themselves."""
    sizes, times = [], []
    for root, _, files in os.walk(folder):
        for name in files:
            try:
                state = os.lstat(os.path.join(root, name))  # noqa: PTH118  # as os.walk gives them
            except OSError:
                continue  # a running process has removed it meanwhile
            sizes.append(state.st_size)
            if name not in {LOCK, WORKER_LOCK}:
                times.append(state.st_mtime)
    return sizes, times
