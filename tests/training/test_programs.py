"""A training step is traced once for all seeds of a model, and is the step that tracing would give."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from photofinish import backend
from photofinish.config import TrainingSettings
from photofinish.data import PreparedData
from photofinish.models import Entrant, Head, build_with_initial_values
from photofinish.models.scaling import OWN
from photofinish.runs import unheard
from photofinish.training import train_entrant
from photofinish.training.programs import program_facts

Few = Callable[[int], PreparedData]


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    if backend.active() != "jax":
        pytest.skip("the others keep no programs")
    monkeypatch.setenv("PHOTOFINISH_CACHE", str(tmp_path))
    monkeypatch.delenv("PHOTOFINISH_COMPILATION_CACHE", raising=False)
    return tmp_path / "traced"


def entrant(seed: int, activation: str = "relu", traced: list[str] | None = None) -> Entrant:
    class Noticed(keras.layers.Conv2D):
        def call(self, inputs: Any) -> Any:
            if traced is not None:
                traced.append(self.name)
            return super().call(inputs)

    def assemble() -> keras.Model:
        inputs = keras.Input((8, 8, 3))
        x = keras.layers.Rescaling(1 / 128, -1)(inputs)
        x = Noticed(4, 3, strides=2, name="conv")(x)
        x = keras.layers.BatchNormalization(name="bn")(x)
        x = keras.layers.Activation(activation, name="activation")(x)
        return keras.Model(inputs, Head(10, 0.5)(x), name="mine")

    return Entrant(build_with_initial_values(assemble, seed), OWN, "random", "a head")


def settings_with(**changes: Any) -> TrainingSettings:
    return TrainingSettings.of({"epochs": 2, "batch_size": 8, "learning_rate": 0.01, "ema_decay": 0.9, **changes})


def trained_weights(few: Few, seed: int, name: str = "mine", traced: list[str] | None = None) -> list[Any]:
    one = entrant(seed, traced=traced)
    if traced is not None:
        traced.clear()
    settings = settings_with(reestimate_statistics="never")
    train_entrant(one, name, few(20), 8, settings, seed, record=lambda _: None, notify=unheard)
    return [np.asarray(value) for value in one.model.get_weights()]


def test_a_second_seed_traces_prediction_only(few: Few, cache: Path) -> None:
    calls: list[list[str]] = [[], []]
    for seed, traced in enumerate(calls):
        trained_weights(few, seed, traced=traced)
    assert len(list(cache.iterdir())) == 1
    # Once in the training step, once in prediction; and once in prediction.
    assert [len(traced) for traced in calls] == [2, 1]


def test_a_seed_that_finds_its_step_trains_to_the_same_bits_as_one_that_traces_it(
    few: Few, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained_weights(few, 0)
    found = trained_weights(few, 1)
    for path in cache.iterdir():
        path.unlink()
    traced = trained_weights(few, 1)
    monkeypatch.setenv("PHOTOFINISH_COMPILATION_CACHE", "off")
    ordinary = trained_weights(few, 1)
    for one, other, plain in zip(found, traced, ordinary, strict=True):
        np.testing.assert_array_equal(one, other)
        np.testing.assert_array_equal(one, plain)


def test_a_seed_takes_the_programs_that_the_one_before_it_needed(few: Few, monkeypatch: pytest.MonkeyPatch) -> None:
    taken: list[bool] = []
    take = backend.foreseen.take

    def noted(digest: str) -> Any:
        found = take(digest)
        taken.append(found is not None)
        return found

    monkeypatch.setattr(backend.foreseen, "take", noted)
    weights = []
    for seed in (0, 1, 1):
        backend.foreseen.begin(lambda: "a cell")
        weights.append(trained_weights(few, seed))
    assert taken == [False, True, True]
    monkeypatch.setenv("PHOTOFINISH_COMPILATION_CACHE", "off")
    for one, other, plain in zip(*weights[1:], trained_weights(few, 1), strict=True):
        np.testing.assert_array_equal(one, other)
        np.testing.assert_array_equal(one, plain)


def test_the_step_of_someones_own_model_is_always_traced(few: Few, cache: Path) -> None:
    trained_weights(few, 0, name="mine.py:build")
    assert not cache.exists()


def test_what_decides_a_program_decides_where_it_is_kept() -> None:
    def facts(one: Entrant, name: str = "mine", size: int = 8, **changes: Any) -> str | None:
        return program_facts(one, one.model, name, size, settings_with(**changes))

    same, again = facts(entrant(0)), facts(entrant(1))
    assert same == again  # the seed decides values only
    others = [
        facts(entrant(0, activation="silu")),
        facts(entrant(0), name="other"),
        facts(entrant(0), size=16),
        facts(entrant(0), label_smoothing=0.1),
        facts(entrant(0), optimizer="sgd"),
    ]
    assert len({same, *others}) == 6
