"""BatchNormalization in one pass against Keras' own, and against its definition in double precision."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import keras
import numpy as np
import pytest
from keras import ops

from photofinish import backend
from photofinish.models.layers import FAST_LAYERS, use_fast_layers
from photofinish.models.normalization import OnePassNormalization, normalise_batch

Array = np.ndarray[Any, Any]
CHANNELS = 5


def drawn(*shape: int, seed: int = 0) -> Array:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def trained_once(layer: keras.layers.Layer, inputs: Array) -> tuple[Array, list[Array]]:
    """Return the outputs in training and the weights after."""
    layer.build(inputs.shape)
    for number, weight in enumerate(layer.weights):
        weight.assign(1.5 + 0.2 * drawn(CHANNELS, seed=number))
    outputs = backend.compiled(lambda x: layer(x, training=True), layer.variables)(inputs)
    return np.asarray(ops.cast(outputs, "float32")), [np.asarray(weight.value) for weight in layer.weights]


@pytest.mark.parametrize("on_cpu", [True, False])
@pytest.mark.parametrize("shape", [(6, 4, 3, CHANNELS), (30, CHANNELS), (3, 5, 3, CHANNELS)])
def test_outputs_and_gradients_are_those_of_two_passes(
    shape: tuple[int, ...], on_cpu: bool, agreement: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backend, "on_cpu", lambda: on_cpu)

    def ours(x: Any, scale: Any, offset: Any) -> Any:
        return normalise_batch(x, scale, offset, 1e-3)[0]

    def by_definition(x: Any, scale: Any, offset: Any) -> Any:
        axes = tuple(range(len(shape) - 1))
        mean = ops.mean(x, axis=axes)
        variance = ops.mean(ops.square(x - mean), axis=axes)
        return scale * (x - mean) / ops.sqrt(variance + 1e-3) + offset

    inputs = 3 * drawn(*shape) + np.arange(CHANNELS, dtype=np.float32)
    arrays = inputs, 1 + drawn(CHANNELS, seed=1), drawn(CHANNELS, seed=2)
    agreement.assert_same_with_gradients(ours, by_definition, *arrays)


@pytest.mark.parametrize("options", [{}, {"scale": False}, {"center": False}, {"momentum": 0.7, "epsilon": 0.1}])
def test_a_training_step_leaves_the_outputs_and_averages_that_keras_leaves(options: dict[str, Any]) -> None:
    inputs = 2 * drawn(6, 4, 3, CHANNELS) + 1
    found, averages = trained_once(OnePassNormalization(**options), inputs)
    expected, expected_averages = trained_once(keras.layers.BatchNormalization(**options), inputs)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5)
    np.testing.assert_allclose(averages, expected_averages, rtol=1e-5)


def test_values_far_from_zero_keep_their_variance() -> None:
    inputs = (1000 + drawn(64, 4, 4, 3)).astype(np.float32)
    _, mean, variance = normalise_batch(inputs, np.ones(3, np.float32), np.zeros(3, np.float32), 1e-3)
    exact = inputs.astype(np.float64)
    np.testing.assert_allclose(np.asarray(mean), exact.mean(axis=(0, 1, 2)), rtol=1e-6)
    np.testing.assert_allclose(np.asarray(variance), exact.var(axis=(0, 1, 2)), rtol=1e-4)


def test_a_channel_that_does_not_vary_gives_its_offset_and_finite_gradients(agreement: ModuleType) -> None:
    inputs = np.full((4, 3, 3, 2), 7.3, np.float32)

    def ours(x: Any, scale: Any, offset: Any) -> Any:
        return normalise_batch(x, scale, offset, 1e-3)[0]

    offset = np.array([0.5, -2], np.float32)
    outputs, *slopes = agreement.with_gradients(ours, inputs, np.ones(2, np.float32), offset)
    np.testing.assert_allclose(outputs, np.broadcast_to(offset, inputs.shape), atol=1e-5)
    assert all(np.isfinite(slope).all() for slope in slopes)


def test_in_bfloat16_the_statistics_are_those_of_float32() -> None:
    inputs = 4 * drawn(64, 4, 4, CHANNELS) + 20
    found, averages = trained_once(OnePassNormalization(dtype="mixed_bfloat16"), inputs)
    rounded = np.asarray(ops.cast(ops.cast(inputs, "bfloat16"), "float32"))
    expected, expected_averages = trained_once(OnePassNormalization(), rounded)
    np.testing.assert_allclose(averages, expected_averages, rtol=1e-5)
    np.testing.assert_allclose(found, expected, rtol=0, atol=0.02 * np.abs(expected).max())


def test_a_frozen_layer_computes_with_its_averages_and_leaves_them() -> None:
    inputs = drawn(6, 4, 3, CHANNELS)
    layer = OnePassNormalization(trainable=False)
    found, weights = trained_once(layer, inputs)
    scale, offset, mean, variance = weights
    np.testing.assert_allclose(
        found, scale * (inputs - mean) / np.sqrt(variance + layer.epsilon) + offset, rtol=1e-4, atol=1e-4
    )
    np.testing.assert_array_equal(mean, 1.5 + 0.2 * drawn(CHANNELS, seed=2))


def test_only_plain_normalisations_of_the_last_axis_are_replaced() -> None:
    normalisation = keras.layers.BatchNormalization
    built = normalisation(axis=3)
    built.build((None, 4, 4, 3))
    replaced = [normalisation(), built]
    kept = [normalisation(axis=1), normalisation(renorm=True)]
    use_fast_layers([*replaced, *kept])
    assert all(type(layer) in FAST_LAYERS for layer in replaced)
    assert all(type(layer) is normalisation for layer in kept)
