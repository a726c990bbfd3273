"""Folded BatchNormalization gets real statistics, and no prediction changes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from keras import ops

from photofinish import backend
from photofinish.models import EfficientNetV2, build_with_initial_values
from photofinish.training.folded import is_folded, unfold


def network() -> keras.Model:
    def assemble() -> keras.Model:
        x = inputs = keras.Input((8, 8, 3))
        for block in range(3):
            x = keras.layers.Conv2D(6, 3, padding="same", name=f"conv{block}")(x)
            x = keras.layers.BatchNormalization(epsilon=1e-3, name=f"bn{block}")(x)
            x = keras.layers.Activation("silu")(x)
        return keras.Model(inputs, keras.layers.GlobalAveragePooling2D()(x))

    model = build_with_initial_values(assemble, seed=0)
    generator = np.random.default_rng(0)
    for block in range(3):
        layer = model.get_layer(f"bn{block}")
        layer.gamma.assign(generator.uniform(0.5, 2, 6))
        layer.beta.assign(generator.normal(size=6))
    return model


def as_they_are(images: Any) -> Any:
    return ops.cast(images, "float32")


@pytest.fixture
def batches() -> list[Any]:
    generator = np.random.default_rng(1)
    return [generator.integers(0, 256, (16, 8, 8, 3)).astype(np.uint8) for _ in range(3)]


def test_predictions_stay_and_the_statistics_are_those_of_every_layers_inputs(batches: list[Any]) -> None:
    model = network()
    everything = np.concatenate(batches).astype(np.float32)
    before = np.asarray(model(everything, training=False))
    assert is_folded(model)
    unfold(model, as_they_are, batches)
    assert not is_folded(model)
    np.testing.assert_allclose(np.asarray(model(everything, training=False)), before, rtol=1e-4, atol=1e-4)
    for block in range(3):
        layer = model.get_layer(f"bn{block}")
        inputs = np.asarray(keras.Model(model.input, layer.input)(everything, training=False))
        np.testing.assert_allclose(np.array(layer.moving_mean.value), inputs.mean((0, 1, 2)), rtol=1e-3, atol=1e-3)
        np.testing.assert_allclose(np.array(layer.moving_variance.value), inputs.var((0, 1, 2)), rtol=1e-3)


def test_a_second_network_is_unfolded_by_the_program_of_the_first(
    batches: list[Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PHOTOFINISH_CACHE", str(tmp_path))
    monkeypatch.delenv("PHOTOFINISH_COMPILATION_CACHE", raising=False)
    expected, *others = [network() for _ in range(3)]
    unfold(expected, as_they_are, batches)
    for model in others:
        unfold(model, as_they_are, batches, "this network")
        for one, other in zip(model.get_weights(), expected.get_weights(), strict=True):
            np.testing.assert_array_equal(one, other)
    kept = list((tmp_path / "traced").iterdir()) if backend.active() == "jax" else [None]
    assert len(kept) == 1


def test_in_training_the_network_is_near_its_predictions_afterwards_and_was_not_before(batches: list[Any]) -> None:
    model = network()
    everything = np.concatenate(batches).astype(np.float32)
    expected = np.asarray(model(everything, training=False))
    before = np.abs(np.asarray(model(everything, training=True)) - expected).max()
    model = network()
    unfold(model, as_they_are, batches)
    after = np.abs(np.asarray(model(everything, training=True)) - expected).max()
    assert after < 1e-3 * before


def test_a_network_with_ordinary_statistics_or_none_is_not_taken_for_folded() -> None:
    model = network()
    model.get_layer("bn1").moving_mean.assign(np.full(6, 0.1))
    assert not is_folded(model)
    inputs = keras.Input((8, 8, 3))
    assert not is_folded(keras.Model(inputs, keras.layers.Conv2D(3, 3)(inputs)))


@pytest.mark.shared_data
def test_the_real_backbone_predicts_the_same_and_can_be_trained(shared_file: Callable[[str], Path]) -> None:
    path = shared_file("efficientnetv2-b0_notop.h5")
    model = EfficientNetV2("b0", classes=None, weights=path, image_size=64)
    # Smooth pictures: noise would give statistics that no photograph has.
    generator = np.random.default_rng(0)
    coarse = generator.integers(0, 256, (32, 8, 8, 3)).astype(np.float32)
    pictures = np.asarray(ops.image.resize(coarse, (64, 64), interpolation="bicubic")).clip(0, 255).astype(np.uint8)
    predict = backend.compiled(lambda x: model(x, training=False), model.variables, assigns=False)
    expected = np.asarray(predict(pictures))
    assert is_folded(model)
    unfold(model, as_they_are, [pictures])
    found = np.asarray(predict(pictures))
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-3)
    assert np.abs(expected).max() > 0.1
