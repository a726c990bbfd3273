"""Where the time of a real training goes when its pictures come slowly."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest

from photofinish.config import TrainingSettings
from photofinish.data import PreparedData
from photofinish.models import build_with_initial_values
from photofinish.models.inference import Predictor
from photofinish.runs import unheard
from photofinish.training import TrainingOutcome, loop, train
from photofinish.training.clock import WARM_UP_STEPS

STEPS, EPOCHS, NAP = 5, 3, 0.04


class SlowPictures:
    """Pictures that take a nap before they come."""

    def __init__(self, images: np.ndarray[Any, Any]) -> None:
        self.images = images

    def __getitem__(self, chosen: Any) -> Any:
        time.sleep(NAP)
        return self.images[chosen]

    def __len__(self) -> int:
        return len(self.images)


def trained(data: PreparedData) -> TrainingOutcome:
    def assemble() -> keras.Model:
        inputs = keras.Input((8, 8, 3))
        x = keras.layers.BatchNormalization(name="bn")(keras.layers.Rescaling(1 / 128, -1)(inputs))
        return keras.Model(inputs, keras.layers.Dense(10, name="head")(keras.layers.Flatten()(x)))

    settings = TrainingSettings(epochs=EPOCHS, batch_size=8)
    model = build_with_initial_values(assemble, 0)
    return train(model, data, 8, settings, 0, record=lambda _: None, notify=unheard)


def test_a_source_that_sleeps_shows_as_waiting_and_not_as_a_longer_step(few: Callable[[int], PreparedData]) -> None:
    quick, slow = few(8 * STEPS), few(8 * STEPS)
    slow = dataclasses.replace(slow, images=SlowPictures(slow.images))  # type: ignore[arg-type]
    before, after = trained(quick).clock, trained(slow).clock
    naps = STEPS * EPOCHS * NAP
    assert after.data_seconds >= naps
    # A step of this network is far shorter than a nap, so that nearly every nap is waited for.
    assert 0.8 * naps <= after.stall_seconds <= after.data_seconds
    assert before.stall_seconds < 0.2 * naps
    assert after.stall_seconds < after.train_seconds
    assert after.step.median < NAP / 2
    assert after.pace >= 0.9 * NAP
    assert after.warm_up_steps == WARM_UP_STEPS


def test_compilation_is_taken_out_of_validation_and_of_re_estimation(
    few: Callable[[int], PreparedData], monkeypatch: pytest.MonkeyPatch
) -> None:
    # As if both had compiled for longer than this test can last.
    monkeypatch.setattr(Predictor, "compile_seconds", 1000.0)
    monkeypatch.setattr(loop, "beyond_ordinary", lambda _: 2000.0)
    outcome = trained(few(16))
    assert outcome.statistics_reestimated
    assert outcome.other_compile_seconds == 3000.0
    assert -1000 < outcome.validation_seconds < -900
    assert -2000 < outcome.reestimation_seconds < -1900


@pytest.mark.parametrize("batches", [1, 4])
def test_a_predictor_tells_what_its_first_batch_cost_beyond_the_others(
    few: Callable[[int], PreparedData], monkeypatch: pytest.MonkeyPatch, batches: int
) -> None:
    moments = iter([0.0, 7.0, *[10.0, 12.0] * 3])
    data, outcome = few(20), trained(few(8))
    predictor = outcome.predictor
    predictor._seconds.clear()
    monkeypatch.setattr(time, "perf_counter", lambda: next(moments))
    predictor(data.images, np.arange(batches * predictor.batch_size) % 20)
    assert predictor.compile_seconds == (5.0 if batches == 4 else 0.0)
