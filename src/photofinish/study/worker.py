"""The process of one cell: reads its task from standard input, tells its progress on standard output.

Each line of output is a JSON object with one of the keys `event`, `epoch`, `measured` and `error`. Whatever the
libraries print goes to the cell's log.
"""

from __future__ import annotations

import sys
import traceback
from pathlib import Path

from photofinish import backend
from photofinish.config import CellSettings, Settings
from photofinish.errors import PhotofinishError
from photofinish.runs import RunFolder, StageEvent
from photofinish.study.cell import run_cell
from photofinish.study.locks import only_worker
from photofinish.study.measuring import measure_cell
from photofinish.study.processes import first_line, keep_output_for_messages

EXIT_KNOWN_ERROR = 1
EXIT_DEFECT = 70


class Task(Settings):
    """What a worker is told to do.

    Attributes:
        settings: The cell.
        prepared: The prepared folder of the data.
        folder: The run folder.
        started: When the process was started, on the clock of `time.perf_counter`, which all processes share.
        only_measure: Whether to time a few steps of the cell instead of running it.
    """

    settings: CellSettings
    prepared: Path
    folder: Path
    started: float
    only_measure: bool = False


class Message(Settings):
    """A line from a worker to whoever started it; exactly one field is set."""

    event: dict[str, object] | None = None
    epoch: dict[str, object] | None = None
    measured: dict[str, object] | None = None
    error: str | None = None


def main() -> int:
    """Run the cell that standard input describes."""
    task = Task.model_validate_json(sys.stdin.read())
    folder = RunFolder(task.folder)
    output = keep_output_for_messages(folder.log)

    def say(message: Message) -> None:
        output.write(message.model_dump_json(exclude_none=True) + "\n")
        output.flush()

    def notify(event: StageEvent, /) -> None:
        say(Message(event=event.model_dump()))

    try:
        backend.select(task.settings.backend)
        backend.import_keras_alone()
        if task.only_measure:
            say(Message(measured=measure_cell(task.settings, task.prepared, notify, task.started).model_dump()))
            return 0
        with only_worker(folder):
            run_cell(
                task.settings,
                task.prepared,
                folder,
                notify=notify,
                on_epoch=lambda record: say(Message(epoch=record.model_dump())),
                started=task.started,
            )
    except BrokenPipeError:
        return EXIT_KNOWN_ERROR  # whoever started this process is gone
    except PhotofinishError as error:
        # A line says what a user needs; whoever wrote the model that failed needs more.
        traceback.print_exc()
        say(Message(error=str(error)))
        return EXIT_KNOWN_ERROR
    except Exception as error:  # noqa: BLE001  # the last line of defence: to the log in full, to the parent in a line
        traceback.print_exc()
        say(Message(error=f"{type(error).__name__}: {first_line(error)} (details in {folder.log})"))
        return EXIT_DEFECT
    return 0


if __name__ == "__main__":
    sys.exit(main())
