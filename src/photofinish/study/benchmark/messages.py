"""What a benchmark and the process of a model tell each other, a line of JSON at a time."""

from __future__ import annotations

from pathlib import Path

from photofinish.config import Settings
from photofinish.config.benchmark import BenchmarkSettings
from photofinish.runs.benchmark import Measure, MemoryRecord, ProgramRecord


class Task(Settings):
    """The first line to the process: what it measures.

    Attributes:
        model: As it was asked for.
        settings: The benchmark.
        log: Where everything goes that libraries print.
    """

    model: str
    settings: BenchmarkSettings
    log: Path


class Order(Settings):
    """Every further line: a turn of this measure, or, without one, the last figures."""

    measure: Measure | None = None


class Prepared(Settings):
    """The answer to the task: the network is built, its programs are compiled and warm."""

    parameters: int
    macs: int | None = None
    build_seconds: float
    device: str


class Turn(Settings):
    """The answer to an order: see `TurnRecord`; of latency also the seconds of every call."""

    calls: int
    images: int
    seconds: float
    waiting_seconds: float | None = None
    call_seconds: tuple[float, ...] = ()


class Finished(Settings):
    """The last answer.

    Attributes:
        programs: What came before the ordinary speed of each measure.
        memory: The largest memory after the preparation of each measure, at the end for the last one.
    """

    programs: dict[Measure, ProgramRecord]
    memory: dict[Measure, MemoryRecord]


class Reply(Settings):
    """A line from the process; exactly one field is set."""

    doing: str | None = None
    prepared: Prepared | None = None
    turn: Turn | None = None
    finished: Finished | None = None
    error: str | None = None
