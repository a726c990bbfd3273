"""A trained network comes back from its folder as it was, or not at all."""

from __future__ import annotations

import json
from pathlib import Path
from types import ModuleType

import keras
import numpy as np
import pytest
import safetensors.numpy

from photofinish.catalog.scaling import CAFFE
from photofinish.errors import WeightsError
from photofinish.models import Entrant, Head, build
from photofinish.models.saved import MANIFEST, TENSORS, load, saving

CLASSES = ("ash", "birch", "cedar")
HEAD = Head(3, 0.1, 6)
NAME = "mobilenetv2-0.35"


@pytest.fixture(scope="module")
def entrant(computations: ModuleType) -> Entrant:
    built = build(NAME, HEAD, image_size=32, seed=0, input_scaling=CAFFE)
    computations.randomise(built.model, seed=1, gain=2.0)
    return built


@pytest.fixture
def folder(entrant: Entrant, tmp_path: Path) -> Path:
    saving(entrant, tmp_path / "model", class_names=CLASSES, image_size=32, head=HEAD, name=NAME)()
    return tmp_path / "model"


def predictions(model: keras.Model, computations: ModuleType) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    return model.predict_on_batch(computations.two_pictures(32))


def test_what_comes_back_predicts_the_same(entrant: Entrant, folder: Path, computations: ModuleType) -> None:
    again, manifest = load(folder)
    assert (manifest.class_names, manifest.image_size, manifest.head_units) == (CLASSES, 32, 6)
    assert again.input_scaling == CAFFE
    expected = predictions(entrant.model, computations)
    assert np.abs(expected[0] - expected[1]).max() > 0.01 * np.abs(expected).max()
    np.testing.assert_array_equal(predictions(again.model, computations), expected)


def test_one_flipped_bit_is_noticed(folder: Path) -> None:
    content = bytearray((folder / TENSORS).read_bytes())
    content[-1] ^= 1
    (folder / TENSORS).write_bytes(content)
    with pytest.raises(WeightsError, match="changed after it was written"):
        load(folder)


def test_missing_tensors_are_noticed(folder: Path) -> None:
    (folder / TENSORS).unlink()
    with pytest.raises(WeightsError, match="missing"):
        load(folder)


def resealed(folder: Path, tensors: dict[str, np.ndarray[tuple[int, ...], np.dtype[np.float32]]]) -> Path:
    """Write other tensors and a manifest that vouches for them."""
    import hashlib

    safetensors.numpy.save_file(tensors, folder / TENSORS)
    manifest = json.loads((folder / MANIFEST).read_text())
    manifest["sha256"] = hashlib.sha256((folder / TENSORS).read_bytes()).hexdigest()
    (folder / MANIFEST).write_text(json.dumps(manifest))
    return folder


@pytest.mark.parametrize("case", ["missing", "extra", "shape"])
def test_tensors_of_another_network_are_refused(folder: Path, case: str) -> None:
    tensors = safetensors.numpy.load_file(folder / TENSORS)
    if case == "missing":
        del tensors["predictions/bias"]
    elif case == "extra":
        tensors["other/kernel"] = np.zeros(3, np.float32)
    else:
        tensors["predictions/bias"] = np.zeros(4, np.float32)
    says = {
        "missing": "the file lacks predictions/bias",
        "extra": "the model lacks other/kernel",
        "shape": r"shapes differ: predictions/bias is \(4,\) in the file and \(3,\) in the model",
    }
    with pytest.raises(WeightsError, match=f"does not fit {NAME}: {says[case]}"):
        load(resealed(folder, tensors))


def test_a_file_that_is_not_safetensors_is_refused(folder: Path) -> None:
    import hashlib

    (folder / TENSORS).write_bytes(b"\x80\x04not tensors")
    manifest = json.loads((folder / MANIFEST).read_text())
    manifest["sha256"] = hashlib.sha256((folder / TENSORS).read_bytes()).hexdigest()
    (folder / MANIFEST).write_text(json.dumps(manifest))
    with pytest.raises(WeightsError, match="cannot be read"):
        load(folder)


def test_a_manifest_of_another_version_is_refused(folder: Path) -> None:
    manifest = json.loads((folder / MANIFEST).read_text())
    (folder / MANIFEST).write_text(json.dumps({**manifest, "shoe_size": 46}))
    with pytest.raises(WeightsError, match="not of this version"):
        load(folder)


CUSTOM = """
import keras

class Attention(keras.layers.Layer):
    '''A layer made of layers, with a weight of its own.'''
    def build(self, shape):
        self.inner = keras.layers.Dense(shape[-1])
        self.inner.build(shape)
        self.scale = self.add_weight(shape=(shape[-1],), initializer="ones", name="scale")
    def call(self, x):
        return self.inner(x) * self.scale
    def compute_output_shape(self, shape):
        return shape

def tower():
    inputs = keras.Input((8, 8, 3))
    return keras.Model(inputs, keras.layers.Conv2D(4, 3, name="same")(inputs))

def network(classes):
    inputs = keras.Input((8, 8, 3))
    x = keras.layers.Concatenate()([tower()(inputs), tower()(inputs)])
    x = Attention()(x)
    x = keras.layers.GlobalAveragePooling2D()(x)
    return keras.Model(inputs, keras.layers.Dense(classes)(x))

class Own(keras.Model):
    def __init__(self, classes):
        super().__init__()
        self.convolution = keras.layers.Conv2D(4, 3)
        self.pool = keras.layers.GlobalAveragePooling2D()
        self.classifier = keras.layers.Dense(classes)
        self.temperature = self.add_weight(shape=(), initializer="ones", name="temperature")
    def call(self, x):
        return self.classifier(self.pool(self.convolution(x))) * self.temperature

def subclass(classes):
    return Own(classes)
"""


@pytest.mark.parametrize("function", ["network", "subclass"])
def test_someones_own_network_of_unnamed_and_nested_layers_comes_back(
    tmp_path: Path, function: str, computations: ModuleType
) -> None:
    (tmp_path / "nets.py").write_text(CUSTOM)
    name = f"{tmp_path / 'nets.py'}:{function}"
    entrant = build(name, Head(3), image_size=8, seed=0)
    generator = np.random.default_rng(0)
    for variable in entrant.model.weights:
        variable.assign(generator.normal(size=variable.shape))
    saving(entrant, tmp_path / "model", class_names=CLASSES, image_size=8, head=Head(3), name=name)()
    with pytest.raises(WeightsError, match="to have its code run, name it"):
        load(tmp_path / "model")
    # Keras would by now call an unnamed Dense dense_2.
    again, _ = load(tmp_path / "model", own_model=name)
    images = generator.uniform(0, 255, (2, 8, 8, 3)).astype(np.float32)
    np.testing.assert_allclose(again.model(images), entrant.model(images), rtol=1e-6)
