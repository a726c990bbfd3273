"""Where the time goes, told by a clock that stands still until it is moved."""

from __future__ import annotations

import pytest

from photofinish import backend
from photofinish.training import clock as clock_module
from photofinish.training.clock import SECONDS_BETWEEN_WAITS, WARM_UP_STEPS, StepClock

# Ten of these fit between two waits.
SHORT = SECONDS_BETWEEN_WAITS / 10.5


class Machine:
    """A clock for the hand, and a device that computes what it was given, one step after the other."""

    def __init__(self) -> None:
        self.now = 100.0
        self.on_core = 0.0
        self.free_at = 0.0
        self.waits = 0

    def work(self, seconds: float) -> None:
        """Let the host work on one of its cores."""
        self.now += seconds
        self.on_core += seconds

    def dispatch(self, seconds: float) -> None:
        """Give the device a step that takes so long."""
        self.free_at = max(self.free_at, self.now) + seconds

    def wait(self, _: object) -> None:
        self.waits += 1
        self.now = max(self.now, self.free_at)


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    machine = Machine()
    monkeypatch.setattr("time.perf_counter", lambda: machine.now)
    monkeypatch.setattr("time.thread_time", lambda: machine.on_core)
    monkeypatch.setattr(backend, "wait", machine.wait)
    monkeypatch.setattr(backend, "is_idle", lambda _: machine.free_at <= machine.now)
    monkeypatch.setattr(backend, "on_cpu", lambda: False)
    monkeypatch.setattr(clock_module, "usable_cores", lambda: 2)
    return machine


def take_steps(clock: StepClock, machine: Machine, seconds: list[float], data: float = 0.0) -> list[bool]:
    """Take steps, each after making a batch for so long; return which of them were waited for."""
    waited = []
    for each in seconds:
        clock.begin()
        machine.work(data)
        clock.data_ready()
        machine.dispatch(each)
        waited.append(clock.end(None))
    return waited


def warm_clock(machine: Machine, step: float) -> StepClock:
    """Return a clock that has seen compilation and warm-up."""
    clock = StepClock()
    clock.begin_epoch()
    take_steps(clock, machine, [5.0, *[step] * WARM_UP_STEPS])
    return clock


def test_compilation_is_what_the_first_step_took_beyond_an_ordinary_one(machine: Machine) -> None:
    clock = StepClock()
    clock.begin_epoch()
    take_steps(clock, machine, [30.0, 1.0, 1.0, 1.0, 1.0, 1.0, 3.0])
    assert clock.step.median == 1.0
    assert (clock.step.low, clock.step.high) == (1.0, 2.0)
    assert clock.compile_seconds == 29.0
    # The first step counts as an ordinary one.
    assert clock.train_seconds == 1.0 + 8.0
    assert clock.epoch_seconds == 9.0


def test_warm_up_is_part_of_training_and_no_part_of_the_ordinary_step(machine: Machine) -> None:
    clock = StepClock()
    clock.begin_epoch()
    take_steps(clock, machine, [30.0, 9.0, 8.0, 7.0, 1.0, 1.0, 1.0])
    assert clock.warm_up_seconds == 24.0
    assert clock.warm_up_steps == WARM_UP_STEPS == 3
    assert (clock.step.low, clock.step.median, clock.step.high) == (1.0, 1.0, 1.0)
    assert clock.compile_seconds == 29.0
    assert clock.train_seconds == 1.0 + 24.0 + 3.0


def test_every_program_warms_up_anew(machine: Machine) -> None:
    clock = StepClock()
    clock.begin_epoch()
    take_steps(clock, machine, [30.0, 9.0, 8.0, 7.0, 1.0])
    clock.begin_program()
    take_steps(clock, machine, [20.0, 5.0, 5.0, 5.0, 2.0])
    assert clock.warm_up_seconds == 24.0 + 15.0
    assert clock.warm_up_steps == 6
    assert clock.compile_seconds == 29.0 + 18.0
    assert clock.program_seconds == [1.0 + 24.0 + 1.0, 2.0 + 15.0 + 2.0]
    assert clock.step.median == 1.5


def test_a_training_that_ends_in_warm_up_goes_by_what_it_has(machine: Machine) -> None:
    clock = StepClock()
    clock.begin_epoch()
    take_steps(clock, machine, [30.0, 4.0, 2.0])
    assert clock.step.median == clock.pace == 3.0
    assert clock.compile_seconds == 27.0


def test_what_happens_between_epochs_is_not_training(machine: Machine) -> None:
    clock = StepClock()
    clock.begin_epoch()
    take_steps(clock, machine, [10.0, 1.0])
    clock.close_window(None)
    machine.work(1000)
    clock.begin_epoch()
    take_steps(clock, machine, [1.0, 1.0, 1.0])
    clock.close_window(None)
    assert clock.train_seconds == 5.0
    assert clock.epoch_seconds == 3.0


