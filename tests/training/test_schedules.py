"""Learning rates: golden values, and what holds for all schedules."""

from __future__ import annotations

from itertools import pairwise
from typing import get_args

import pytest

from photofinish.config import TrainingSettings
from photofinish.config.settings import ScheduleName
from photofinish.training.schedules import learning_rate

PER_EPOCH = 5
# Peak 0.1, 10 epochs of 5 steps, the first of them warm-up.
GOLDEN = {
    "constant": {0: 0.016667, 4: 0.083333, 5: 0.1, 27: 0.1, 49: 0.1},
    "cosine": {0: 0.016667, 4: 0.083333, 5: 0.1, 20: 0.075, 35: 0.025, 49: 0.00012180},
    # x0.97 every 2.4 epochs, that is after 12 steps, in steps.
    "exponential": {0: 0.016667, 4: 0.083333, 5: 0.1, 16: 0.1, 17: 0.097, 28: 0.097, 29: 0.09409, 49: 0.0912673},
}


def rates(schedule: str, **changes: object) -> list[float]:
    values = {"epochs": 10, "learning_rate": 0.1, "schedule": schedule, "warmup_epochs": 1.0, **changes}
    settings = TrainingSettings.of(values)
    return [learning_rate(settings, step, PER_EPOCH) for step in range(settings.epochs * PER_EPOCH)]


def test_every_schedule_has_golden_values() -> None:
    assert set(GOLDEN) == set(get_args(ScheduleName))


@pytest.mark.parametrize("schedule", GOLDEN)
def test_rates_are_the_golden_ones(schedule: str) -> None:
    found = rates(schedule)
    assert {step: found[step] for step in GOLDEN[schedule]} == pytest.approx(GOLDEN[schedule], rel=1e-3)


@pytest.mark.parametrize("schedule", GOLDEN)
@pytest.mark.parametrize("warmup", [0.0, 0.5, 1.0, 3.0])
def test_a_rate_rises_through_warm_up_to_its_peak_and_never_again(schedule: str, warmup: float) -> None:
    found = rates(schedule, warmup_epochs=warmup)
    peak = found.index(max(found))
    assert found[peak] == pytest.approx(0.1, rel=1e-3)
    assert peak - 1 < warmup * PER_EPOCH <= peak
    assert all(before < after for before, after in pairwise(found[: peak + 1]))
    assert all(before >= after > 0 for before, after in pairwise(found[peak:]))


def test_without_warm_up_the_first_step_has_the_full_rate() -> None:
    assert rates("cosine", warmup_epochs=0.0)[0] == 0.1
