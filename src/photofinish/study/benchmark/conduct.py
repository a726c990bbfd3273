"""Conducting a benchmark: one process a model, all kept alive, turns taken round by round, figures at the end."""

from __future__ import annotations

import contextlib
import datetime as dt
import subprocess
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import numpy as np
from pydantic import ValidationError

from photofinish import backend
from photofinish.config import DataSettings, TrainingSettings
from photofinish.config.benchmark import BenchmarkSettings
from photofinish.errors import StudyError
from photofinish.runs import LoadRecord, LoadWatch, cell_name, hardware, versions
from photofinish.runs.benchmark import (
    BenchmarkRecord,
    InferenceSpeed,
    Measure,
    ModelSpeed,
    Percentiles,
    ProgramRecord,
    Spread,
    TrainingSpeed,
    TurnRecord,
)
from photofinish.runs.environment import usable_cores
from photofinish.runs.load import load_average
from photofinish.storage import cache_folder
from photofinish.study.benchmark.messages import Finished, Order, Prepared, Reply, Task
from photofinish.study.processes import exit_in_words, worker_process
from photofinish.study.race import Race, check_models

WORKER = "photofinish.study.benchmark.worker"
MEASURES: dict[str, tuple[Measure, ...]] = {
    "training": ("training",),
    "inference": ("inference", "latency"),
    "both": ("training", "inference", "latency"),
}
# With fewer calls the 99th percentile is hardly more than the longest.
CALLS_FOR_PERCENTILES = 100
# A load average above this share of the cores before anything was begun is somebody else's.
BUSY_SHARE = 0.5


def run_benchmark(
    settings: BenchmarkSettings, notify: Callable[[str], None] = lambda _: None, command: str = ""
) -> BenchmarkRecord:
    """Time models beside each other.

    Every model has a process of its own, so that memory and compilation are its own, and keeps it to the end. The
    models are prepared one after the other and then take turns, A B C A B C ..., so that whatever drifts (a processor
    that grows hot, a neighbour that wakes up) falls on all of them alike. Only one of them computes at any time.

    Args:
        settings: What to measure.
        notify: Is told what is being done.
        command: The command line, for the record.

    Raises:
        SettingsError: A model or the backend is unknown.
        StudyError: No model could be measured.
    """
    training = TrainingSettings(batch_size=settings.batch_size, precision=settings.precision)
    check_models(
        Race(settings.models, (0,), DataSettings(image_size=settings.image_size), training, backend=settings.backend)
    )
    began = dt.datetime.now(dt.UTC).isoformat(timespec="seconds")
    _say_if_busy(notify)
    watch = LoadWatch()
    contestants = [_Contestant(model) for model in settings.models]
    turns: list[TurnRecord] = []
    with contextlib.ExitStack() as stack:
        for contestant in contestants:
            contestant.start(stack, settings, notify)
        for round_number in range(1, settings.rounds + 1):
            notify(f"round {round_number} of {settings.rounds}")
            for measure in MEASURES[settings.part]:
                turns += [turn for one in contestants if (turn := one.turn(round_number, measure)) is not None]
        for contestant in contestants:
            contestant.finish()
    load = watch.record()
    models = tuple(_speed(one, [turn for turn in turns if turn.model == one.model]) for one in contestants)
    if all(model.error is not None for model in models):
        raise StudyError(f"no model could be measured; {models[0].name} said: {models[0].error}")
    device = next(one.prepared.device for one in contestants if one.prepared)
    return BenchmarkRecord(
        measured_at=began,
        command=command,
        settings=settings,
        models=models,
        turns=tuple(turns),
        load=load,
        warnings=tuple(_warnings(settings, models, load)),
        versions=versions(),
        hardware={**hardware(), "device": device},
    )


class _FailedError(Exception):
    """A contestant's process gave up; the message says why."""


