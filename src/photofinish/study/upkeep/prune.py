"""What can go: files that no reader of a finished run ever opens."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

from photofinish.config import Settings
from photofinish.errors import StudyError
from photofinish.runs import RunFolder, StudyFolder
from photofinish.study.locks import LOCK, WORKER_LOCK, is_in_use
from photofinish.study.upkeep.inventory import Found, find_runs, summarize

PARTIAL = ".partial"


class Leftover(Settings):
    """A file or folder that can go.

    Attributes:
        path: Where it lies.
        why: What it is.
        bytes: What it takes.
    """

    path: str
    why: str
    bytes: int


def find_leftovers(folder: Path) -> tuple[list[Leftover], list[Found]]:
    """List what can go below a folder. Finished results never can, nor anything that is not ours.

    These are files that a killed process left half-written, all that failed and abandoned runs left, and checkpoints of
    trainings that are finished. An interrupted run, which can go on from a checkpoint, is none of them.

    Args:
        folder: Of a run or a study, or one that holds such.

    Returns:
        What can go, and the runs that were not looked into because a process writes to them.

    Raises:
        StudyError: It is no folder.
    """
    leftovers: list[Leftover] = []
    in_use = []
    studies: dict[Path, StudyFolder] = {}
    if StudyFolder(folder).plan.is_file():
        studies[folder.resolve()] = StudyFolder(folder)
    for found in find_runs([folder]):
        if found.is_in_use:
            in_use.append(found)
            continue
        leftovers += _of_run(found)
        if found.study is not None:
            studies[found.study.path.resolve()] = found.study
    for real, study in studies.items():
        if real.is_relative_to(folder.resolve()) and not is_in_use(study.path):
            leftovers += _partial_files(study.path, deep=False)
    return leftovers, in_use


def remove(leftovers: Sequence[Leftover]) -> int:
    """Delete leftovers, and folders of runs that are empty then; return the bytes that became free.

    Raises:
        StudyError: One of them cannot be deleted.
    """
    freed = 0
    for leftover in leftovers:
        path = Path(leftover.path)
        try:
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)
        except OSError as error:
            raise StudyError(f"{path} cannot be deleted: {error.strerror or error}") from error
        freed += leftover.bytes
        # A folder that still holds something else stays.
        with contextlib.suppress(OSError):
            path.parent.rmdir()
    return freed


def _of_run(found: Found) -> Iterator[Leftover]:
    run = found.run
    status = summarize(found).status
    if status in {"failed", "abandoned"}:
        for path in _files_of(run):
            yield Leftover(path=str(path), why=f"of a run that {_words(status)}", bytes=_bytes(path))
        yield from _partial_files(run.path)
        return
    if status == "finished":
        # A finished training removes them; a process that is killed at that very moment does not.
        if run.resume.is_dir() and not run.resume.is_symlink():
            yield Leftover(path=str(run.resume), why="checkpoints of a finished training", bytes=_bytes(run.resume))
        yield from _partial_files(run.path)


def _words(status: str) -> str:
    return "failed" if status == "failed" else "was ended before it finished"


def _files_of(run: RunFolder) -> list[Path]:
    """Return what a run writes: whatever else lies in its folder is somebody's own."""
    names = [
        run.record,
        run.metrics,
        run.log,
        run.resume,
        run.checkpoints,
        run.predictions("test").parent,
        run.sheet(1).parent,
    ]
    # The locks last: as long as they are there, the folder is recognised as a run's.
    names += [run.path / LOCK, run.path / WORKER_LOCK]
    return [path for path in names if path.exists() or path.is_symlink()]


def _partial_files(folder: Path, *, deep: bool = True) -> Iterator[Leftover]:
    """Yield what `photofinish.storage.atomic` had not yet put in its place."""
    for path in sorted(folder.rglob(f".*{PARTIAL}") if deep else folder.glob(f".*{PARTIAL}")):
        if path.is_file() and not path.is_symlink():
            yield Leftover(path=str(path), why="a file that was not written to its end", bytes=_bytes(path))


def _bytes(path: Path) -> int:
    if path.is_symlink() or path.is_file():
        return path.lstat().st_size
    return sum(
        os.lstat(os.path.join(root, name)).st_size  # noqa: PTH118  # as os.walk gives them
        for root, _, files in os.walk(path)
        for name in files
    )
