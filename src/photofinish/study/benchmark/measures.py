"""What is timed: the product's own training loop and predictor, on pictures of noise."""

from __future__ import annotations

import functools
import itertools
import time
from pathlib import Path
from typing import Protocol

import keras
import numpy as np
from numpy.typing import NDArray

from photofinish.config import TrainingSettings
from photofinish.config.benchmark import BenchmarkSettings
from photofinish.data import PreparedData
from photofinish.data.augment import resize
from photofinish.models import Anatomy
from photofinish.models.inference import MANY, Predictor, evaluation_batch_size
from photofinish.runs import DataRecord, unheard
from photofinish.runs.benchmark import ProgramRecord
from photofinish.study.benchmark.messages import Turn
from photofinish.training.clock import WARM_UP_STEPS
from photofinish.training.loop import Trainer

# Calls that tell how many make a turn, and calls before every turn: the caches are then full of another model's data.
CALIBRATING, SETTLING = 2, 1
LEAST_STEPS, LEAST_BATCHES, LEAST_PICTURES, MOST_PICTURES = 3, 2, 5, 1000
# So small that the network stays what it was: no loss runs away, and every round computes alike.
LEARNING_RATE = 1e-6


class Timed(Protocol):
    """Something that takes turns."""

    def turn(self) -> Turn:
        """Run for a turn."""

    @property
    def program(self) -> ProgramRecord:
        """What came before the ordinary speed."""


def noise(settings: BenchmarkSettings) -> PreparedData:
    """Return pictures of noise with random labels, enough for two of the largest batches; they are used over again."""
    size = settings.image_size
    count = 2 * max(settings.batch_size, evaluation_batch_size(size, MANY))
    random = np.random.default_rng(0)
    indices = np.arange(count)
    record = DataRecord(
        name="noise",
        fingerprint="",
        classes=tuple(map(str, range(settings.classes))),
        train=count,
        validation=1,
        test=1,
        stored_size=(size, size),
    )
    return PreparedData(
        folder=Path(),
        record=record,
        images=random.integers(0, 256, (count, size, size, 3), dtype=np.uint8),
        labels=random.integers(0, settings.classes, count, dtype=np.int32),
        ids=indices.astype(str),
        splits={"train": indices, "validation": indices[:1], "test": indices[:1]},
    )


class Training:
    """The training loop, an epoch a turn.

    Args:
        model: Its weights are changed, if only a little.
        data: Pictures.
        settings: The benchmark.
    """

    def __init__(self, model: keras.Model, data: PreparedData, settings: BenchmarkSettings) -> None:
        self.batch_size = settings.batch_size
        self.pictures = len(data.images)
        training = TrainingSettings(
            epochs=1, batch_size=settings.batch_size, precision=settings.precision, learning_rate=LEARNING_RATE
        )
        self.trainer = Trainer(model, data, settings.image_size, training, 0, Anatomy(), unheard, chained=False)
        self.trainer.begin_stage(self.trainer.stages[1])
        self.epochs = itertools.count(1)
        self._take(1 + WARM_UP_STEPS + CALIBRATING)
        self.steps = _calls(settings.turn_seconds, self.trainer.clock.pace, LEAST_STEPS)

    def _take(self, steps: int) -> None:
        self.trainer.train_epoch(next(self.epochs), _indices(steps * self.batch_size, self.pictures))

    def turn(self) -> Turn:
        """Train for so many steps."""
        self._take(SETTLING)
        stall, start = self.trainer.clock.stall_seconds, time.perf_counter()
        self._take(self.steps)
        seconds = time.perf_counter() - start
        waiting = self.trainer.clock.stall_seconds - stall
        return Turn(calls=self.steps, images=self.steps * self.batch_size, seconds=seconds, waiting_seconds=waiting)

    @property
    def program(self) -> ProgramRecord:
        """The training step."""
        clock = self.trainer.clock
        return ProgramRecord(
            compile_seconds=clock.compile_seconds,
            from_cache=self.trainer.course.step_from_cache,
            warm_up_seconds=clock.warm_up_seconds,
            warm_up_calls=clock.warm_up_steps,
        )


class Prediction:
    """The predictor of evaluation, some batches a turn.

    Args:
        model: The network.
        data: Pictures.
        settings: The benchmark.
        examples: Pictures in the largest set: 1 for batches of one picture, many for the largest batches.
    """

    def __init__(self, model: keras.Model, data: PreparedData, settings: BenchmarkSettings, examples: int) -> None:
        self.images = data.images
        prepare = functools.partial(resize, size=settings.image_size)
        # Latency is that of a call with nothing else under way.
        self.predictor = Predictor(model, prepare, settings.image_size, examples, one_at_a_time=examples == 1)
        self.batch_size = self.predictor.batch_size
        self.warm_up = sum(self._predict(1 + WARM_UP_STEPS))
        least, most = (LEAST_PICTURES, MOST_PICTURES) if self.batch_size == 1 else (LEAST_BATCHES, None)
        calls = _calls(settings.turn_seconds, float(np.median(self._predict(CALIBRATING))), least)
        self.calls = calls if most is None else min(calls, most)

    def _predict(self, batches: int) -> tuple[float, ...]:
        indices = _indices(batches * self.batch_size, len(self.images))
        return self.predictor(self.images, indices).batch_seconds

    def turn(self) -> Turn:
        """Predict so many batches."""
        self._predict(SETTLING)
        seconds = self._predict(self.calls)
        each = seconds if self.batch_size == 1 else ()
        return Turn(calls=self.calls, images=self.calls * self.batch_size, seconds=sum(seconds), call_seconds=each)

    @property
    def program(self) -> ProgramRecord:
        """The network's forward pass."""
        return ProgramRecord(
            compile_seconds=self.predictor.compile_seconds,
            from_cache=self.predictor.from_cache,
            warm_up_seconds=self.warm_up,
            warm_up_calls=WARM_UP_STEPS,
        )


def _indices(count: int, pictures: int) -> NDArray[np.int64]:
    return np.arange(count) % pictures


def _calls(turn_seconds: float, seconds: float, least: int) -> int:
    return max(least, round(turn_seconds / max(seconds, 1e-6)))
