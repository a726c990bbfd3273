"""Running cells one after the other, each in its own process."""

from __future__ import annotations

import contextlib
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from pydantic import ValidationError

from photofinish.config import CellSettings
from photofinish.config.checkpoints import DEFAULT_EVERY, CheckpointEvery
from photofinish.config.settings import BackendName
from photofinish.errors import PhotofinishError, StudyError
from photofinish.runs import DataRecord, EpochRecord, Predictions, RunFolder, RunRecord, StageEvent, StudyFolder
from photofinish.runs.memory import MemoryRecord
from photofinish.study.locks import LOCK, WORKER_LOCK
from photofinish.study.processes import ending, exit_in_words, worker_process
from photofinish.study.resuming import how_to_go_on, refuse_to_go_on
from photofinish.study.worker import Message, Task

WORKER = "photofinish.study.worker"
DIED = "its process ended with"
"""So begins what is said of a worker that did not live to say it."""


class Observer:
    """Is told how the cells fare, and says nothing; displays override what they show."""

    def started(self, cell: CellSettings) -> None:
        """Take note that a cell's process starts."""

    def skipped(self, cell: CellSettings, record: RunRecord) -> None:
        """Take note that a cell was finished before."""

    def event(self, cell: CellSettings, event: StageEvent) -> None:
        """Take note where a cell is."""

    def epoch(self, cell: CellSettings, record: EpochRecord) -> None:
        """Take note how an epoch ended."""

    def note(self, cell: CellSettings, text: str) -> None:
        """Take note of a sentence about a cell that its user should see."""

    def finished(self, cell: CellSettings, record: RunRecord) -> None:
        """Take note that a cell is finished."""

    def failed(self, cell: CellSettings, error: str) -> None:
        """Take note that a cell failed."""


class WaitingWorker:
    """A worker's process that imports what every run needs before it is told what to run.

    Pictures are prepared meanwhile. It can do one run; whatever is wrong with it, another process is started in its
    place.
    """

    def __init__(self, process: subprocess.Popen[bytes] | None = None) -> None:
        self._process = process

    def take(self) -> tuple[subprocess.Popen[bytes], float] | None:
        """Wait until it has imported everything.

        Returns:
            The process, the first time, and the seconds of a core that it took; None where it is gone.
        """
        process, self._process = self._process, None
        if process is None or process.stdout is None:
            return None
        said = process.stdout.readline()
        if process.poll() is not None or not said:
            return None
        return process, float(said)


@contextlib.contextmanager
def waiting_worker(backend: BackendName, *, wanted: bool = True) -> Iterator[WaitingWorker]:
    """Start a worker that waits for its task, and end it where it is given none.

    Args:
        backend: What it imports.
        wanted: Whether to start one at all: it would be in the way of what is tried to fit into memory.
    """
    if not wanted:
        yield WaitingWorker()
        return
    with worker_process(WORKER, subprocess.DEVNULL, arguments=(backend,)) as process:
        yield WaitingWorker(process)


def execute(
    cell: CellSettings,
    prepared: Path,
    folder: RunFolder,
    observer: Observer,
    every: CheckpointEvery = DEFAULT_EVERY,
    memory: MemoryRecord | None = None,
    waiting: WaitingWorker | None = None,
) -> RunRecord:
    """Run a cell in its own process, unless it was finished before; one that was interrupted goes on.

    Args:
        cell: What to run.
        prepared: The prepared folder of the data.
        folder: The run folder.
        observer: Is told how it goes.
        every: How often its training is saved.
        memory: What was found to fit into memory, for its record.
        waiting: A process for the first that needs one. Its run counts as begun now, but for the time of a core that it
            has worked: beside the preparation of pictures it was slower than it would have been alone.

    Returns:
        The record in the run folder, finished or failed.

    Raises:
        KeyboardInterrupt: It was interrupted; the message says how to go on.
    """
    before = finished_before(cell, folder)
    if before is not None:
        observer.skipped(cell, before)
        return before
    observer.started(cell)

    def hear(message: Message) -> None:
        if message.event:
            observer.event(cell, StageEvent.model_validate(message.event))
        elif message.epoch:
            observer.epoch(cell, EpochRecord.model_validate(message.epoch))
        elif message.note:
            observer.note(cell, message.note)

    try:
        process, worked = (waiting and waiting.take()) or (None, 0.0)
        started = time.perf_counter() - worked
        task = Task(settings=cell, prepared=prepared, folder=folder.path, started=started, every=every, memory=memory)
        error = run_process(task, hear, process=process)
    except KeyboardInterrupt:
        raise KeyboardInterrupt(how_to_go_on(folder)) from None
    record = finished_before(cell, folder)
    if error is None and record is not None:
        observer.finished(cell, record)
        return record
    failure = RunRecord(status="failed", settings=cell, error=error or "the process left no result")
    failure.write(folder.record)
    observer.failed(cell, failure.error or "")
    return failure


