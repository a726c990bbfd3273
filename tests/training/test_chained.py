"""A training segment by segment computes what one program computes, begins sooner, and is chosen where that pays."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from typing import Any

import keras
import numpy as np
import pytest
from keras import ops

from photofinish import backend
from photofinish.config import TrainingSettings
from photofinish.data import PreparedData, epoch_order
from photofinish.errors import TrainingError
from photofinish.models import Anatomy, Head, StochasticDepth, build, build_with_initial_values
from photofinish.models.layers import use_fast_layers
from photofinish.runs import unheard
from photofinish.training import measure_entrant, train_entrant
from photofinish.training.chained import pays
from photofinish.training.loop import Trainer

Few = Callable[[int], PreparedData]
BASE = {"epochs": 1, "batch_size": 8, "learning_rate": 0.01, "label_smoothing": 0.1, "reestimate_statistics": "never"}


@pytest.fixture(autouse=True)
def cache(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    if not backend.chains():
        pytest.skip("networks are chained under JAX on a processor only")
    monkeypatch.setenv("PHOTOFINISH_CACHE", str(tmp_path))


class InfiniteForWhite(keras.layers.Layer):  # type: ignore[misc]  # Keras has no types
    """Gives infinity for a picture that is all white, and every other as it is."""

    def call(self, pictures: Any) -> Any:
        """Divide by zero where the darkest value is 255."""
        is_white = ops.cast(ops.min(pictures, axis=(1, 2, 3), keepdims=True) > 254, "float32")
        return pictures / (1 - is_white)


def network() -> tuple[keras.Model, Anatomy]:
    parts: list[list[keras.layers.Layer]] = [[]]

    def kept(layer: keras.layers.Layer) -> keras.layers.Layer:
        parts[-1].append(layer)
        return layer

    def assemble() -> keras.Model:
        inputs = keras.Input((8, 8, 3))
        x = keras.layers.Rescaling(1 / 128, -1)(InfiniteForWhite()(inputs))
        x = kept(keras.layers.Conv2D(6, 3, strides=2, padding="same", name="stem"))(x)
        for number in range(4):
            parts.append([])
            y = kept(keras.layers.Conv2D(6, 3, padding="same", use_bias=False, name=f"conv{number}"))(x)
            y = kept(keras.layers.BatchNormalization(momentum=0.9, name=f"bn{number}"))(y)
            y = keras.layers.Activation("silu")(y)
            y = kept(keras.layers.DepthwiseConv2D(3, padding="same", name=f"depthwise{number}"))(y)
            y = kept(keras.layers.Conv2D(6, 1, name=f"project{number}"))(keras.layers.Activation("silu")(y))
            if number:
                y = StochasticDepth(0.1 * number, name=f"drop{number}")(y)
            x = keras.layers.Add(name=f"add{number}")([x, y])
        return keras.Model(inputs, Head(10, 0.2)(x))

    model = build_with_initial_values(assemble, 0)
    # Ours mark what is worth keeping for the gradient.
    use_fast_layers(model.layers)
    return model, Anatomy(parts)


def state_after(data: PreparedData, *, chained: bool, **changes: Any) -> dict[str, Any]:
    model, anatomy = network()
    trainer = Trainer(model, data, 8, TrainingSettings.of({**BASE, **changes}), 3, anatomy, unheard, chained=chained)
    for epoch in range(1, trainer.settings.epochs + 1):
        trainer.course.epoch = epoch
        trainer.enter_stage()
        trainer.train_epoch(epoch)
    learner = trainer.learner
    state = {f"model {place} {one.name}": one for place, one in enumerate(model.variables)}
    state |= {
        f"optimizer {i} {j}": v for i, (one, _) in enumerate(learner.optimizers) for j, v in enumerate(one.variables)
    }
    state |= {f"average {place}": one for place, one in enumerate(learner.average.variables if learner.average else ())}
    state |= {f"guard {place}": one for place, one in enumerate(learner.guard.variables)}
    values = {name: ops.convert_to_numpy(one.value).copy() for name, one in state.items()}
    return {**values, "sums": trainer.course.totals.sums, "not applied": len(trainer.course.nonfinite_steps)}


def assert_same(found: dict[str, Any], expected: dict[str, Any]) -> None:
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        np.testing.assert_allclose(found[name], value, rtol=2e-4, atol=2e-5, err_msg=name)


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"optimizer": "adam"}, id="adam"),
        pytest.param({"optimizer": "adamw", "weight_decay": 0.1, "ema_decay": 0.9}, id="averaged, with weight decay"),
        pytest.param({"optimizer": "sgd", "layer_decay": 0.5}, id="lower parts more slowly"),
        pytest.param({"optimizer": "rmsprop"}, id="rmsprop"),
        pytest.param({"train": "gradual", "epochs": 4}, id="from the top"),
        pytest.param({"train": "gradual", "epochs": 4, "ema_decay": 0.9}, id="from the top, averaged"),
    ],
)
def test_a_chain_computes_what_one_program_computes(few: Few, changes: dict[str, Any]) -> None:
    expected = state_after(few(20), chained=False, **changes)
    assert_same(state_after(few(20), chained=True, **changes), expected)


def test_nothing_of_a_step_that_is_not_finite_is_applied_by_a_chain(few: Few) -> None:
    data = few(20)
    images = np.array(data.images)
    images[data.splits["train"][epoch_order(20, 3, 1)[9]]] = 255  # the second batch of three
    white = dataclasses.replace(data, images=images)
    expected = state_after(white, chained=False, on_nonfinite="lower-rate")
    found = state_after(white, chained=True, on_nonfinite="lower-rate")
    assert found["not applied"] == 1
    assert found["guard 0"] == 0.5
    assert all(np.isfinite(value).all() for value in found.values())
    assert_same(found, expected)
    with pytest.raises(TrainingError, match=r"is (inf|nan) at step 2"):
        state_after(white, chained=True)


def test_the_same_chain_twice_is_the_same_to_the_last_bit(few: Few) -> None:
    first, second = (state_after(few(20), chained=True, ema_decay=0.9) for _ in range(2))
    for name, value in first.items():
        np.testing.assert_array_equal(second[name], value, err_msg=name)


def test_equal_blocks_share_their_programs(few: Few, monkeypatch: pytest.MonkeyPatch) -> None:
    traced: list[str] = []
    call = keras.layers.Activation.call

    def noticed(self: Any, inputs: Any) -> Any:
        traced.append(self.name)
        return call(self, inputs)

    model, anatomy = network()
    monkeypatch.setattr(keras.layers.Activation, "call", noticed)
    trainer = Trainer(model, few(8), 8, TrainingSettings.of(BASE), 3, anatomy, unheard, chained=True)
    trainer.enter_stage()
    trainer.train_epoch(1)
    # Of the four blocks the first has the stem before it, and the other three compute alike.
    assert len(traced) == 4


@pytest.fixture
def compilations() -> Iterator[list[str]]:
    """Every program that is compiled, or read from the cache."""
    found: list[str] = []
    monitoring = pytest.importorskip("jax").monitoring

    def notice(event: str, _: float, **_facts: Any) -> None:
        if event.endswith("/backend_compile_duration"):
            found.append(event)

    monitoring.register_event_duration_secs_listener(notice)
    yield found
    monitoring.unregister_event_duration_listener(notice)


@pytest.mark.parametrize("chained", [False, True])
@pytest.mark.parametrize("kept", [False, True])
def test_after_a_first_step_nothing_is_compiled(
    few: Few, compilations: list[str], *, chained: bool, kept: bool
) -> None:
    model, anatomy = network()
    program = "the small network of this test" if kept else None
    settings = TrainingSettings.of(BASE)
    trainer = Trainer(model, few(8), 8, settings, 3, anatomy, unheard, program=program, chained=chained)
    trainer.enter_stage()
    trainer.train_epoch(1)
    assert compilations
    compilations.clear()
    trainer.train_epoch(2)
    trainer.train_epoch(3)
    assert not compilations


def test_what_is_compiled_ahead_is_what_a_step_runs(few: Few, compilations: list[str]) -> None:
    model, anatomy = network()
    settings = TrainingSettings.of(BASE)
    trainer = Trainer(model, few(8), 8, settings, 3, anatomy, unheard, program="of this test", chained=True)
    trainer.enter_stage()
    compilations.clear()
    trainer.train_epoch(1)
    # Three different links, each forward, backward and its update; the beginning, the loss, the judgement, the end.
    assert len(compilations) == 3 * 3 + 4


def test_a_chain_is_for_short_trainings_of_deep_networks() -> None:
    deep = build("efficientnetv2-l", Head(10), image_size=32, seed=None).model
    assert pays(deep, 100)
    assert not pays(deep, 2000)
    shallow, _ = network()
    assert pays(shallow, 10)
    # Few of its segments are alike: with no other process to compile them, each apart takes longer than all at once.
    few_alike = build("mobilenetv2-0.35", Head(10), image_size=32, seed=None).model
    assert pays(few_alike, 10)
    assert not pays(few_alike, 10, named=False)
    inputs = keras.Input((8, 8, 3))
    assert not pays(keras.Model(inputs, Head(10)(keras.layers.Conv2D(4, 3)(inputs))), 1)


class ChosenError(Exception):
    """Says whether a training is to go segment by segment, before it begins."""


@pytest.mark.parametrize(("name", "chained"), [("mobilenetv2-0.35", True), ("own.py:network", False)])
def test_a_plan_times_a_training_as_the_race_will_go(
    few: Few, monkeypatch: pytest.MonkeyPatch, name: str, *, chained: bool
) -> None:
    def chosen(self: Trainer, _: Any, **_given: Any) -> None:
        raise ChosenError(self.is_chained)

    monkeypatch.setattr(Trainer, "begin_stage", chosen)
    entrant = build("mobilenetv2-0.35", Head(10), image_size=32, seed=None)
    given = entrant, name, few(8), 32, TrainingSettings.of(BASE), 0
    with pytest.raises(ChosenError, match=str(chained)):
        measure_entrant(*given, unheard)
    with pytest.raises(ChosenError, match=str(chained)):
        train_entrant(*given, record=lambda _: None, notify=unheard)
