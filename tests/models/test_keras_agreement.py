"""Ours and keras.applications' are one function where they should be: same names, same weights, same logits."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

import keras
import numpy as np
import pytest

from photofinish import backend
from photofinish.catalog.scaling import BY_128, IMAGENET
from photofinish.models import Head, build, build_with_initial_values

THEIRS = {
    "b0": keras.applications.EfficientNetV2B0,
    "b1": keras.applications.EfficientNetV2B1,
    "b2": keras.applications.EfficientNetV2B2,
    "b3": keras.applications.EfficientNetV2B3,
    "s": keras.applications.EfficientNetV2S,
    "m": keras.applications.EfficientNetV2M,
    "l": keras.applications.EfficientNetV2L,
}


def keras_network(variant: str, size: int) -> keras.Model:
    # Built our way, because Keras' own initialisers take minutes.
    return build_with_initial_values(
        lambda: THEIRS[variant](
            weights=None,
            classes=10,
            classifier_activation=None,
            input_shape=(size, size, 3),
            include_preprocessing=True,
        ),
        seed=None,
    )


def compiled(model: keras.Model) -> Callable[..., Any]:
    program = backend.compiled(lambda x: model(x, training=False), model.variables, assigns=False)
    return lambda pictures: np.asarray(program(pictures))


def shapes_by_name(model: keras.Model) -> dict[str, tuple[int, ...]]:
    return {f"{layer.name}/{weight.name}": tuple(weight.shape) for layer in model.layers for weight in layer.weights}


def agree(variant: str, size: int, computations: ModuleType) -> None:
    theirs = keras_network(variant, size)
    convention = IMAGENET if variant.startswith("b") else BY_128
    ours = build(f"efficientnetv2-{variant}", Head(10), image_size=size, seed=None, input_scaling=convention).model
    assert shapes_by_name(ours) == shapes_by_name(theirs)
    pictures = computations.two_pictures(size)
    predict = compiled(theirs)
    for gain in np.arange(4.4, 1.9, -0.1):
        computations.randomise(theirs, seed=1, gain=gain)
        expected = predict(pictures)
        scale = np.abs(expected).max()
        rounding = np.abs(predict(pictures * np.float32(1 + 1e-6)) - expected).max() / scale
        if np.abs(expected[0] - expected[1]).max() > 0.02 * scale and rounding < 2e-5:
            break
    else:
        pytest.fail("no random weights make a network that tells two pictures apart without magnifying rounding")
    for layer in theirs.layers:
        if layer.weights:
            for source, target in zip(layer.weights, ours.get_layer(layer.name).weights, strict=True):
                target.assign(source.value)
    np.testing.assert_allclose(compiled(ours)(pictures), expected, rtol=0, atol=1e-4 * scale)


@pytest.mark.parametrize(("variant", "size"), [("b0", 131), ("s", 64)])
def test_with_equal_weights_the_logits_are_those_of_keras(variant: str, size: int, computations: ModuleType) -> None:
    agree(variant, size, computations)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("variant", "size"),
    [("b0", 224), ("b1", 131), ("b1", 240), ("b2", 131), ("b3", 131), ("s", 131), ("m", 131), ("l", 131)],
)
def test_all_variants_agree_at_odd_and_even_sizes(variant: str, size: int, computations: ModuleType) -> None:
    agree(variant, size, computations)
