"""The process of one model in a benchmark: prepares, then measures a turn whenever it is told to.

Standard input and output carry lines of JSON, see `messages`. Whatever the libraries print goes to a log.
"""

from __future__ import annotations

import sys
import time
import traceback
from collections.abc import Callable
from typing import TYPE_CHECKING

from photofinish import backend
from photofinish.errors import PhotofinishError
from photofinish.runs import peak_resident_bytes
from photofinish.runs.benchmark import Measure, MemoryRecord
from photofinish.study.benchmark.messages import Finished, Order, Prepared, Reply, Task
from photofinish.study.cell import PRECISION_POLICIES
from photofinish.study.processes import first_line, keep_output_for_messages
from photofinish.study.worker import EXIT_DEFECT, EXIT_KNOWN_ERROR

if TYPE_CHECKING:  # imports Keras
    from photofinish.study.benchmark.measures import Timed


def main() -> int:
    """Measure the model that the first line of standard input names."""
    task = Task.model_validate_json(sys.stdin.readline())
    output = keep_output_for_messages(task.log)

    def say(reply: Reply) -> None:
        output.write(reply.model_dump_json(exclude_none=True) + "\n")
        output.flush()

    try:
        _serve(task, say)
    except BrokenPipeError:
        return EXIT_KNOWN_ERROR  # whoever started this process is gone
    except PhotofinishError as error:
        traceback.print_exc()
        say(Reply(error=str(error)))
        return EXIT_KNOWN_ERROR
    except Exception as error:  # noqa: BLE001  # the last line of defence: to the log in full, to the parent in a line
        traceback.print_exc()
        say(Reply(error=f"{type(error).__name__}: {first_line(error)} (details in {task.log})"))
        return EXIT_DEFECT
    return 0


def _serve(task: Task, say: Callable[[Reply], None]) -> None:
    measures: dict[Measure, Timed] = {}
    memory: dict[Measure, MemoryRecord] = {}
    say(Reply(prepared=_prepare(task, measures, memory, lambda doing: say(Reply(doing=doing)))))
    last = next(reversed(measures))
    for line in sys.stdin:
        measure = Order.model_validate_json(line).measure
        if measure is not None:
            say(Reply(turn=measures[measure].turn()))
            continue
        # What was prepared last held the most, and may have grown in its turns.
        memory[last] = _memory()
        say(Reply(finished=Finished(programs={name: one.program for name, one in measures.items()}, memory=memory)))


def _prepare(
    task: Task, measures: dict[Measure, Timed], memory: dict[Measure, MemoryRecord], doing: Callable[[str], None]
) -> Prepared:
    """Build the network and prepare what is asked for, inference first: training needs more memory."""
    with backend.lean_imports():
        backend.select(task.settings.backend)
        # Keras reads the backend when it is imported.
        import keras

    from photofinish.models import Head, build, count_macs, count_parameters
    from photofinish.models.inference import MANY
    from photofinish.study.benchmark.measures import Prediction, Training, noise

    settings = task.settings
    keras.config.set_dtype_policy(PRECISION_POLICIES[settings.precision])
    doing("building")
    start = time.perf_counter()
    entrant = build(task.model, Head(settings.classes), image_size=settings.image_size)
    seconds = time.perf_counter() - start
    data = noise(settings)
    if settings.part != "training":
        doing("compiling prediction")
        measures["inference"] = Prediction(entrant.model, data, settings, MANY)
        measures["latency"] = Prediction(entrant.model, data, settings, 1)
        memory["inference"] = memory["latency"] = _memory()
    if settings.part != "inference":
        doing("compiling the training step")
        measures["training"] = Training(entrant.model, data, settings)
        memory["training"] = _memory()
    return Prepared(
        parameters=count_parameters(entrant.model),
        macs=count_macs(entrant.model, settings.image_size),
        build_seconds=seconds,
        device=backend.device_name(),
    )


def _memory() -> MemoryRecord:
    return MemoryRecord(host_bytes=peak_resident_bytes(), device_bytes=backend.peak_device_memory())


if __name__ == "__main__":
    sys.exit(main())