@dataclass
class _Contestant:
    """A model, its process, and what it has said."""

    model: str
    process: subprocess.Popen[bytes] | None = None
    log: Path = field(default_factory=Path)
    prepared: Prepared | None = None
    finished: Finished | None = None
    call_seconds: list[float] = field(default_factory=list)
    error: str | None = None

    def start(self, stack: contextlib.ExitStack, settings: BenchmarkSettings, notify: Callable[[str], None]) -> Self:
        """Start the process and have it prepare."""
        self.log = cache_folder("benchmarks") / f"{cell_name(self.model)}.txt"
        errors = stack.enter_context(self.log.open("wb"))
        self.process = stack.enter_context(worker_process(WORKER, errors.fileno(), backend.environment_of_neighbours()))
        task = Task(model=self.model, settings=settings, log=self.log)
        with self._failing():
            reply = self._ask(task, lambda doing: notify(f"{self.model}: {doing}"))
            self.prepared = reply.prepared
        if self.error:
            notify(f"{self.model}: failed: {self.error}")
        return self

    def turn(self, round_number: int, measure: Measure) -> TurnRecord | None:
        """Have it measure; return None where it failed, now or before."""
        if self.error is not None:
            return None
        with self._failing():
            turn = self._ask(Order(measure=measure)).turn
            if turn is not None:
                self.call_seconds += turn.call_seconds
                return TurnRecord(
                    round=round_number,
                    measure=measure,
                    model=self.model,
                    calls=turn.calls,
                    images=turn.images,
                    seconds=turn.seconds,
                    images_per_second=turn.images / turn.seconds,
                    waiting_seconds=turn.waiting_seconds,
                )
        return None

    def finish(self) -> None:
        """Ask for the last figures and let the process go."""
        if self.error is None:
            with self._failing():
                self.finished = self._ask(Order()).finished

    @contextlib.contextmanager
    def _failing(self) -> Iterator[None]:
        try:
            yield
        except _FailedError as error:
            self.error = str(error)

    def _ask(self, message: Task | Order, doing: Callable[[str], None] = lambda _: None) -> Reply:
        """Send a line and return what is answered, progress aside."""
        process = self.process
        if process is None or process.stdin is None or process.stdout is None:
            raise _FailedError("its process was not started")
        with contextlib.suppress(BrokenPipeError):  # it has died; what it said last says why
            process.stdin.write(message.model_dump_json().encode() + b"\n")
            process.stdin.flush()
        for line in process.stdout:
            try:
                reply = Reply.model_validate_json(line)
            except ValidationError:
                continue  # a process that is killed may leave half a line; its exit code says what happened
            if reply.error is not None:
                raise _FailedError(reply.error)
            if reply.doing is None:
                return reply
            doing(reply.doing)
        raise _FailedError(f"its process ended with {exit_in_words(process.wait())} (details in {self.log})")


def _speed(one: _Contestant, turns: Sequence[TurnRecord]) -> ModelSpeed:
    """Put the turns of a model together."""
    prepared, finished = one.prepared, one.finished
    if prepared is None or finished is None:
        return ModelSpeed(name=one.model, error=one.error or "its process left no figures")
    by_measure = {measure: [turn for turn in turns if turn.measure == measure] for measure in finished.programs}
    return ModelSpeed(
        name=one.model,
        parameters=prepared.parameters,
        macs=prepared.macs,
        build_seconds=prepared.build_seconds,
        training=_training(by_measure["training"], finished) if "training" in by_measure else None,
        inference=_inference(by_measure["inference"], one.call_seconds, finished)
        if "inference" in by_measure
        else None,
    )


def _training(turns: Sequence[TurnRecord], finished: Finished) -> TrainingSpeed:
    waits = [turn.waiting_seconds or 0.0 for turn in turns]
    return TrainingSpeed(
        images_per_second=_spread([turn.images_per_second for turn in turns]),
        step_seconds=_spread([(turn.seconds - wait) / turn.calls for turn, wait in zip(turns, waits, strict=True)]),
        waiting_share=sum(waits) / sum(turn.seconds for turn in turns),
        program=finished.programs["training"],
        memory=finished.memory["training"],
    )


def _inference(turns: Sequence[TurnRecord], call_seconds: Sequence[float], finished: Finished) -> InferenceSpeed:
    p50, p90, p99 = np.percentile(call_seconds, (50, 90, 99))
    return InferenceSpeed(
        batch_size=turns[0].images // turns[0].calls,
        images_per_second=_spread([turn.images_per_second for turn in turns]),
        program=finished.programs["inference"],
        latency_seconds=Percentiles(p50=float(p50), p90=float(p90), p99=float(p99)),
        latency_calls=len(call_seconds),
        latency_program=finished.programs["latency"],
        memory=finished.memory["inference"],
    )


def _spread(values: Sequence[float]) -> Spread:
    low, median, high = np.quantile(values, (0.25, 0.5, 0.75))
    return Spread(median=float(median), low=float(low), high=float(high))


def _say_if_busy(notify: Callable[[str], None]) -> None:
    average, cores = load_average(), usable_cores()
    if average is not None and average > BUSY_SHARE * cores:
        notify(f"the load average is {average:.1f} on {cores} cores before anything has begun: other programs are busy")


def _warnings(settings: BenchmarkSettings, models: Sequence[ModelSpeed], load: LoadRecord) -> Iterator[str]:
    """Return what a reader of the figures must know, the gravest first."""
    if load.is_heavy:
        yield (
            f"The machine was busy with other work: {load.evidence}. On a quiet machine the models are faster; "
            "since they took turns, all of them were held up alike."
        )
    if settings.rounds == 1:
        yield "One round only: there is no spread to judge a difference by."
    few = [one.name for one in models if one.inference and one.inference.latency_calls < CALLS_FOR_PERCENTILES]
    if few:
        yield (
            f"The 99th percentile of the latency of {', '.join(few)} rests on fewer than {CALLS_FOR_PERCENTILES} "
            "calls: more rounds or longer turns make it steadier."
        )
    found = [one.name for one in models if any(program.from_cache for program in _programs(one))]
    if found:
        yield (
            f"Programs of {', '.join(found)} were found in the compilation cache, which their compile time says; "
            "PHOTOFINISH_COMPILATION_CACHE=off has them compiled."
        )


def _programs(one: ModelSpeed) -> list[ProgramRecord]:
    found = [one.training.program] if one.training else []
    return [*found, one.inference.program, one.inference.latency_program] if one.inference else found
