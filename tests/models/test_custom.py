"""Anyone's own model: what is taken, what is refused, and what the refusal says."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from photofinish.errors import SettingsError
from photofinish.models import Head, build, count_macs, count_parameters, describe

SOURCE = """
import keras
layers = keras.layers

def _stem(size):
    inputs = keras.Input((size, size, 3))
    return inputs, layers.Conv2D(4, 3, strides=2, padding="same")(inputs)

def feature_map(image_size):
    inputs, x = _stem(image_size)
    return keras.Model(inputs, x, name="mine")

def logits(classes, image_size):
    inputs, x = _stem(image_size)
    x = layers.GlobalAveragePooling2D()(x)
    return keras.Model(inputs, layers.Dense(classes)(x))

def softmax(classes, image_size=8, width=4, **options):
    inputs, x = _stem(image_size)
    x = layers.GlobalAveragePooling2D()(x)
    return keras.Model(inputs, layers.Dense(classes, activation="softmax", name="last")(x))

def softmax_activation(classes, image_size):
    model = logits(classes, image_size)
    return keras.Model(model.input, layers.Activation("softmax")(model.output))

def softmax_in_a_sequential(classes, image_size):
    return keras.Sequential([keras.Input((image_size, image_size, 3)), layers.Flatten(),
                             keras.Sequential([layers.Dense(classes, activation="softmax")])])

def softmax_layer(classes, image_size):
    model = logits(classes, image_size)
    return keras.Model(model.input, layers.Softmax(name="probabilities")(model.output))

def unbuilt(classes):
    return keras.Sequential([layers.Flatten(), layers.Dense(classes)])

def attention(classes, image_size):
    inputs, x = _stem(image_size)
    x = layers.Reshape((-1, 4))(x)
    x = layers.MultiHeadAttention(2, 2)(x, x)
    return keras.Model(inputs, layers.Dense(classes)(layers.GlobalAveragePooling1D()(x)))

def too_few():
    return keras.Sequential([keras.Input((8, 8, 3)), layers.Flatten(), layers.Dense(7)])

def two_outputs(classes, image_size):
    inputs, x = _stem(image_size)
    x = layers.Flatten()(x)
    return keras.Model(inputs, [layers.Dense(classes)(x), layers.Dense(classes)(x)])

def fixed_size(classes):
    return keras.Sequential([keras.Input((32, 32, 3)), layers.Flatten(), layers.Dense(classes)])

def not_a_model(classes):
    return "a model"

def wants_more(classes, depth, heads):
    return None

def breaks(classes):
    raise RuntimeError("no such luck")
