"""The average of all weights, and BatchNormalization's averages estimated anew, against NumPy."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
from keras import ops

from photofinish.models import build_with_initial_values
from photofinish.training.moving_averages import WeightAverage, reestimate_statistics

Array = np.ndarray[Any, Any]


def network(*, trainable: bool = True, momentum: float = 0.99) -> keras.Model:
    def assemble() -> keras.Model:
        inputs = keras.Input((6, 6, 3))
        x = keras.layers.Conv2D(4, 3, name="conv")(inputs)
        x = keras.layers.Dropout(0.5, name="drop")(x)
        x = keras.layers.BatchNormalization(momentum=momentum, trainable=trainable, name="bn")(x)
        x = keras.layers.Dense(2, name="dense")(keras.layers.Flatten()(x))
        return keras.Model(inputs, x)

    return build_with_initial_values(assemble, seed=0)


def batches(count: int, size: int = 5) -> Array:
    return np.random.default_rng(1).integers(0, 256, (count, size, 6, 6, 3), dtype=np.uint8)


def prepare(images: Any) -> Any:
    return ops.cast(images, "float32") / 100


def values(model: keras.Model) -> dict[str, Array]:
    return {variable.path: np.array(variable.value) for variable in model.variables}


def unheard(done: int) -> None:
    """Listen to no progress."""


def convolved(model: keras.Model, images: Array) -> Array:
    """Convolve by hand: windows times kernel."""
    windows = np.lib.stride_tricks.sliding_window_view(images / 100, (3, 3), axis=(1, 2))
    kernel, bias = (np.array(weight.value) for weight in model.get_layer("conv").weights)
    return np.einsum("byxcij,ijco->byxo", windows, kernel) + bias


@pytest.mark.parametrize("momentum", [0.9, 0.999])
def test_statistics_become_the_mean_over_batches_of_each_batchs_own(momentum: float) -> None:
    model = network(momentum=momentum)
    pictures = batches(7)
    activations = [convolved(model, batch) for batch in pictures]
    seen: list[int] = []
    assert reestimate_statistics(model, prepare, pictures, seen.append)
    norm = model.get_layer("bn")
    means = np.mean([a.mean(axis=(0, 1, 2)) for a in activations], axis=0)
    variances = np.mean([a.var(axis=(0, 1, 2)) for a in activations], axis=0)
    np.testing.assert_allclose(np.array(norm.moving_mean.value), means, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(np.array(norm.moving_variance.value), variances, rtol=1e-4)
    assert seen == [1, 2, 3, 4, 5, 6, 7]


def test_nothing_else_changes_neither_weights_nor_dropout_nor_its_generator() -> None:
    model = network()
    before = values(model)
    reestimate_statistics(model, prepare, batches(2), unheard)
    changed = {path for path, value in values(model).items() if (value != before[path]).any()}
    assert changed == {"bn/moving_mean", "bn/moving_variance"}
    assert any("seed_generator" in path for path in before)
    assert model.get_layer("drop").rate == 0.5
    first, second = (np.asarray(model(prepare(batches(1)[0]), training=True)) for _ in range(2))
    assert (first != second).any()


def test_a_frozen_layer_keeps_the_averages_it_computes_with() -> None:
    model = network(trainable=False)
    before = values(model)
    assert not reestimate_statistics(model, prepare, batches(2), unheard)
    assert all((value == before[path]).all() for path, value in values(model).items())


def test_a_network_without_batch_normalization_is_left_alone() -> None:
    model = keras.Sequential([keras.Input((6, 6, 3)), keras.layers.Flatten(), keras.layers.Dense(2)])
    assert not reestimate_statistics(model, prepare, batches(1), unheard)


def test_the_average_of_weights_is_numpys() -> None:
    model = network()
    average = WeightAverage(model, 0.75)
    expected = {id(source): np.array(source.value) for source in average.sources}
    generator = np.random.default_rng(2)
    for step in range(6):
        decay = min(0.75, (1 + step) / (10 + step))
        assert average.decay_at(step) == decay
        for source in average.sources:
            source.assign(generator.normal(size=source.shape))
            expected[id(source)] = expected[id(source)] * decay + np.array(source.value) * (1 - decay)
        average.update(np.float32(decay))
    for source, variable in zip(average.sources, average.variables, strict=True):
        np.testing.assert_allclose(np.array(variable.value), expected[id(source)], rtol=1e-5, atol=1e-6)


def test_the_decay_grows_to_what_was_asked_for_and_no_further() -> None:
    average = WeightAverage(network(), 0.9)
    decays = [average.decay_at(step) for step in range(200)]
    assert decays == sorted(decays)
    assert decays[0] == 0.1
    assert decays[80] == pytest.approx(0.9)
    assert decays[-1] == 0.9


def test_moving_averages_are_averaged_and_generators_are_not() -> None:
    model = network()
    names = {source.path for source in WeightAverage(model, 0.9).sources}
    assert {"bn/moving_mean", "bn/moving_variance", "conv/kernel"} <= names
    assert not any("seed_generator" in name for name in names)


def test_the_average_stands_in_for_the_weights_and_goes_back_even_after_an_error() -> None:
    model = network()
    average = WeightAverage(model, 0.9)
    kernel = model.get_layer("conv").kernel
    mean = np.array(kernel.value)
    kernel.assign(mean + 1)

    def evaluate() -> None:
        with average.in_place():
            np.testing.assert_array_equal(np.array(kernel.value), mean)
            raise RuntimeError("validation failed")

    with pytest.raises(RuntimeError, match="validation failed"):
        evaluate()
    np.testing.assert_array_equal(np.array(kernel.value), mean + 1)
