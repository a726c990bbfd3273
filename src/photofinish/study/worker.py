"""The process of one cell: reads its task from standard input, tells its progress on standard output.

Each line of output is a JSON object with one of the keys `event`, `epoch`, `note`, `measured`, `trial` and `error`.
Whatever the libraries print goes to the cell's log.

SIGTERM ends it: at once where there is nothing to save, and in training after a checkpoint.
"""

from __future__ import annotations

import contextlib
import functools
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from types import FrameType

from photofinish import backend
from photofinish.config import CellSettings, Settings, is_custom
from photofinish.config.checkpoints import DEFAULT_EVERY, CheckpointEvery
from photofinish.errors import PhotofinishError, StopRequestedError
from photofinish.runs import Notify, RunFolder, StageEvent, digest_of_our_code, versions
from photofinish.runs.checkpoints import CheckpointStore
from photofinish.runs.memory import MemoryRecord
from photofinish.study.cell import run_cell
from photofinish.study.locks import only_worker
from photofinish.study.measuring import measure_cell
from photofinish.study.probing import Probe, probe_cell
from photofinish.study.processes import first_line, keep_output_for_messages
from photofinish.study.resuming import how_to_go_on

EXIT_KNOWN_ERROR = 1
EXIT_DEFECT = 70
EXIT_STOPPED = 75
HOW_TO_FIT = "find the largest batch that fits with --batch-size auto, or keep the batch with --micro-batch-size auto"


class Task(Settings):
    """What a worker is told to do.

    Attributes:
        settings: The cell.
        prepared: The prepared folder of the data.
        folder: The run folder.
        started: When the process was started, on the clock of `time.perf_counter`, which all processes share. Of one
            that waited for its task, as if it had been started when it was told, less what it had worked by then.
        every: How often the training is saved.
        only_measure: Whether to time a few steps of the cell instead of running it.
        probe: What to try of the cell instead of running it, to see whether it fits into memory.
        memory: What was found to fit, for the record.
    """

    settings: CellSettings
    prepared: Path
    folder: Path
    started: float
    every: CheckpointEvery = DEFAULT_EVERY
    only_measure: bool = False
    probe: Probe | None = None
    memory: MemoryRecord | None = None


class Message(Settings):
    """A line from a worker to whoever started it; exactly one field is set."""

    event: dict[str, object] | None = None
    epoch: dict[str, object] | None = None
    note: str | None = None
    measured: dict[str, object] | None = None
    trial: dict[str, object] | None = None
    error: str | None = None


class Stopping:
    """Puts SIGTERM off while there is something to save.

    Python handles a signal between two of its own instructions, which may be a minute away while a program compiles. So
    the signal keeps its ordinary effect until a step was taken.
    """

    def __init__(self) -> None:
        self.requested = False

    def heed(self, event: StageEvent) -> None:
        """Put the signal off in training, and let it end the process elsewhere.

        Raises:
            StopRequestedError: It came.
        """
        if self.requested:
            raise StopRequestedError
        if event.stage == "training":
            signal.signal(signal.SIGTERM, self._note)
        elif event.stage in {"re-estimating", "predicting"}:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)

    def _note(self, _number: int, _frame: FrameType | None) -> None:
        self.requested = True


def main(arguments: Sequence[str] = ()) -> int:
    """Run the cell that standard input describes.

    Args:
        arguments: The backend that the cell will have, where it is to be imported before the cell is known.

    Returns:
        The exit code.
    """
    _import_ahead(*arguments)
    task = Task.model_validate_json(sys.stdin.read())
    folder = RunFolder(task.folder)
    output = keep_output_for_messages(folder.log)

    def say(message: Message) -> None:
        output.write(message.model_dump_json(exclude_none=True) + "\n")
        output.flush()

    stopping = Stopping()

    def notify(event: StageEvent, /) -> None:
        stopping.heed(event)
        say(Message(event=event.model_dump()))

    def note(text: str) -> None:
        with contextlib.suppress(OSError):  # a full disk is what the text may be about
            print(text, flush=True)  # to the log
        say(Message(note=text))

    try:
        with backend.lean_imports():
            backend.select(task.settings.backend)
            if not (task.only_measure or task.probe):  # what is measured is to be what it would be at first
                decides = functools.partial(_decides_programs, task)
                if not backend.foreseen.begin(decides) and _compiles_beside(task.settings):
                    # It imports what it needs while this process, on another core, imports and builds.
                    backend.expect_compilation(decides())
            import keras  # noqa: F401
        _do(task, notify, note, say)
    except StopRequestedError:
        say(Message(error=how_to_go_on(folder)))
        return EXIT_STOPPED
    except BrokenPipeError:
        return EXIT_KNOWN_ERROR  # whoever started this process is gone
    except PhotofinishError as error:
        # A line says what a user needs; whoever wrote the model that failed needs more.
        traceback.print_exc()
        say(Message(error=str(error)))
        return EXIT_KNOWN_ERROR
    except Exception as error:  # noqa: BLE001  # the last line of defence: to the log in full, to the parent in a line
        traceback.print_exc()
        reason = f"memory ran out; {HOW_TO_FIT}" if backend.is_out_of_memory(error) else type(error).__name__
        say(Message(error=f"{reason}: {first_line(error)} (details in {folder.log})"))
        return EXIT_DEFECT
    finally:
        backend.foreseen.close()
    return 0


def _import_ahead(name: str | None = None) -> None:
    """Import what every run needs, and say what that took, in seconds of a core, to whoever then tells what to run.

    Args:
        name: The backend; None imports and says nothing.
    """
    if name is None:
        return
    output = os.dup(1)
    # What else is printed is not to be taken for it.
    os.dup2(2, 1)
    with backend.lean_imports():
        backend.select(name)
        import keras  # noqa: F401
    os.dup2(output, 1)
    os.close(output)
    print(time.process_time(), flush=True)


def _decides_programs(task: Task) -> str:
    """Return in words what decides the programs that a run needs before its first step."""
    goes_on = bool(CheckpointStore(RunFolder(task.folder).resume).checkpoints)
    settings = task.settings.model_dump(mode="json", exclude={"seed"})
    return repr((settings, str(task.prepared), goes_on, versions(), digest_of_our_code()))


def _compiles_beside(settings: CellSettings) -> bool:
    """Return whether another process compiles for a training: what it is, is known, and is more than a head."""
    return not is_custom(settings.model) and settings.training.train != "head"


def _do(task: Task, notify: Notify, note: Callable[[str], None], say: Callable[[Message], None]) -> None:
    """Do what a task is."""
    settings, prepared, folder = task.settings, task.prepared, RunFolder(task.folder)
    if task.only_measure:
        say(Message(measured=measure_cell(settings, prepared, notify, task.started).model_dump()))
    elif task.probe:
        probe_cell(settings, prepared, task.probe, notify, lambda trial: say(Message(trial=trial.model_dump())))
    else:
        with only_worker(folder):
            run_cell(
                settings,
                prepared,
                folder,
                notify=notify,
                on_epoch=lambda record: say(Message(epoch=record.model_dump())),
                note=note,
                every=task.every,
                memory=task.memory,
                started=task.started,
            )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
