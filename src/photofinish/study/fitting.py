"""`auto`: the largest batch, or part of a batch, whose training steps fit into memory, found in processes of its own.

A process is given the sizes from small to large, tells which of them it survived, and may be killed by the next. What
it last told is the answer. One size is found for all models of a comparison: the smallest of their largest.
"""

from __future__ import annotations

import contextlib
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from photofinish.config import CellSettings
from photofinish.config.memory import FEW_PICTURES, Probed, sizes_to_try
from photofinish.data import Progress
from photofinish.errors import PhotofinishError
from photofinish.runs import DataRecord, RunFolder, RunRecord
from photofinish.runs.checkpoints import CheckpointStore
from photofinish.runs.memory import SHARE_OF_FREE, MemoryRecord, Trial, available_bytes
from photofinish.study.execute import DIED, run_process
from photofinish.study.probing import Probe, sizes_in_order
from photofinish.study.worker import Message, Task


def find_size(
    cells: Sequence[CellSettings], probed: Probed, data: DataRecord, prepared: Path, progress: Progress | None = None
) -> MemoryRecord:
    """Find the largest size that fits for every one of some cells.

    Args:
        cells: One of each model, with the batch that is to be kept where parts of it are looked for.
        probed: What is looked for.
        data: The pictures.
        prepared: Their prepared folder.
        progress: Is told what is being tried.

    Raises:
        PhotofinishError: A model cannot be trained, or not even one picture fits.
    """
    limit = int(SHARE_OF_FREE * available_bytes())
    sizes = sizes_to_try(probed, cells[0].training.batch_size, data.train)
    trials: list[Trial] = []
    for cell in cells:
        own = _try_cell(cell, prepared, probed, sizes, limit, progress)
        trials += own
        largest = max((one.pictures for one in own if one.problem is None), default=0)
        if not largest:
            raise PhotofinishError(
                f"not even {sizes[0]} picture of {cell.data.image_size} pixels fits into the {limit / 1e9:.1f} GB that "
                f"{cell.model} may use: {own[-1].problem}; choose a smaller image_size or model, or free some memory"
            )
        # What is too much for one is of no use to the others.
        sizes = [size for size in sizes if size <= largest]
    return MemoryRecord(asked=probed, found=sizes[-1], limit_bytes=limit, trials=tuple(trials))


def size_before(folder: RunFolder, probed: Probed) -> MemoryRecord | None:
    """Return what was found for the run that a folder holds, finished or interrupted, so that it is gone on with."""
    found: list[MemoryRecord | None] = []
    with contextlib.suppress(PhotofinishError):
        found.append(CheckpointStore(folder.resume).read_beginning().memory)
    with contextlib.suppress(PhotofinishError):
        record = RunRecord.read(folder.record)
        found.append(record.memory if record.status == "finished" else None)
    return next((one for one in found if one and one.asked == probed), None)


def _try_cell(
    cell: CellSettings, prepared: Path, probed: Probed, sizes: Sequence[int], limit: int, progress: Progress | None
) -> list[Trial]:
    """Try sizes until one does not fit; the small ones only where no other does."""
    trials: list[Trial] = []
    for group in sizes_in_order(sizes, FEW_PICTURES):
        trials += _in_a_process(cell, prepared, Probe(probed=probed, sizes=group, limit_bytes=limit), progress)
        if any(one.problem is None for one in trials):
            break
    return trials


def _in_a_process(cell: CellSettings, prepared: Path, probe: Probe, progress: Progress | None) -> list[Trial]:
    trials: list[Trial] = []
    name = cell.model.rsplit("/", 1)[-1]

    def say() -> None:
        if progress and len(trials) < len(probe.sizes) and not (trials and trials[-1].problem):
            pictures = probe.sizes[len(trials)]
            progress(f"{name}: trying {pictures} picture{'s' if pictures > 1 else ''} at once", 0, None)

    def hear(message: Message) -> None:
        if message.trial:
            trials.append(Trial.model_validate(message.trial))
            say()

    say()
    with tempfile.TemporaryDirectory(prefix="photofinish-") as folder:
        task = Task(settings=cell, prepared=prepared, folder=Path(folder), started=time.perf_counter(), probe=probe)
        # Nothing may be left that the run would find: its own compile time would look like none.
        error = run_process(task, hear, {"PHOTOFINISH_COMPILATION_CACHE": "off"})
        log = (Path(folder) / "log.txt").read_text(encoding="utf-8", errors="replace").strip()
    said = log.splitlines()[-1] if log else ""
    if error is not None and not error.startswith(DIED):
        raise PhotofinishError(
            f"{cell.model} cannot be trained: {error.split(' (details')[0]}; mend it, or leave it out"
        )
    if error is not None and len(trials) < len(probe.sizes):
        reason = error.split(" (details")[0]
        problem = f"{reason}{f': {said}' if said else ''}"
        trials.append(Trial(model=cell.model, pictures=probe.sizes[len(trials)], problem=problem))
    return trials
