"""Where the time of training goes: compilation, warm-up, steps, waiting for data."""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from photofinish import backend
from photofinish.runs import StepSeconds
from photofinish.runs.environment import usable_cores

# The device is waited for about this often: seldom enough not to hold it up, often enough for a live display.
SECONDS_BETWEEN_WAITS = 0.25
# Memory, caches and thread pools settle in the first steps of a program; these are timed one by one.
WARM_UP_STEPS = 3


@dataclass(frozen=True)
class Window:
    """Steps from one wait for the device to the next.

    Attributes:
        seconds: Wall time.
        steps: Number of steps.
        stall: Part of `seconds` in which the device waited for data.
    """

    seconds: float
    steps: int
    stall: float

    @property
    def pace(self) -> float:
        """Seconds from step to step."""
        return self.seconds / self.steps

    @property
    def compute(self) -> float:
        """Seconds of one step, without waiting for data."""
        return (self.seconds - self.stall) / self.steps


@dataclass
class _Program:
    """The steps of one program: the first of each process that compiled it, apart from the others."""

    firsts: list[Window] = field(default_factory=list)
    windows: list[Window] = field(default_factory=list)

    @property
    def warm_up(self) -> list[Window]:
        return self.windows[:WARM_UP_STEPS]

    @property
    def steady(self) -> list[Window]:
        """The windows after warm-up; in a training that ended before, the best that is known."""
        return self.windows[WARM_UP_STEPS:] or self.windows

    @property
    def step_when_waited_for(self) -> float:
        """Seconds of a step of which both ends were seen."""
        return statistics.median(window.compute for window in self.warm_up) if self.windows else 0.0

    @property
    def ordinary(self) -> float:
        """Seconds of an ordinary step, data aside; where there was only the first one, all it took."""
        if not self.windows:
            return self.firsts[0].compute if self.firsts else 0.0
        return float(np.median([window.compute for window in self.steady]))

    @property
    def compilation(self) -> float:
        ordinary = self.ordinary
        return sum(max(0.0, first.compute - ordinary) for first in self.firsts)

    @property
    def stall(self) -> float:
        return sum(window.stall for window in [*self.firsts, *self.windows])

    @property
    def training(self) -> float:
        ordinary = self.ordinary
        firsts = sum(first.stall + ordinary for first in self.firsts)
        return firsts + sum(window.seconds for window in self.windows)