"""


@pytest.fixture
def nets(tmp_path: Path) -> Callable[[str], str]:
    (tmp_path / "nets.py").write_text(SOURCE)
    return lambda function: f"{tmp_path / 'nets.py'}:{function}"


def pictures() -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    return np.random.default_rng(0).uniform(0, 255, (4, 8, 8, 3)).astype(np.float32)


def test_a_feature_map_gets_the_head_that_every_model_gets(nets: Callable[[str], str]) -> None:
    model = build(nets("feature_map"), Head(5, 0.3, 6), image_size=8, seed=0).model
    names = [layer.name for layer in model.layers[-4:]]
    assert names == ["avg_pool", "top_dense", "top_dropout", "predictions"]
    inner = model.layers[1]
    hidden = np.maximum(np.asarray(inner(pictures())).mean((1, 2)) @ model.get_layer("top_dense").kernel.value, 0)
    np.testing.assert_allclose(
        model(pictures(), training=False), hidden @ model.get_layer("predictions").kernel.value, rtol=1e-4, atol=1e-4
    )


def test_logits_are_left_as_they_are(nets: Callable[[str], str]) -> None:
    entrant = build(nets("logits"), Head(5), image_size=8, seed=0)
    assert entrant.model.layers[-1].kernel.shape == (4, 5)
    assert (np.asarray(entrant.model(pictures())) < 0).any()
    assert entrant.weights == "the model's own"


@pytest.mark.parametrize("function", ["softmax", "softmax_activation", "softmax_in_a_sequential"])
def test_a_softmax_at_the_end_is_taken_off(nets: Callable[[str], str], function: str) -> None:
    outputs = np.asarray(build(nets(function), Head(5), image_size=8, seed=0).model(pictures()))
    assert (outputs < 0).any()
    assert np.abs(outputs.sum(axis=1) - 1).min() > 1e-3


def test_a_model_that_is_not_yet_built_is_built_for_the_pictures(nets: Callable[[str], str]) -> None:
    model = build(nets("unbuilt"), Head(5), image_size=8, seed=0).model
    assert np.asarray(model(pictures())).shape == (4, 5)
    assert count_parameters(model) == 192 * 5 + 5


def test_a_seed_decides_the_values_that_keras_draws(nets: Callable[[str], str]) -> None:
    outputs = [
        np.asarray(build(nets("logits"), Head(5), image_size=8, seed=seed).model(pictures())) for seed in (1, 1, 2)
    ]
    np.testing.assert_array_equal(outputs[0], outputs[1])
    assert (outputs[0] != outputs[2]).all()


def test_its_description_counts_what_can_be_counted(nets: Callable[[str], str]) -> None:
    description = describe(nets("logits"), image_size=8, classes=5)
    assert description.parameters == 3 * 3 * 3 * 4 + 4 + 4 * 5 + 5
    assert description.macs == 4 * 4 * 4 * 27 + 4 * 5


def test_multiply_accumulates_of_a_layer_that_is_not_known_are_not_guessed(nets: Callable[[str], str]) -> None:
    model = build(nets("attention"), Head(5), image_size=8, seed=0).model
    assert count_macs(model, 8) is None
    assert count_parameters(model) == sum(int(np.prod(weight.shape)) for weight in model.weights)


@pytest.mark.parametrize(
    ("function", "message"),
    [
        ("logitz", "has no function 'logitz': did you mean 'logits'?"),
        ("not_a_model", "returned str; it must return a keras.Model"),
        ("wants_more", "requires depth, heads; it can be given classes and image_size"),
        ("breaks", r"^\S+/nets.py, line 62: RuntimeError: no such luck$"),
        ("too_few", r"output \(None, 7\); it must give logits \(None, 5\)"),
        ("two_outputs", "of several parts; it must give logits"),
        ("fixed_size", r"cannot take pictures \(batch, 8, 8, 3\)"),
        ("softmax_layer", "ends in a Softmax layer 'probabilities'; leave it out"),
    ],
)
def test_what_cannot_race_is_refused_with_the_reason(nets: Callable[[str], str], function: str, message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        build(nets(function), Head(5), image_size=8)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            "import no_such_package",
            "broken.py, line 1 does not run: ModuleNotFoundError: No module named 'no_such_package'",
        ),
        ("def net(:", "does not run: SyntaxError"),
        (None, "does not exist; name your own model as path/to/file.py:function"),
    ],
)
def test_a_file_that_does_not_run_is_named_in_one_line(tmp_path: Path, content: str | None, message: str) -> None:
    if content is not None:
        (tmp_path / "broken.py").write_text(content)
    with pytest.raises(SettingsError, match=message):
        build(f"{tmp_path / 'broken.py'}:net", Head(5), image_size=8)


def test_a_file_may_import_its_neighbours_and_they_stand_in_for_no_library(tmp_path: Path) -> None:
    (tmp_path / "neighbour.py").write_text("width = 3")
    (tmp_path / "keras.py").write_text("raise RuntimeError")
    (tmp_path / "mine.py").write_text("import neighbour\n" + SOURCE)
    assert build(f"{tmp_path / 'mine.py'}:logits", Head(5), image_size=8).model.output_shape == (None, 5)


def test_published_weights_are_not_for_someones_own_model(nets: Callable[[str], str]) -> None:
    with pytest.raises(SettingsError, match="load them in your function"):
        build(nets("logits"), Head(5), image_size=8, weights="imagenet")


def test_an_unknown_model_is_answered_with_the_nearest() -> None:
    with pytest.raises(SettingsError, match="did you mean 'efficientnetv2-b0'"):
        build("efficientnet-b0", Head(5))


def test_one_momentum_holds_for_every_batch_normalization() -> None:
    for name in ("mobilenetv2-0.35", "resnet50"):
        model = build(name, Head(5), image_size=32, seed=None, batch_normalization_momentum=0.7).model
        layers = [layer for layer in model.layers if isinstance(layer, keras.layers.BatchNormalization)]
        assert len(layers) > 50
        assert {layer.momentum for layer in layers} == {0.7}


def test_a_seed_decides_the_head_on_someones_feature_map_too(tmp_path: Path) -> None:
    (tmp_path / "net.py").write_text(
        "import keras\n\n\ndef build(image_size):\n"
        "    inputs = keras.Input((image_size, image_size, 3))\n"
        "    return keras.Model(inputs, keras.layers.Conv2D(4, 3, name='first')(inputs), name='net')\n"
    )

    def values(seed: int) -> list[np.ndarray[Any, Any]]:
        model = build(f"{tmp_path / 'net.py'}:build", Head(3, dropout=0.5), image_size=8, seed=seed).model
        return [np.asarray(variable.value) for variable in model.variables]

    first, again, other = values(1), values(1), values(2)
    assert all((one == two).all() for one, two in zip(first, again, strict=True)), "dropout's generator included"
    assert any((one != two).any() for one, two in zip(first, other, strict=True))
