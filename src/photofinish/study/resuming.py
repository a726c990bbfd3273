"""Whether a run that was interrupted may go on, and what it was begun with."""

from __future__ import annotations

from pathlib import Path

from photofinish.config import CellSettings
from photofinish.config.checkpoints import CheckpointEvery
from photofinish.errors import PhotofinishError, StudyError
from photofinish.runs import DataRecord, RunFolder, RunRecord, StudyFolder, versions
from photofinish.runs.checkpoints import Beginning, CheckpointStore
from photofinish.runs.listings import changed_pictures
from photofinish.runs.memory import MemoryRecord
from photofinish.storage.sealed import DamagedError
from photofinish.study.sources import hash_sources


def beginning(
    cell: CellSettings, data: DataRecord, every: CheckpointEvery, memory: MemoryRecord | None = None
) -> Beginning:
    """Return what a run that is begun now is begun with.

    Args:
        cell: Its settings.
        data: The pictures.
        every: How often it is saved.
        memory: What was found to fit into memory, where that was asked for.
    """
    return Beginning(
        settings=cell,
        data=data,
        sources=hash_sources([cell.model], cell.training),
        versions=versions(),
        every=every,
        folder=str(Path.cwd()),
        memory=memory,
    )


def refuse_to_go_on(
    cell: CellSettings, data: DataRecord, folder: RunFolder, listing: Path | None = None, *, resumes: bool = False
) -> None:
    """Refuse to throw away the checkpoints of an interrupted run that something else is to be run in place of.

    One that failed by itself may be replaced: whoever changes a setting after that wants to mend it. Pictures that are
    others though the same were asked for may have changed unnoticed.

    Args:
        cell: What is to be run.
        data: The pictures that were found.
        folder: The run folder.
        listing: Where these are listed, so that those that changed can be named.
        resumes: Whether it was asked to go on: then nothing may differ, saved or not.

    Raises:
        StudyError: The folder holds such a run; what differs is named.
    """
    store = CheckpointStore(folder.resume)
    if not resumes and not store.checkpoints:
        return
    try:
        begun = store.read_beginning()
    except DamagedError:
        return  # there is nothing whole to lose
    are_others = begun.data.fingerprint != data.fingerprint
    same_asked = begun.settings.data.but(source=cell.data.source) == cell.data
    if not resumes and _status(folder) == "failed" and not (are_others and same_asked):
        return
    different = begun.differences(beginning(cell, data, begun.every))
    if different:
        if listing is not None and are_others:
            different += filter(None, [changed_pictures(folder.listing, listing)])
        raise StudyError(
            f"{folder.path} holds an interrupted run that cannot go on: {'; '.join(different)}. Run it as it was, "
            f"choose another --output, or delete {folder.resume} to begin anew"
        )


def read_interrupted(path: Path) -> Beginning:
    """Return what an interrupted run was begun with.

    Raises:
        StudyError: There is no such run.
    """
    folder = RunFolder(path)
    if not folder.resume.is_dir():
        hint = f"it has no folder {folder.resume.name}"
        if StudyFolder(path).plan.exists():
            hint = "it is a study; give its command again"
        elif folder.record.exists():
            hint = f"it is {RunRecord.read(folder.record).status}"
        raise StudyError(f"{path} holds no interrupted run: {hint}")
    try:
        return CheckpointStore(folder.resume).read_beginning()
    except DamagedError as error:
        raise StudyError(f"{error}; run the command of the run again, with the same --output") from error


def how_to_go_on(folder: RunFolder) -> str:
    """Say how far an interrupted run is saved and how it is gone on with."""
    if _status(folder) == "finished":
        return f"stopped, after {folder.path.name} had finished; the same command shows what came of it"
    latest = CheckpointStore(folder.resume).latest_record()
    saved = f"goes on from {latest.place}" if latest else "begins anew, nothing was saved yet"
    return f"stopped; run the same command again: {folder.path} {saved}"


def _status(folder: RunFolder) -> str | None:
    try:
        return RunRecord.read(folder.record).status
    except PhotofinishError:
        return None