class StepClock:
    """Times steps that are dispatched faster than they are computed.

    Steps are timed in windows, from one wait for the device to the next. The first step of every program, which
    compiles, is kept apart, and so are the `WARM_UP_STEPS` after it.

    The device waits for data (it stalls) while a batch is made and it has nothing left to compute. It is asked before
    and after (`backend.is_idle`):

    - It was idle before: all the time of making the batch is a stall.
    - It became idle meanwhile: what came after that moment is. The moment is reckoned from the last step's dispatch and
      the time of a step in warm-up, where every step is waited for.
    - It is still busy: none is, the batch was made behind its back. A processor, however, lends the cores on which the
      batch is made; what that costs is the processor time of our thread over the number of cores.

    The copy from host to device belongs to the step.

    Attributes:
        data_seconds: Seconds in which the host made batches, whatever the device did.
        epoch_start: Training seconds before this epoch.
    """

    def __init__(self) -> None:
        self.data_seconds = 0.0
        self._share_of_cores = 1 / usable_cores() if backend.on_cpu() else 0.0
        self._programs = [_Program()]
        self._compiles = True
        self._outputs: Any = None
        self._free_at = 0.0
        self._dispatched = 0.0
        self._window_start = 0.0
        self._window_steps = 0
        self._window_stall = 0.0
        self._steps_between_waits = 1
        self._begin = 0.0
        self._begin_on_core = 0.0
        self._was_idle = True
        self.epoch_start = 0.0

    def begin_program(self) -> None:
        """Say that the next step compiles."""
        if self._programs[-1].firsts:
            self._programs.append(_Program())
        self.expect_compilation()

    def expect_compilation(self) -> None:
        """Say that the next step compiles, and counts with those before it all the same."""
        self._compiles = True
        self._steps_between_waits = 1

    def begin_epoch(self) -> None:
        """Start an epoch: what came between does not count as training."""
        self.epoch_start = self.train_seconds
        self.begin_window()

    def begin_window(self) -> None:
        """Start a window now: what came since the last one was closed does not count as training."""
        self._window_start = time.perf_counter()
        self._window_steps = 0
        self._window_stall = 0.0

    def windows(self) -> NDArray[np.float64]:
        """Return all windows, each (program, whether it compiled, seconds, steps, stall); the last must be closed."""
        rows = [
            (place, compiled, window.seconds, window.steps, window.stall)
            for place, program in enumerate(self._programs)
            for compiled, windows in ((1, program.firsts), (0, program.windows))
            for window in windows
        ]
        return np.array(rows, np.float64).reshape(-1, 5)

    def put_back(self, windows: NDArray[np.float64], data_seconds: float, epoch_start: float) -> None:
        """Go on from an earlier process; the next step compiles again.

        Args:
            windows: What `windows` returned there.
            data_seconds: What it was there.
            epoch_start: Likewise.
        """
        self.data_seconds, self.epoch_start = data_seconds, epoch_start
        for place, compiled, seconds, steps, stall in windows.tolist():
            while len(self._programs) <= place:
                self._programs.append(_Program())
            program = self._programs[int(place)]
            (program.firsts if compiled else program.windows).append(Window(seconds, int(steps), stall))

    def begin(self) -> None:
        """Start a step, before its batch is made."""
        self._was_idle = backend.is_idle(self._outputs)
        self._begin, self._begin_on_core = time.perf_counter(), time.thread_time()

    def data_ready(self) -> None:
        """Note that the batch is made."""
        now = self._dispatched = time.perf_counter()
        spent = now - self._begin
        self.data_seconds += spent
        if self._was_idle:
            self._window_stall += spent
            return
        busy = spent
        if backend.is_idle(self._outputs):
            busy = min(max(0.0, self._free_at - self._begin), spent)
        on_core = (time.thread_time() - self._begin_on_core) * self._share_of_cores
        self._window_stall += spent - busy + on_core * (busy / spent if spent else 0.0)

    def end(self, outputs: Any) -> bool:
        """End a step; return whether the device was waited for, so that `outputs` can be read at no cost.

        Args:
            outputs: What the step returned.
        """
        self._outputs = outputs
        self._free_at = max(self._free_at, self._dispatched) + self._programs[-1].step_when_waited_for
        self._window_steps += 1
        if not self._compiles and self._window_steps < self._steps_between_waits:
            return False
        self.close_window(outputs)
        return True

    def close_window(self, outputs: Any) -> None:
        """Wait for the device and book the time since the last wait."""
        if self._window_steps == 0:
            return
        backend.wait(outputs)
        now = time.perf_counter()
        window = Window(now - self._window_start, self._window_steps, self._window_stall)
        program = self._programs[-1]
        if self._compiles:
            program.firsts.append(window)
            self._compiles = False
        else:
            program.windows.append(window)
            if len(program.windows) >= WARM_UP_STEPS:
                # Of the last ones only (at first those of warm-up): in a training of days there are a million.
                pace = float(np.median([one.pace for one in program.windows[-WARM_UP_STEPS:]]))
                self._steps_between_waits = max(1, int(SECONDS_BETWEEN_WAITS / max(pace, 1e-6)))
        self._window_start = self._free_at = now
        self._window_steps = 0
        self._window_stall = 0.0

    @property
    def step(self) -> StepSeconds:
        """Seconds of a step after warm-up, without waiting for data: median and quartiles over all windows."""
        return self._over_windows([window.compute for window in self._steady])

    @property
    def pace(self) -> float:
        """Seconds from step to step after warm-up, waiting for data included: median over all windows."""
        return self._over_windows([window.pace for window in self._steady]).median

    @property
    def _steady(self) -> list[Window]:
        steady = [window for program in self._programs for window in program.windows[WARM_UP_STEPS:]]
        return steady or [window for program in self._programs for window in program.windows]

    def _over_windows(self, seconds: Sequence[float]) -> StepSeconds:
        if not seconds:
            only = self._programs[0].ordinary
            return StepSeconds(median=only, low=only, high=only)
        low, median, high = np.quantile(seconds, (0.25, 0.5, 0.75))
        return StepSeconds(median=float(median), low=float(low), high=float(high))

    @property
    def compile_seconds(self) -> float:
        """Seconds the first steps took beyond their programs' ordinary time; where there was no other, unknown: 0."""
        return sum(program.compilation for program in self._programs)

    @property
    def warm_up_seconds(self) -> float:
        """Seconds of the `WARM_UP_STEPS` after each first step, without waiting for data."""
        return sum(window.compute * window.steps for program in self._programs for window in program.warm_up)

    @property
    def warm_up_steps(self) -> int:
        """How many steps those were."""
        return sum(window.steps for program in self._programs for window in program.warm_up)

    @property
    def stall_seconds(self) -> float:
        """Seconds in which the device waited for data."""
        return sum(program.stall for program in self._programs)

    @property
    def train_seconds(self) -> float:
        """Seconds of all steps so far, the first of a program counted with the median of its others.

        Warm-up and waiting for data are part of it. The only step of a program counts in full, compilation included:
        the two cannot be told apart.
        """
        return sum(program.training for program in self._programs)

    @property
    def program_seconds(self) -> list[float]:
        """Seconds of the steps of each program, as `train_seconds` counts them."""
        return [program.training for program in self._programs]

    @property
    def epoch_seconds(self) -> float:
        """Seconds of the steps of this epoch so far."""
        return max(0.0, self.train_seconds - self.epoch_start)
