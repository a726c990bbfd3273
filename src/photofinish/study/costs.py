"""What each cell of a race will cost: from an earlier study on the same machine, or from a few steps run now."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median

from photofinish import backend
from photofinish.config import CellSettings, TrainingSettings
from photofinish.errors import PhotofinishError
from photofinish.runs import DataRecord, Notify, StageEvent, unheard
from photofinish.study.cells import FinishedCell
from photofinish.study.collect import compile_seconds
from photofinish.study.execute import run_process
from photofinish.study.measuring import CellCost
from photofinish.study.worker import Message, Task

# They change how long a training is, or what it learns, and not what a step costs.
FREE_OF_COST = frozenset(
    {"epochs", "steps", "learning_rate", "schedule", "warmup_epochs", "weight_decay", "label_smoothing", "weights"}
)


def measure(cell: CellSettings, prepared: Path, notify: Notify = unheard) -> CellCost:
    """Time a few steps of a cell in a process of its own.

    Args:
        cell: The cell.
        prepared: The prepared folder of the data.
        notify: Is told of progress.

    Raises:
        PhotofinishError: It cannot be run; the message says why.
    """
    heard: list[CellCost] = []

    def hear(message: Message) -> None:
        if message.measured:
            heard.append(CellCost.model_validate(message.measured))
        elif message.event:
            notify(StageEvent.model_validate(message.event))

    with tempfile.TemporaryDirectory(prefix="photofinish-") as folder:
        task = Task(
            settings=cell, prepared=prepared, folder=Path(folder), started=time.perf_counter(), only_measure=True
        )
        # Nothing may be left that the race would find: its own compile time would look like none.
        error = run_process(task, hear, {"PHOTOFINISH_COMPILATION_CACHE": "off"})
        if error is None and heard:
            return heard[0].but(compiles_once=backend.keeps_programs(cell.backend))
        log = (Path(folder) / "log.txt").read_text(encoding="utf-8", errors="replace").strip()
    said = log.splitlines()[-1] if log and "details in" in (error or "") else ""
    raise PhotofinishError(
        f"{cell.model} cannot be measured, nor raced: {(error or 'its process left no figures').split(' (details')[0]}"
        f"{f' ({said})' if said else ''}; mend it, or leave it out"
    )


def from_study(
    name: str, cell: CellSettings, data: DataRecord, finished: Sequence[FinishedCell], hardware: dict[str, str]
) -> CellCost | None:
    """Estimate what a cell costs from the finished seeds of its model in an earlier study.

    Times are in proportion to the number of steps and of pictures predicted.

    Args:
        name: What to call the study.
        cell: The cell.
        data: The pictures it will see.
        finished: Finished cells of the study.
        hardware: Of this machine, as the records have it.

    Returns:
        The cost, or None where the study has no such model, ran elsewhere, or under settings that change the cost of a
        step.
    """
    alike = [one for one in finished if _costs_alike(one, cell, hardware)]
    if not alike:
        return None
    epochs = cell.training.for_pictures(data.train).epochs
    steps = epochs * -(-data.train // cell.training.batch_size)
    rows = [_scaled(one, steps, epochs, data) for one in alike]
    typical = {key: median(row[key] for row in rows) for key in rows[0]}
    return CellCost(
        model=cell.model,
        source=f"as in {name}, {len(alike)} seed{'s' if len(alike) > 1 else ''}",
        compile=median(compile_seconds(alike)),
        compile_other=median(one.seconds.compile_other or 0.0 for one in alike),
        peak_memory_bytes=max(one.record.peak_memory_bytes or 0 for one in alike),
        load=None,
        compiles_once=backend.keeps_programs(cell.backend),
        **typical,
    )


def _scaled(one: FinishedCell, steps: int, epochs: int, data: DataRecord) -> dict[str, float]:
    """Return where the time of a finished cell would go with other numbers of steps and pictures."""
    spent, record = one.seconds, one.record
    before = record.data or data
    its_epochs = record.settings.training.for_pictures(before.train).epochs
    longer = steps / (record.steps or steps)
    of_validation = epochs * data.validation / (its_epochs * before.validation)
    of_evaluation = (data.validation + data.test) / (before.validation + before.test)
    of_features = (data.train + data.validation + data.test) / (before.train + before.validation + before.test)
    trained = spent.train - spent.features
    # What was found in the cache took no time of this process.
    features = 0.0 if record.features_from_cache else spent.features
    compiling = spent.compile + (spent.compile_other or 0.0)
    known = spent.build + compiling + trained + features + spent.validation + spent.reestimate + spent.evaluate
    return {
        "start": max(0.0, spent.total - known),
        "build": spent.build,
        "train": trained * longer,
        "features": spent.features * of_features,
        "validation": spent.validation * of_validation,
        "reestimate": spent.reestimate,
        "evaluate": spent.evaluate * of_evaluation,
    }


def _costs_alike(one: FinishedCell, cell: CellSettings, hardware: dict[str, str]) -> bool:
    """Return whether a step of a finished cell costs what a step of this one will."""
    record = one.record
    same_machine = hardware.items() <= record.hardware.items()
    same_cell = (record.settings.model, record.settings.backend) == (cell.model, cell.backend)
    same_pictures = record.settings.data.image_size == cell.data.image_size
    return (
        same_machine and same_cell and same_pictures and _of_cost(record.settings.training) == _of_cost(cell.training)
    )


def _of_cost(training: TrainingSettings) -> dict[str, object]:
    return training.model_dump(exclude=set(FREE_OF_COST))