def test_waiting_for_data_is_part_of_training_and_no_part_of_compilation_or_of_a_step(machine: Machine) -> None:
    clock = StepClock()
    clock.begin_epoch()
    take_steps(clock, machine, [30.0, 1.0, 1.0, 1.0, 1.0, 1.0], data=0.5)
    assert clock.stall_seconds == clock.data_seconds == 3.0
    assert clock.step.median == 1.0
    assert clock.pace == 1.5
    assert clock.compile_seconds == 29.0
    assert clock.warm_up_seconds == 3.0
    # Six steps with their data; of the first, what an ordinary one takes.
    assert clock.train_seconds == 6 * 1.5


def test_a_batch_made_behind_the_back_of_an_accelerator_is_no_stall(machine: Machine) -> None:
    clock = warm_clock(machine, SHORT)
    take_steps(clock, machine, [SHORT] * 10, data=SHORT / 2)
    assert machine.waits == 1 + WARM_UP_STEPS + 1
    # Only for the first of ten, before which the device was waited for.
    assert clock.stall_seconds == pytest.approx(SHORT / 2)
    assert clock.data_seconds == pytest.approx(10 * SHORT / 2)
    assert clock.step.median == pytest.approx(SHORT)


def test_an_accelerator_that_runs_out_of_work_stalls_from_then_on(machine: Machine) -> None:
    clock = warm_clock(machine, SHORT)
    take_steps(clock, machine, [SHORT] * 10, data=3 * SHORT)
    # The first batch is waited for in full; each of the nine others was made while the device computed for one step.
    assert clock.stall_seconds == pytest.approx(3 * SHORT + 9 * 2 * SHORT)
    assert clock.step.median == pytest.approx(SHORT)
    assert clock.pace == pytest.approx((10 * SHORT + 3 * SHORT + 9 * 2 * SHORT) / 10)


def test_a_processor_lends_a_core_to_whoever_makes_the_next_batch(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backend, "on_cpu", lambda: True)
    clock = warm_clock(machine, SHORT)
    take_steps(clock, machine, [SHORT] * 10, data=SHORT / 2)
    # One of two cores for half a step, nine times; before the first nothing was left to compute.
    assert clock.stall_seconds == pytest.approx(SHORT / 2 + 9 * SHORT / 4)


def test_a_processor_lends_nothing_to_whoever_sleeps(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backend, "on_cpu", lambda: True)
    monkeypatch.setattr("time.thread_time", lambda: 0.0)
    clock = warm_clock(machine, SHORT)
    take_steps(clock, machine, [SHORT] * 10, data=SHORT / 2)
    assert clock.stall_seconds == pytest.approx(SHORT / 2)


def test_short_steps_are_timed_in_windows_so_that_the_device_is_seldom_waited_for(machine: Machine) -> None:
    step = SECONDS_BETWEEN_WAITS / 10
    clock = StepClock()
    clock.begin_epoch()
    waited = take_steps(clock, machine, [5.0, *[step] * 100])
    clock.close_window(None)
    # The first, those of warm-up, which show how long a step takes, then about every tenth.
    assert waited[: 1 + WARM_UP_STEPS] == [True] * (1 + WARM_UP_STEPS)
    assert 12 <= machine.waits <= 16
    assert sum(waited) == pytest.approx(machine.waits, abs=1)
    assert clock.step.median == pytest.approx(step)
    assert clock.train_seconds == pytest.approx(101 * step)


def test_where_data_are_slow_the_device_is_waited_for_no_less_often(machine: Machine) -> None:
    clock = StepClock()
    clock.begin_epoch()
    waited = take_steps(clock, machine, [5.0, *[0.001] * 20], data=2 * SECONDS_BETWEEN_WAITS)
    assert all(waited)
    assert clock.step.median == pytest.approx(0.001)


def test_a_single_step_counts_in_full_because_compilation_cannot_be_told_apart(machine: Machine) -> None:
    clock = StepClock()
    clock.begin_epoch()
    take_steps(clock, machine, [7.0])
    clock.close_window(None)
    assert clock.compile_seconds == 0.0
    assert clock.train_seconds == 7.0
    assert clock.step.median == 7.0
    assert clock.warm_up_steps == 0


def test_closing_an_empty_window_books_nothing(machine: Machine) -> None:
    clock = StepClock()
    clock.begin_epoch()
    machine.work(5)
    clock.close_window(None)
    assert (clock.train_seconds, clock.compile_seconds, machine.waits) == (0.0, 0.0, 0)
