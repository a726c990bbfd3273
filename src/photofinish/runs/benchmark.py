"""What a benchmark writes down."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, Literal

from photofinish.config.base import Settings
from photofinish.config.benchmark import BenchmarkSettings
from photofinish.runs.load import LoadRecord
from photofinish.runs.stored import StoredRecord

Measure = Literal["training", "inference", "latency"]


class Spread(Settings):
    """Median and quartiles over the rounds."""

    median: float
    low: float
    high: float


class Percentiles(Settings):
    """Median, 90th and 99th percentile."""

    p50: float
    p90: float
    p99: float


class TurnRecord(Settings):
    """One model's turn: so many pictures in so many seconds.

    Attributes:
        round: 1 for the first.
        measure: What was measured.
        model: Whose turn it was.
        calls: Training steps, or batches predicted.
        images: Pictures in them.
        seconds: Wall time of all of them.
        images_per_second: Pictures over seconds.
        waiting_seconds: Part of `seconds` in which the device waited for data, see `TimeRecord.stall`; of training
            only.
    """

    round: int
    measure: Measure
    model: str
    calls: int
    images: int
    seconds: float
    images_per_second: float
    waiting_seconds: float | None = None


class ProgramRecord(Settings):
    """What it took before a compiled program ran at its ordinary speed.

    Attributes:
        compile_seconds: Tracing, compiling and first execution, beyond an ordinary call.
        from_cache: Whether the program was found compiled in the persistent cache; `compile_seconds` is then the time
            of tracing and finding it.
        warm_up_seconds: The calls after the first that are not counted.
        warm_up_calls: How many.
    """

    compile_seconds: float
    from_cache: bool
    warm_up_seconds: float
    warm_up_calls: int


class MemoryRecord(Settings):
    """The largest memory of the model's own process up to and including a part.

    Attributes:
        host_bytes: Resident memory: interpreter, libraries, compilation, weights and activations.
        device_bytes: Memory in use on the accelerator, or None where there is none or it does not tell.
    """

    host_bytes: int
    device_bytes: int | None = None


class TrainingSpeed(Settings):
    """How fast a model trains.

    Attributes:
        images_per_second: Over the rounds, waiting for data included.
        step_seconds: Seconds of a step over the rounds, without waiting for data.
        waiting_share: Share of the time in which the device waited for data, over all rounds.
        program: The training step.
        memory: Where inference was measured too, it came before and is part of it.
    """

    images_per_second: Spread
    step_seconds: Spread
    waiting_share: float
    program: ProgramRecord
    memory: MemoryRecord


class InferenceSpeed(Settings):
    """How fast a model predicts.

    Attributes:
        batch_size: Pictures in a batch, where throughput is measured.
        images_per_second: Over the rounds, from pictures in the host's memory to logits there.
        program: The program for these batches.
        latency_seconds: Of one picture alone: median, 90th and 99th percentile over all calls.
        latency_calls: How many calls that were.
        latency_program: The program for one picture.
        memory: Of both programs.
    """

    batch_size: int
    images_per_second: Spread
    program: ProgramRecord
    latency_seconds: Percentiles
    latency_calls: int
    latency_program: ProgramRecord
    memory: MemoryRecord


class ModelSpeed(Settings):
    """The figures of one model.

    Attributes:
        name: As it was asked for.
        parameters: All parameters.
        macs: Multiply-accumulates of one picture, or None where they cannot be counted.
        build_seconds: Building the network and its initial values.
        training: None where it was not measured.
        inference: Likewise.
        error: Why it could not be measured.
    """

    name: str
    parameters: int | None = None
    macs: int | None = None
    build_seconds: float | None = None
    training: TrainingSpeed | None = None
    inference: InferenceSpeed | None = None
    error: str | None = None


class BenchmarkRecord(StoredRecord):
    """A benchmark from its settings to its figures.

    Attributes:
        schema_version: Version of this layout.
        measured_at: When it began, ISO 8601 in UTC.
        command: The command line, for whoever wants to repeat it.
        settings: What was asked for.
        models: In the order in which they were asked for.
        turns: In the order in which they were taken.
        load: What else the machine was doing.
        warnings: Sentences that belong beside the figures.
        versions: Versions of Python and the libraries.
        hardware: Processor, cores, memory, device.
    """

    called: ClassVar[str] = "a benchmark"
    remedy: ClassVar[str] = "measure again"

    schema_version: Literal[1] = 1
    measured_at: str
    command: str
    settings: BenchmarkSettings
    models: tuple[ModelSpeed, ...]
    turns: tuple[TurnRecord, ...]
    load: LoadRecord
    warnings: tuple[str, ...]
    versions: dict[str, str]
    hardware: dict[str, str]

    @property
    def file_name(self) -> str:
        """`<date and time>-benchmark.json`."""
        return f"{self.measured_at.partition('+')[0].replace('T', '-').replace(':', '')}-benchmark.json"

    def write_into(self, folder: Path) -> None:
        """Write the record into a folder under its name, wholly or not at all."""
        self.write(folder / self.file_name)
