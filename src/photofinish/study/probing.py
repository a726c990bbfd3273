"""Whether the training steps of a cell fit into memory: the worker's part, in a process that may be killed for it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from photofinish import backend
from photofinish.config import CellSettings, TrainingSettings
from photofinish.config.base import Settings
from photofinish.config.memory import Probed
from photofinish.runs import Notify
from photofinish.runs.memory import MemoryWatch, Trial, lower_limits
from photofinish.study.cell import open_cell
from photofinish.study.processes import first_line


class Probe(Settings):
    """What a worker is to try.

    Attributes:
        probed: The setting whose values are tried.
        sizes: The values, the smallest first.
        limit_bytes: What the process may use of the computer's memory.
    """

    probed: Probed
    sizes: tuple[int, ...]
    limit_bytes: int


def probe_cell(
    settings: CellSettings, prepared: Path, probe: Probe, notify: Notify, tell: Callable[[Trial], None]
) -> None:
    """Take training steps with one size after the other, until one does not fit.

    Args:
        settings: Model, seed, backend, data and training.
        prepared: The prepared folder of the data.
        probe: What to try.
        notify: Is told of progress.
        tell: Is given each trial; of one that the process does not survive, nothing.

    Raises:
        PhotofinishError: The model, its weights, the data or the training is at fault.
    """
    lower_limits()
    watch = MemoryWatch(probe.limit_bytes)
    size = probe.sizes[0]
    try:
        opened = open_cell(settings, prepared, notify)
        # This imports Keras.
        from photofinish.training.probing import ProbedNetwork

        network = ProbedNetwork(opened.entrant, settings.model, opened.data, settings.data.image_size, settings.seed)
        for size in probe.sizes:
            network.take_steps(with_size(opened.training, probe.probed, size))
            peak = backend.peak_device_memory() or watch.take_peak()
            tell(Trial(model=settings.model, pictures=size, peak_memory_bytes=peak))
    except Exception as error:
        if not backend.is_out_of_memory(error):
            raise
        tell(Trial(model=settings.model, pictures=size, problem=first_line(error)))


def with_size(training: TrainingSettings, probed: Probed, size: int) -> TrainingSettings:
    """Return settings with a value that was found; a micro-batch that is the whole batch is none."""
    if probed == "batch_size":
        return training.but(batch_size=size, micro_batch_size=None)
    return training.but(micro_batch_size=None if size == training.batch_size else size)


def sizes_in_order(sizes: Sequence[int], few: int) -> list[tuple[int, ...]]:
    """Return the sizes in the groups in which they are tried: small ones only where no other fits.

    Examples:
        >>> sizes_in_order([1, 2, 4, 8, 16], 8)
        [(8, 16), (1, 2, 4)]
    """
    groups = [tuple(size for size in sizes if size >= few), tuple(size for size in sizes if size < few)]
    return [group for group in groups if group]
