"""Every layer of ours through one harness, and each against the Keras layer that it stands for."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import keras
import numpy as np
import pytest
from keras import ops

from photofinish import backend
from photofinish.models import StochasticDepth, all_layers, build_with_initial_values
from photofinish.models.layers import (
    FAST_LAYERS,
    PACKAGE,
    DepthwiseConvolution,
    InputScaling,
    OnePassNormalization,
    PointwiseConvolution,
    SpatialConvolution,
    StridePadding,
    pixel_product,
    shifted_convolution,
    use_fast_layers,
)
from photofinish.models.networks import FEATURES

Array = np.ndarray[Any, Any]
LAYERS = {
    "InputScaling": lambda **options: InputScaling((1.0, 2.0, 3.0), (4.0, 5.0, 6.0), reverse_channels=True, **options),
    "PointwiseConvolution": lambda **options: PointwiseConvolution(5, 1, activation="silu", **options),
    "SpatialConvolution": lambda **options: SpatialConvolution(5, 3, padding="same", **options),
    "DepthwiseConvolution": lambda **options: DepthwiseConvolution(3, strides=2, padding="same", **options),
    "OnePassNormalization": OnePassNormalization,
    "StochasticDepth": lambda **options: StochasticDepth(0.3, **options),
    "StridePadding": StridePadding,
}


def drawn(*shape: int, seed: int = 0) -> Array:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def test_the_harness_covers_every_layer_that_can_be_saved() -> None:
    registered = keras.saving.get_custom_objects()
    ours = {name.removeprefix(f"{PACKAGE}>") for name in registered if name.startswith(f"{PACKAGE}>")}
    assert ours == set(LAYERS)


@pytest.mark.parametrize("name", LAYERS)
class TestEveryLayer:
    def test_it_comes_back_from_its_configuration_computing_the_same(self, name: str) -> None:
        layer = LAYERS[name](name="original")
        images = drawn(2, 7, 6, 3)
        expected = layer(images, training=False) if name == "StochasticDepth" else layer(images)
        again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(layer))
        assert type(again) is type(layer)
        assert again.get_config() == layer.get_config()
        for source, target in zip(layer.weights, again.weights, strict=True):
            target.assign(source.value)
        found = again(images, training=False) if name == "StochasticDepth" else again(images)
        np.testing.assert_array_equal(np.asarray(found), np.asarray(expected))

    def test_under_bfloat16_it_gives_bfloat16_and_keeps_float32_weights(self, name: str) -> None:
        exact, layer = LAYERS[name](name="same"), LAYERS[name](dtype="mixed_bfloat16", name="same")
        images = drawn(2, 7, 6, 3)
        exact.build(images.shape)
        layer.build(images.shape)
        for source, target in zip(exact.weights, layer.weights, strict=True):
            target.assign(source.value)
        outputs = layer(images)
        assert keras.backend.standardize_dtype(outputs.dtype) == "bfloat16"
        assert all(weight.dtype == "float32" for weight in layer.weights)
        expected = np.asarray(exact(images))
        found = np.asarray(ops.cast(outputs, "float32"))
        np.testing.assert_allclose(found, expected, rtol=0, atol=0.02 * np.abs(expected).max())

    def test_what_it_announces_is_what_it_gives(self, name: str) -> None:
        layer = LAYERS[name]()
        symbolic = layer(keras.KerasTensor((None, 7, 6, 3)))
        outputs = layer(drawn(2, 7, 6, 3))
        assert symbolic.shape == (None, *outputs.shape[1:])
        assert symbolic.dtype == keras.backend.standardize_dtype(outputs.dtype)

    def test_a_training_step_changes_all_that_is_trainable(self, name: str) -> None:
        model = keras.Sequential([keras.Input((7, 6, 3)), LAYERS[name](), keras.layers.Dense(2)])
        variables = model.trainable_variables
        before = [np.array(variable.value) for variable in variables]

        def step(images: Any) -> Any:
            loss, slopes = backend.gradients(
                lambda: (loss := ops.sum(ops.square(model(images, training=True))), loss), variables
            )
            for variable, slope in zip(variables, slopes, strict=True):
                variable.assign(variable - 1e-3 * slope)
            return loss

        compiled = backend.compiled(step, model.variables)
        losses = [float(compiled(drawn(4, 7, 6, 3))) for _ in range(2)]
        assert np.isfinite(losses).all()
        assert all((np.array(v.value) != old).any() for v, old in zip(variables, before, strict=True))


@pytest.mark.parametrize(("height", "width"), [(8, 8), (7, 7), (7, 8), (1, 1), (2, 3)])
def test_with_stride_padding_a_convolution_that_does_not_pad_is_one_that_pads_as_tensorflow(
    height: int, width: int
) -> None:
    images, kernel = drawn(2, height, width, 3), drawn(3, 3, 3, 1, seed=1)
    found = ops.depthwise_conv(StridePadding()(images), kernel, strides=2, padding="valid")
    expected = ops.depthwise_conv(images, kernel, strides=2, padding="same")
    np.testing.assert_allclose(np.asarray(found), np.asarray(expected), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(("height", "width"), [(1, 1), (2, 2), (1, 2), (2, 3), (4, 3)])
@pytest.mark.parametrize("kernel", [(3, 3), (2, 2), (5, 3), (1, 4)])
def test_shifted_matrix_products_are_a_convolution_with_its_gradients(
    height: int, width: int, kernel: tuple[int, int], agreement: ModuleType
) -> None:
    def keras_own(x: Any, k: Any) -> Any:
        return ops.conv(x, k, padding="same")

    arrays = drawn(2, height, width, 4), drawn(*kernel, 4, 5, seed=1)
    agreement.assert_same_with_gradients(shifted_convolution, keras_own, *arrays)


@pytest.mark.parametrize("size", [1, 2, 3])
def test_a_spatial_convolution_is_a_convolution_on_tiny_maps_and_others(size: int) -> None:
    assert_same_layer(
        SpatialConvolution(6, 3, padding="same", activation="relu"),
        keras.layers.Conv2D(6, 3, padding="same", activation="relu"),
        drawn(2, size, size, 3),
    )


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"use_bias": False},
        {"activation": "sigmoid", "padding": "same"},
        {"strides": 2},
        {"strides": 2, "padding": "same"},
    ],
)
def test_a_pointwise_convolution_is_a_convolution(options: dict[str, Any]) -> None:
    assert_same_layer(PointwiseConvolution(6, 1, **options), keras.layers.Conv2D(6, 1, **options), drawn(2, 5, 4, 3))


def assert_same_layer(ours: keras.layers.Layer, theirs: keras.layers.Layer, images: Array) -> None:
    ours.build(images.shape)
    theirs.build(images.shape)
    for number, (mine, other) in enumerate(zip(ours.weights, theirs.weights, strict=True)):
        mine.assign(drawn(*mine.shape, seed=number))
        other.assign(mine.value)
    np.testing.assert_allclose(np.asarray(ours(images)), np.asarray(theirs(images)), rtol=0, atol=1e-5)


def test_a_matrix_product_of_every_pixel_has_the_ordinary_gradients(agreement: ModuleType) -> None:
    agreement.assert_same_with_gradients(pixel_product, ops.matmul, drawn(2, 3, 5, 4), drawn(4, 6, seed=1))


def test_only_convolutions_that_ours_compute_alike_are_replaced() -> None:
    layers = keras.layers
    replaced = [
        layers.Conv2D(4, 1),
        layers.Conv2D(4, 1, padding="same", activation="relu"),
        layers.Conv2D(4, 1, strides=2),
        layers.Conv2D(4, 3, padding="same"),
        layers.DepthwiseConv2D(3),
        layers.DepthwiseConv2D(5, strides=2, padding="same"),
    ]
    kept = [
        layers.Conv2D(4, 3),
        layers.Conv2D(4, 3, strides=2, padding="same"),
        layers.Conv2D(4, 3, dilation_rate=2, padding="same"),
        layers.Conv2D(4, 1, groups=2),
        layers.Conv2D(4, 1, data_format="channels_first"),
        layers.DepthwiseConv2D(3, depth_multiplier=2),
        layers.DepthwiseConv2D(3, dilation_rate=2),
        layers.DepthwiseConv2D(3, data_format="channels_first"),
        layers.Conv2DTranspose(4, 1),
        layers.Dense(4),
    ]
    types = [type(layer) for layer in kept]
    use_fast_layers([*replaced, *kept])
    assert all(type(layer) in FAST_LAYERS for layer in replaced)
    assert [type(layer) for layer in kept] == types


@pytest.mark.parametrize("name", ["resnet50", "mobilenetv2"])
def test_fast_layers_leave_the_baselines_results_unchanged(name: str, computations: ModuleType) -> None:
    def assemble() -> keras.Model:
        inputs = keras.Input((48, 48, 3))
        return keras.Model(inputs, keras.layers.GlobalAveragePooling2D()(FEATURES[name](inputs)))

    model = build_with_initial_values(assemble, seed=0)
    computations.randomise(model, seed=1, gain=1.0)
    pictures = (computations.two_pictures(48) - 128) / 64

    def predict() -> Array:
        return np.asarray(
            backend.compiled(lambda x: model(x, training=False), model.variables, assigns=False)(pictures)
        )

    expected = predict()
    use_fast_layers(all_layers(model))
    assert sum(type(layer) in FAST_LAYERS for layer in all_layers(model)) >= 30
    scale = np.abs(expected).max()
    assert np.abs(expected[0] - expected[1]).max() > 0.01 * scale
    np.testing.assert_allclose(predict(), expected, rtol=0, atol=1e-4 * scale)


class TestInputScaling:
    def test_it_scales_each_channel_by_its_own_mean_and_deviation(self) -> None:
        images = drawn(2, 3, 4, 3) * 50 + 128
        mean, deviation = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)
        expected = (images - np.array(mean)) / np.array(deviation)
        np.testing.assert_allclose(np.asarray(InputScaling(mean, deviation)(images)), expected, atol=1e-5)

    def test_blue_comes_first_only_where_asked_and_after_scaling(self) -> None:
        images = np.array([10.0, 20.0, 30.0], np.float32).reshape(1, 1, 1, 3)
        reversed_ = InputScaling((1, 2, 3), (1, 1, 1), reverse_channels=True)(images)
        assert np.asarray(reversed_).ravel().tolist() == [27.0, 18.0, 9.0]

    def test_bytes_and_floats_give_the_same(self) -> None:
        images = np.random.default_rng(0).integers(0, 256, (2, 5, 5, 3), dtype=np.uint8)
        layer = InputScaling((127.5,) * 3, (127.5,) * 3)
        np.testing.assert_array_equal(np.asarray(layer(images)), np.asarray(layer(images.astype(np.float32))))

    def test_under_bfloat16_pictures_are_rounded_only_after_scaling(self) -> None:
        # 254.6 and 255 are one number in bfloat16.
        images = np.array([254.6, 255.0, 0.4], np.float32).reshape(1, 1, 1, 3)
        layer = InputScaling((254.0, 254.0, 0.0), (1.0, 1.0, 1.0), dtype="mixed_bfloat16")
        found = np.asarray(ops.cast(layer(images), "float32")).ravel()
        np.testing.assert_allclose(found, [0.6, 1.0, 0.4], rtol=0.01)


class TestStochasticDepth:
    def test_a_picture_keeps_its_whole_branch_divided_by_the_survival_or_loses_it(self) -> None:
        layer = StochasticDepth(0.25, seed=1)
        images = np.ones((4000, 2, 2, 3), np.float32)
        outputs = np.asarray(layer(images, training=True)).reshape(4000, -1)
        assert (outputs == outputs[:, :1]).all()
        values = np.unique(outputs[:, 0])
        np.testing.assert_allclose(values, [0, 1 / 0.75], rtol=1e-6)
        # Four standard errors of a share of 4000.
        assert abs((outputs[:, 0] > 0).mean() - 0.75) < 4 * np.sqrt(0.75 * 0.25 / 4000)

    def test_it_does_nothing_in_inference(self) -> None:
        images = drawn(3, 2, 2, 3)
        np.testing.assert_array_equal(np.asarray(StochasticDepth(0.9)(images, training=False)), images)

    def test_compiled_steps_draw_anew_each_time(self) -> None:
        layer = StochasticDepth(0.5, seed=1)
        layer.build((None, 1, 1, 1))
        step = backend.compiled(lambda x: layer(x, training=True), layer.variables)
        images = np.ones((64, 1, 1, 1), np.float32)
        first, second = (np.asarray(step(images)) for _ in range(2))
        assert (first != second).any()
