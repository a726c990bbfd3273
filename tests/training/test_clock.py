"""Where the time goes, told by a clock that stands still until it is moved."""

from __future__ import annotations

import pytest

from photofinish import backend
from photofinish.training.clock import SECONDS_BETWEEN_WAITS, StepClock


class Time:
    """A clock for the hand, and the waits for the device that it saw."""

    def __init__(self) -> None:
        self.now = 100.0
        self.waits = 0


@pytest.fixture
def moment(monkeypatch: pytest.MonkeyPatch) -> Time:
    time = Time()

    def wait(value: object) -> None:
        time.waits += 1

    monkeypatch.setattr("time.perf_counter", lambda: time.now)
    monkeypatch.setattr(backend, "wait", wait)
    return time


def take_steps(clock: StepClock, moment: Time, seconds: list[float], data: float = 0.0) -> list[bool]:
    waited = []
    for each in seconds:
        clock.begin()
        moment.now += data
        clock.data_ready()
        moment.now += each - data
        waited.append(clock.end(None))
    return waited


def test_compilation_is_what_the_first_step_took_beyond_an_ordinary_one(moment: Time) -> None:
    clock = StepClock()
    clock.begin_epoch()
    take_steps(clock, moment, [30.0, 1.0, 1.0, 3.0])
    assert clock.step.median == 1.0
    assert (clock.step.low, clock.step.high) == (1.0, 2.0)
    assert clock.compile_seconds == 29.0
    # The first step counts as an ordinary one.
    assert clock.train_seconds == 1.0 + 5.0
    assert clock.epoch_seconds == 6.0


def test_what_happens_between_epochs_is_not_training(moment: Time) -> None:
    clock = StepClock()
    clock.begin_epoch()
    take_steps(clock, moment, [10.0, 1.0])
    clock.close_window(None)
    moment.now += 1000
    clock.begin_epoch()
    take_steps(clock, moment, [1.0, 1.0, 1.0])
    clock.close_window(None)
    assert clock.train_seconds == 5.0
    assert clock.epoch_seconds == 3.0


def test_waiting_for_pictures_is_counted_and_is_part_of_training(moment: Time) -> None:
    clock = StepClock()
    clock.begin_epoch()
    take_steps(clock, moment, [2.0, 2.0, 2.0], data=0.5)
    assert clock.data_seconds == 1.5
    assert clock.train_seconds == 6.0


def test_short_steps_are_timed_in_windows_so_that_the_device_is_seldom_waited_for(moment: Time) -> None:
    clock = StepClock()
    clock.begin_epoch()
    step = SECONDS_BETWEEN_WAITS / 10
    waited = take_steps(clock, moment, [5.0, *[step] * 100])
    clock.close_window(None)
    # The first, the second that shows how long a step takes, then about every tenth.
    assert waited[:2] == [True, True]
    assert 10 <= moment.waits <= 14
    assert sum(waited) == pytest.approx(moment.waits, abs=1)
    assert clock.step.median == pytest.approx(step)
    assert clock.train_seconds == pytest.approx(101 * step)


def test_a_single_step_counts_in_full_because_compilation_cannot_be_told_apart(moment: Time) -> None:
    clock = StepClock()
    clock.begin_epoch()
    take_steps(clock, moment, [7.0])
    clock.close_window(None)
    assert clock.compile_seconds == 0.0
    assert clock.train_seconds == 7.0
    assert clock.step.median == 7.0


def test_closing_an_empty_window_books_nothing(moment: Time) -> None:
    clock = StepClock()
    clock.begin_epoch()
    moment.now += 5
    clock.close_window(None)
    assert (clock.train_seconds, clock.compile_seconds, moment.waits) == (0.0, 0.0, 0)
