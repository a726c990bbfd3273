"""Where the time of training goes: compilation, steps, making batches."""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from photofinish import backend
from photofinish.runs import StepSeconds

# The device is waited for about this often: seldom enough not to hold it up, often enough for a live display.
SECONDS_BETWEEN_WAITS = 0.25


class StepClock:
    """Times steps that are dispatched faster than they are computed.

    Steps are timed in windows, from one wait for the device to the next. The first step of all, which compiles, is
    kept apart.

    Attributes:
        data_seconds: Seconds spent making batches.
    """

    def __init__(self) -> None:
        self.data_seconds = 0.0
        self._first_step: float | None = None
        self._windows: list[tuple[float, int]] = []
        self._window_start = 0.0
        self._window_steps = 0
        self._steps_between_waits = 1
        self._begin = 0.0
        self._epoch_start = 0.0

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
        if self._first_step is not None and self._window_steps < self._steps_between_waits:
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
        if self._first_step is None:
            self._first_step = seconds
        else:
            self._windows.append((seconds, self._window_steps))
            self._steps_between_waits = max(1, int(SECONDS_BETWEEN_WAITS / max(self.step.median, 1e-6)))
        self._window_start = now
        self._window_steps = 0

    @property
    def step(self) -> StepSeconds:
        """Seconds of a step: median and quartiles over the windows."""
        if not self._windows:
            only = self._first_step or 0.0
            return StepSeconds(median=only, low=only, high=only)
        low, median, high = np.quantile([seconds / steps for seconds, steps in self._windows], (0.25, 0.5, 0.75))
        return StepSeconds(median=float(median), low=float(low), high=float(high))

    @property
    def compile_seconds(self) -> float:
        """Seconds the first step took beyond a step's ordinary time; unknown, so 0, where it was the only one."""
        if not self._windows:
            return 0.0
        return max(0.0, (self._first_step or 0.0) - self.step.median)

    @property
    def train_seconds(self) -> float:
        """Seconds of all steps so far, the first counted with the median of the others.

        The only step of a run counts in full, compilation included: the two cannot be told apart.
        """
        return self.step.median + sum(seconds for seconds, _ in self._windows)

    @property
    def epoch_seconds(self) -> float:
        """Seconds of the steps of this epoch so far."""
        return self.train_seconds - self._epoch_start
