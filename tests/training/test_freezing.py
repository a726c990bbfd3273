"""What is frozen stays as it is to the last bit, and what lies lower learns more slowly."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from photofinish.catalog import CATALOG
from photofinish.catalog.scaling import OWN as OWN_SCALING
from photofinish.config import TrainingSettings
from photofinish.data import PreparedData
from photofinish.errors import SettingsError
from photofinish.models import (
    OWN,
    Entrant,
    Head,
    anatomy,
    build,
    build_with_initial_values,
    parts,
    split_head,
)
from photofinish.models.layers import StochasticDepth
from photofinish.runs import EpochRecord, unheard
from photofinish.training import loop, train_entrant
from photofinish.training.freezing import Freezing, rates_below

Few = Callable[[int], PreparedData]
BLOCKS = 3


def network(*, normalised: bool = True) -> keras.Model:
    def assemble() -> keras.Model:
        inputs = keras.Input((8, 8, 3))
        x = keras.layers.Rescaling(1 / 128, -1)(inputs)
        for block in range(BLOCKS):
            y = keras.layers.Conv2D(8, 3, padding="same", name=f"conv{block}")(x)
            if normalised:
                y = keras.layers.BatchNormalization(momentum=0.9, name=f"bn{block}")(y)
            y = keras.layers.Activation("tanh")(y)
            x = y if block == 0 else keras.layers.Add()([x, StochasticDepth(0.3, name=f"drop{block}")(y)])
        return keras.Model(inputs, Head(10, 0.2)(x), name="mine")

    return build_with_initial_values(assemble, seed=0)


def of(model: keras.Model, head: str = "a head") -> Entrant:
    return Entrant(model, OWN_SCALING, "imagenet", head)


def values(model: keras.Model) -> dict[str, Any]:
    return {variable.path: np.array(variable.value) for variable in model.weights}


def trained(data: PreparedData, monkeypatch: pytest.MonkeyPatch, **changes: Any) -> list[dict[str, Any]]:
    """Train and return the weights before each epoch and at the end."""
    model = network()
    states: list[dict[str, Any]] = []
    begin = loop.Trainer.train_epoch

    def noted(self: Any, epoch: int, **options: Any) -> Any:
        states.append(values(model))
        return begin(self, epoch, **options)

    monkeypatch.setattr(loop.Trainer, "train_epoch", noted)
    settings = TrainingSettings.of(
        {"epochs": 4, "batch_size": 8, "learning_rate": 0.01, "reestimate_statistics": "never", **changes}
    )
    records: list[EpochRecord] = []
    entrant = of(model)
    train_entrant(entrant, "mine", data, 8, settings, 0, record=records.append, notify=unheard)
    return [*states, values(model)]


def changed(before: dict[str, Any], after: dict[str, Any]) -> set[str]:
    return {path.split("/")[0] for path in before if not np.array_equal(before[path], after[path])}


def test_gradual_training_changes_the_head_first_and_then_more_and_more_from_the_top(
    few: Few, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The statistics would be given to it beforehand; that is another test's matter.
    monkeypatch.setattr("photofinish.training.entrant.is_folded", lambda _: False)
    states = trained(few(20), monkeypatch, train="gradual", ema_decay=None)
    seen = [changed(before, after) for before, after in itertools.pairwise(states)]
    # Six layers with weights below the head make six parts; frozen BatchNormalization keeps its averages.
    assert seen == [
        {"predictions"},
        {"predictions", "conv2", "bn2"},
        {"predictions", "conv2", "bn2", "conv1", "bn1"},
        {"predictions", "conv2", "bn2", "conv1", "bn1", "conv0", "bn0"},
    ]


def test_a_frozen_part_computes_as_in_prediction() -> None:
    model = network()
    layers = anatomy(of(model), "mine", cut=True)
    pictures = np.random.default_rng(0).uniform(0, 255, (4, 8, 8, 3)).astype(np.float32)
    features, _ = split_head(of(model))
    unfrozen = np.asarray(features(pictures, training=True))
    expected = np.asarray(features(pictures, training=False))
    assert np.abs(unfrozen - expected).max() > 0.01
    Freezing(layers).apply(0.0, 0.2)
    np.testing.assert_allclose(np.asarray(features(pictures, training=True)), expected, rtol=1e-5, atol=1e-6)


def test_what_is_freed_again_drops_branches_as_before_and_what_its_maker_froze_stays_frozen() -> None:
    model = network()
    model.get_layer("conv0").trainable = False
    freezing = Freezing(anatomy(of(model), "mine", cut=True))
    freezing.apply(0.0, 0.1)
    assert model.get_layer("drop1").rate == 0
    freezing.apply(1.0, 0.4)
    assert model.get_layer("drop1").rate == 0.3
    assert model.get_layer("top_dropout").rate == 0.4
    assert not model.get_layer("conv0").trainable
    assert model.get_layer("conv1").trainable


def test_each_part_gets_its_share_of_the_learning_rate() -> None:
    model = network(normalised=False)
    body = parts(of(model), "mine")
    rates = rates_below(body, 0.5)
    by_layer = {name: {rates.get(id(v), 1.0) for v in model.get_layer(name).variables} for name in ("conv0", "conv1")}
    assert len(body) == BLOCKS
    assert by_layer == {"conv0": {0.125}, "conv1": {0.25}}
    assert {rates.get(id(v), 1.0) for v in model.get_layer("predictions").variables} == {1.0}
    assert rates_below(body, 1.0) == {}


@pytest.mark.parametrize(("optimizer", "weight_decay"), [("sgd", 0.0), ("adamw", 0.1), ("rmsprop", 0.1)])
def test_a_smaller_rate_below_makes_a_smaller_step_in_proportion(
    few: Few, monkeypatch: pytest.MonkeyPatch, optimizer: str, weight_decay: float
) -> None:
    monkeypatch.setattr("photofinish.training.entrant.is_folded", lambda _: False)
    changes: dict[str, Any] = {
        "epochs": 1, "batch_size": 20, "optimizer": optimizer, "weight_decay": weight_decay, "dropout": 0,
    }  # fmt: skip
    start, whole = trained(few(20), monkeypatch, **changes)
    _, slowed = trained(few(20), monkeypatch, layer_decay=0.5, **changes)
    for path, share in (("conv0/kernel", 0.5**6), ("conv2/kernel", 0.5**2), ("predictions/kernel", 1.0)):
        step = whole[path] - start[path]
        assert np.abs(step).max() > 1e-4
        np.testing.assert_allclose(slowed[path] - start[path], share * step, rtol=1e-2, atol=2e-7)


LARGE = {"efficientnetv2-m", "efficientnetv2-l", "efficientnetv2-xl"}


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.slow] if name in LARGE else []) for name in CATALOG]
)
def test_every_layer_with_weights_below_the_head_lies_in_one_part(name: str) -> None:
    entrant = build(name, Head(10), image_size=32, seed=None)
    model = entrant.model
    found = [layer.name for part in parts(entrant, name) for layer in part if layer.weights]
    expected = [layer.name for layer in model.layers if layer.weights and layer.name != "predictions"]
    generators = [layer.name for layer in model.layers if "drop" in layer.name]
    assert sorted(set(found) - set(generators)) == sorted(set(expected) - set(generators))
    assert len(found) == len(set(found))


def test_a_network_with_a_head_of_its_own_is_not_taken_apart_whatever_its_layers_are_called() -> None:
    own = of(network(), head=OWN)
    with pytest.raises(SettingsError, match="mine ends in a head of its own"):
        parts(own, "mine")
    with pytest.raises(SettingsError, match="let your function return the feature map"):
        split_head(own)
    freezing = Freezing(anatomy(own, "mine", cut=False))
    freezing.apply(1.0, 0.77)
    assert own.model.get_layer("top_dropout").rate == 0.2


def test_someones_own_network_is_freed_from_the_top_too(tmp_path: Path) -> None:
    path = tmp_path / "deep.py"
    path.write_text(
        "import keras\n"
        "def build(classes, image_size):\n"
        "    x = inputs = keras.Input((image_size, image_size, 3))\n"
        "    for number in range(4):\n"
        "        x = keras.layers.Conv2D(4, 3, padding='same', name=f'conv{number}')(x)\n"
        "    return keras.Model(inputs, x)\n"
    )
    entrant = build(f"{path}:build", Head(10), image_size=8)
    found = [[layer.name for layer in part if layer.weights] for part in parts(entrant, f"{path}:build")]
    assert found == [["conv0"], ["conv1"], ["conv2"], ["conv3"]]
    Freezing(anatomy(entrant, f"{path}:build", cut=True)).apply(0.25, 0.2)
    trained = {variable.path.split("/")[-2] for variable in entrant.model.trainable_variables}
    assert trained == {"conv3", "predictions"}


def test_what_is_freed_late_takes_steps_of_the_size_that_was_asked_for(
    few: Few, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("photofinish.training.entrant.is_folded", lambda _: False)
    # With Adam the first step of every weight is as long as the rate, whatever its gradient.
    states = trained(few(20), monkeypatch, train="gradual", batch_size=20, epochs=4, layer_decay=1.0)
    for epoch, name in enumerate(("predictions", "conv2", "conv1", "conv0")):
        step = states[epoch + 1][f"{name}/kernel"] - states[epoch][f"{name}/kernel"]
        assert np.median(np.abs(step)) == pytest.approx(0.01, rel=0.01)