def finished_before(cell: CellSettings, folder: RunFolder) -> RunRecord | None:
    """Return the record of a cell that is complete and was run with these settings, or None."""
    if not folder.record.exists():
        return None
    try:
        record = RunRecord.read(folder.record)
        for split in ("validation", "test"):
            Predictions.read(folder.predictions(split))
    except PhotofinishError:
        return None
    return record if record.status == "finished" and same_settings(record.settings, cell) else None


def same_settings(first: CellSettings, other: CellSettings) -> bool:
    """Return whether two cells are the same, wherever their pictures lie: folders may be moved."""
    elsewhere = other.but(data=other.data.but(source=first.data.source))
    return first == elsewhere


def refuse_another_run(
    cell: CellSettings, data: DataRecord, folder: RunFolder, listing: Path | None = None, *, resumes: bool = False
) -> None:
    """Refuse to replace a run of other settings or pictures, or to write into a folder that is something else.

    A run is refused to be replaced where it is finished, and where it was interrupted and can go on.

    Args:
        cell: What is to be run.
        data: The pictures that were found.
        folder: The run folder.
        listing: Where these are listed, so that those that changed can be named.
        resumes: Whether it was asked to go on with what is there.

    Raises:
        StudyError: The folder holds such a thing.
    """
    if StudyFolder(folder.path).plan.exists():
        raise StudyError(
            f"{folder.path} is a study, and a single run cannot be kept in it; choose another --output, or add the "
            "model to the study with photofinish compare"
        )
    if folder.record.exists():
        record = RunRecord.read(folder.record)
        settings = same_settings(record.settings, cell)
        # What a folder of pictures is called may change when it is moved.
        pictures = record.data is not None and record.data.but(name=data.name) == data
        if record.status == "finished" and not (settings and pictures):
            other = "pictures" if settings else "settings"
            raise StudyError(
                f"{folder.path} holds a finished run of {record.settings.model} with other {other}; "
                "choose another --output"
            )
    elif not folder.log.exists() and any(path.name not in {LOCK, WORKER_LOCK} for path in folder.path.iterdir()):
        raise StudyError(f"{folder.path} is not empty and not a run; choose another --output")
    refuse_to_go_on(cell, data, folder, listing, resumes=resumes)


def run_process(
    task: Task,
    hear: Callable[[Message], None],
    environment: Mapping[str, str] | None = None,
    process: subprocess.Popen[bytes] | None = None,
) -> str | None:
    """Run a worker and pass on what it says, errors aside; return why it failed, or None.

    Args:
        task: What it is to do.
        hear: Is given each message.
        environment: Variables beside those of this process.
        process: One that waits for its task; None starts one.
    """
    log = RunFolder(task.folder).log
    log.parent.mkdir(parents=True, exist_ok=True)
    error: str | None = None
    with contextlib.ExitStack() as stack:
        errors = stack.enter_context(log.open("wb"))
        running = worker_process(WORKER, errors.fileno(), environment) if process is None else ending(process)
        process = stack.enter_context(running)
        if process.stdin is not None:
            with contextlib.suppress(BrokenPipeError):
                process.stdin.write(task.model_dump_json().encode())
                process.stdin.close()
        for line in process.stdout or ():
            try:
                message = Message.model_validate_json(line)
            except ValidationError:
                continue  # a process that is killed may leave half a line; its exit code says what happened
            if message.error:
                error = message.error
            else:
                hear(message)
        code = process.wait()
    if error is None and code != 0:
        return f"{DIED} {exit_in_words(code)} (details in {log})"
    return error
