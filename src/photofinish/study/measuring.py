"""What a cell will cost, measured in its own process: the worker's part."""

from __future__ import annotations

import time
from pathlib import Path

from pydantic import Field

from photofinish import backend
from photofinish.config import CellSettings, Settings
from photofinish.runs import LoadRecord, LoadWatch, Notify, peak_resident_bytes
from photofinish.study.cell import open_cell


class CellCost(Settings):
    """What one seed of a model costs, in seconds of wall time and bytes.

    Attributes:
        model: The model as it was asked for.
        source: Where the figures come from, in words.
        start: From the start of the process until the network can be built.
        build: Building the network.
        compile: Compiling the training steps; later seeds find the programs in the cache (JAX).
        compile_other: Compiling what predicts and estimates averages.
        features: Computing a frozen network's features, once for all seeds.
        train: All training steps.
        validation: Validation after every epoch.
        reestimate: Estimating BatchNormalization's averages anew.
        evaluate: Predicting the validation and test pictures at the end.
        peak_memory_bytes: Largest resident memory of the process, or device memory where there is a device.
        compiles_once: Whether later seeds find compiled programs in the cache.
        load: What else the machine was doing while it was measured; None where it was taken from a study.
    """

    model: str
    source: str
    start: float = Field(ge=0)
    build: float = Field(ge=0)
    compile: float = Field(ge=0)
    compile_other: float = Field(ge=0)
    features: float = Field(ge=0)
    train: float = Field(ge=0)
    validation: float = Field(ge=0)
    reestimate: float = Field(ge=0)
    evaluate: float = Field(ge=0)
    peak_memory_bytes: int = Field(ge=0)
    load: LoadRecord | None = None
    compiles_once: bool = True

    @property
    def every_seed(self) -> float:
        """Seconds that every seed takes, without what is done once for all of them."""
        compiling = 0.0 if self.compiles_once else self.compile + self.compile_other
        return compiling + self.start + self.build + self.train + self.validation + self.reestimate + self.evaluate

    @property
    def once(self) -> float:
        """Seconds that are spent once for all seeds: compilation, and a frozen network's features."""
        return (self.compile + self.compile_other if self.compiles_once else 0.0) + self.features


def measure_cell(settings: CellSettings, prepared: Path, notify: Notify, started: float | None = None) -> CellCost:
    """Time a few training steps and prediction batches of a cell, through the code that runs it.

    Args:
        settings: Model, seed, backend, data and training.
        prepared: The prepared folder of the data.
        notify: Is told of progress.
        started: When the process started, on the clock of `time.perf_counter`; None is now.

    Raises:
        PhotofinishError: The model, its weights, the data or the training is at fault.
    """
    begin = time.perf_counter() if started is None else started
    watch = LoadWatch()
    opened = open_cell(settings, prepared, notify)
    start = time.perf_counter() - begin - opened.build_seconds
    from photofinish.training import measure_entrant

    cost = measure_entrant(
        opened.entrant,
        settings.model,
        opened.data,
        settings.data.image_size,
        opened.training,
        settings.seed,
        notify,
    )
    steps = "step" if cost.steps == 1 else "steps"
    return CellCost(
        model=settings.model,
        source=f"measured now, over {cost.steps} training {steps}",
        start=start,
        build=opened.build_seconds,
        peak_memory_bytes=backend.peak_device_memory() or peak_resident_bytes(),
        load=watch.record(),
        **cost.model_dump(exclude={"steps"}),
    )
