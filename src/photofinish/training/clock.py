"""Where the time of training goes: compilation, steps, making batches."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from photofinish import backend
from photofinish.runs import StepSeconds

# The device is waited for about this often: seldom enough not to hold it up, often enough for a live display.
SECONDS_BETWEEN_WAITS = 0.25


@dataclass
class _Program:
    """The steps of one compiled program: the first, which compiles, apart from the others."""

    first: float | None = None
    windows: list[tuple[float, int]] = field(default_factory=list)

    @property
    def seconds_per_step(self) -> list[float]:
        return [seconds / steps for seconds, steps in self.windows]

    @property
    def ordinary(self) -> float:
        """Seconds of an ordinary step; where there was only the first one, all it took."""
        return float(np.median(self.seconds_per_step)) if self.windows else self.first or 0.0

    @property
    def compilation(self) -> float:
        return max(0.0, (self.first or 0.0) - self.ordinary)

    @property
    def training(self) -> float:
        return self.ordinary + sum(seconds for seconds, _ in self.windows)


class StepClock:
    """Times steps that are dispatched faster than they are computed.

    Steps are timed in windows, from one wait for the device to the next. The first step of every program, which
    compiles, is kept apart.

    Attributes:
        data_seconds: Seconds spent making batches.
    """

    def __init__(self) -> None:
        self.data_seconds = 0.0
        self._programs = [_Program()]
        self._window_start = 0.0
        self._window_steps = 0
        self._steps_between_waits = 1
        self._begin = 0.0
        self._epoch_start = 0.0

    def begin_program(self) -> None:
        """Say that the next step compiles."""
        if self._programs[-1].first is not None:
            self._programs.append(_Program())
            self._steps_between_waits = 1

    def begin_epoch(self) -> None:
        """Start an epoch: what came between does not count as training."""
        self._epoch_start = self.train_seconds
        self._window_start = time.perf_counter()
        self._window_steps = 0

    def begin(self) -> None:
        """Start a step, before its batch is made."""
        self._begin = time.perf_counter()

    def data_ready(self) -> None:
        """Note that the batch is made."""
        self.data_seconds += time.perf_counter() - self._begin

    def end(self, outputs: Any) -> bool:
        """End a step; return whether the device was waited for, so that `outputs` can be read at no cost.

        Args:
            outputs: What the step returned.
        """
        self._window_steps += 1
        if self._programs[-1].first is not None and self._window_steps < self._steps_between_waits:
            return False
        self.close_window(outputs)
        return True

    def close_window(self, outputs: Any) -> None:
        """Wait for the device and book the time since the last wait."""
        if self._window_steps == 0:
            return
        backend.wait(outputs)
        now = time.perf_counter()
        seconds = now - self._window_start
        program = self._programs[-1]
        if program.first is None:
            program.first = seconds
        else:
            program.windows.append((seconds, self._window_steps))
            self._steps_between_waits = max(1, int(SECONDS_BETWEEN_WAITS / max(program.ordinary, 1e-6)))
        self._window_start = now
        self._window_steps = 0

    @property
    def step(self) -> StepSeconds:
        """Seconds of a step: median and quartiles over the windows of all programs."""
        windows = [seconds for program in self._programs for seconds in program.seconds_per_step]
        if not windows:
            only = self._programs[0].ordinary
            return StepSeconds(median=only, low=only, high=only)
        low, median, high = np.quantile(windows, (0.25, 0.5, 0.75))
        return StepSeconds(median=float(median), low=float(low), high=float(high))

    @property
    def compile_seconds(self) -> float:
        """Seconds the first steps took beyond their programs' ordinary time; where there was no other, unknown: 0."""
        return sum(program.compilation for program in self._programs)

    @property
    def train_seconds(self) -> float:
        """Seconds of all steps so far, the first of a program counted with the median of its others.

        The only step of a program counts in full, compilation included: the two cannot be told apart.
        """
        return sum(program.training for program in self._programs)

    @property
    def program_seconds(self) -> list[float]:
        """Seconds of the steps of each program, as `train_seconds` counts them."""
        return [program.training for program in self._programs]

    @property
    def epoch_seconds(self) -> float:
        """Seconds of the steps of this epoch so far."""
        return max(0.0, self.train_seconds - self._epoch_start)
