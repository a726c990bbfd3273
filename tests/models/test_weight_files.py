"""`.h5` weight files: the real one fits, and unfit or hostile ones change nothing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import h5py
import keras
import numpy as np
import pytest

from photofinish import backend
from photofinish.errors import SettingsError, WeightsError
from photofinish.models import EfficientNetV2, Head, build, build_with_initial_values
from photofinish.models.weight_files import load_keras_h5

NO_HEAD: frozenset[str] = frozenset()


def small_network(seed: int = 0) -> keras.Model:
    def assemble() -> keras.Model:
        inputs = keras.Input((8, 8, 3))
        x = keras.layers.Conv2D(4, 3, name="conv")(inputs)
        x = keras.layers.BatchNormalization(name="bn")(x)
        x = keras.layers.DepthwiseConv2D(3, use_bias=False, name="depthwise")(x)
        x = keras.layers.Dropout(0.1, name="drop")(x)
        return keras.Model(inputs, keras.layers.Dense(5, name="predictions")(x), name="small")

    return build_with_initial_values(assemble, seed)


def state(model: keras.Model) -> list[np.ndarray[Any, Any]]:
    return [np.array(variable.value) for variable in model.weights]


def write(path: Path, model: keras.Model, root: str = "") -> Path:
    """Write weights in the layout of Keras 2: group, group, `name:0`; depthwise kernels under their old name."""
    with h5py.File(path, "w") as file:
        for layer in model.layers:
            for variable in layer.weights:
                name = "depthwise_kernel" if layer.name == "depthwise" else variable.name
                file[f"{root}{layer.name}/{layer.name}/{name}:0"] = np.array(variable.value)
    return path


@pytest.fixture
def target() -> keras.Model:
    return small_network(seed=1)


@pytest.fixture
def fitting(tmp_path: Path) -> Path:
    return write(tmp_path / "weights.h5", small_network(seed=2))


@pytest.mark.parametrize("root", ["", "model_weights/"])
def test_a_fitting_file_fills_every_layer_by_name(target: keras.Model, tmp_path: Path, root: str) -> None:
    source = small_network(seed=2)
    for variable in source.weights:
        variable.assign(np.random.default_rng(3).normal(size=variable.shape))
    load_keras_h5(target, write(tmp_path / "w.h5", source, root), head=NO_HEAD)
    for found, expected in zip(state(target), state(source), strict=True):
        np.testing.assert_array_equal(found, expected)


def test_the_new_head_stays_as_it_is_whatever_the_file_holds(target: keras.Model, fitting: Path) -> None:
    before = np.array(target.get_layer("predictions").kernel.value)
    load_keras_h5(target, fitting, head=frozenset({"predictions"}))
    np.testing.assert_array_equal(np.array(target.get_layer("predictions").kernel.value), before)


def change(edit: Callable[[h5py.File], Any]) -> Callable[[Path], None]:
    def apply(path: Path) -> None:
        with h5py.File(path, "r+") as file:
            edit(file)

    return apply


def _replace(file: h5py.File, name: str, value: Any) -> None:
    del file[name]
    file[name] = value


def _external_dataset(file: h5py.File) -> None:
    del file["conv/conv/bias:0"]
    outside = Path(file.filename).with_name("secret.bin")
    outside.write_bytes(bytes(16))
    file.create_dataset("conv/conv/bias:0", (4,), "f4", external=[(str(outside), 0, 16)])


def _virtual_dataset(file: h5py.File) -> None:
    del file["conv/conv/bias:0"]
    layout = h5py.VirtualLayout((4,), "f4")
    layout[:] = h5py.VirtualSource("elsewhere.h5", "bias", (4,))
    file.create_virtual_dataset("conv/conv/bias:0", layout)


def _own_ancestor(file: h5py.File) -> None:
    file["conv/conv/deeper"] = file["conv"]


def _committed_type(file: h5py.File) -> None:
    file["conv/conv/type"] = np.dtype("f8")


def _flip_compressed_byte(path: Path) -> None:
    with h5py.File(path, "r+") as file:
        kernel = np.array(file["conv/conv/kernel:0"])
        del file["conv/conv/kernel:0"]
        chunked = file.create_dataset("conv/conv/kernel:0", data=kernel, chunks=kernel.shape, compression="gzip")
        offset = chunked.id.get_chunk_info(0).byte_offset
    damaged = bytearray(path.read_bytes())
    damaged[offset + 8] ^= 255
    path.write_bytes(damaged)


UNFIT: dict[str, tuple[Callable[[Path], Any], str]] = {
    "layer missing": (change(lambda f: f.__delitem__("bn")), "the file lacks bn/gamma, bn/beta"),
    "layer unknown": (
        change(lambda f: f.create_dataset("extra/extra/kernel:0", data=np.zeros(3))),
        "the model lacks extra/kernel",
    ),
    "shape different": (
        change(lambda f: _replace(f, "conv/conv/kernel:0", np.zeros((3, 3, 3, 8)))),
        r"conv/kernel is \(3, 3, 3, 8\) in the file and \(3, 3, 3, 4\) in the model",
    ),
    "text": (change(lambda f: _replace(f, "conv/conv/bias:0", np.array([b"a"] * 4))), "not a plain array of numbers"),
    "no shape": (change(lambda f: _replace(f, "conv/conv/bias:0", h5py.Empty("f4"))), "conv/bias"),
    "external link": (
        change(lambda f: _replace(f, "conv/conv/bias:0", h5py.ExternalLink("/etc/other.h5", "/bias"))),
        "'bias:0' is a link to somewhere else",
    ),
    "external link to a layer": (
        change(lambda f: _replace(f, "conv", h5py.ExternalLink("other.h5", "/conv"))),
        "'conv' is a link",
    ),
    "soft link": (change(lambda f: _replace(f, "conv/conv/bias:0", h5py.SoftLink("/bn/bn/beta:0"))), "is a link"),
    "dangling root": (
        change(lambda f: f.__setitem__("model_weights", h5py.ExternalLink("other.h5", "/"))),
        "link|holds no weights|does not fit|refused",
    ),
    "external data set": (change(_external_dataset), "not a plain array of numbers stored in this file"),
    "virtual data set": (change(_virtual_dataset), "not a plain array of numbers stored in this file"),
    "group inside itself": (change(_own_ancestor), "inside one another"),
    "type in place of an array": (change(_committed_type), "neither a group nor an array"),
    "array in place of the root": (
        change(lambda f: f.create_dataset("model_weights", data=np.zeros(3))),
        "'model_weights' is not a group",
    ),
    "empty": (change(lambda f: f.clear()), "holds no weights"),
    "not HDF5": (lambda path: path.write_bytes(b"PK\x03\x04 not a weight file"), "cannot be read as a .h5 weight file"),
    "cut off": (lambda path: path.write_bytes(path.read_bytes()[:3000]), "cannot be read as a .h5 weight file"),
    "damaged inside": (_flip_compressed_byte, "is damaged"),
    "absent": (lambda path: path.unlink(), "cannot be read"),
}


@pytest.mark.parametrize("case", UNFIT)
def test_a_file_that_does_not_fit_or_reaches_outside_is_refused_and_changes_nothing(
    case: str, target: keras.Model, fitting: Path
) -> None:
    spoil, message = UNFIT[case]
    spoil(fitting)
    before = state(target)
    with pytest.raises(WeightsError, match=message) as caught:
        load_keras_h5(target, fitting, head=NO_HEAD)
    assert str(fitting) in str(caught.value)
    for found, expected in zip(state(target), before, strict=True):
        np.testing.assert_array_equal(found, expected)


def test_the_message_names_five_and_counts_the_others(target: keras.Model, tmp_path: Path) -> None:
    with h5py.File(tmp_path / "w.h5", "w") as file:
        file["conv/kernel:0"] = np.zeros((3, 3, 3, 4))
    with pytest.raises(WeightsError, match=r"lacks conv/bias(, [\w/]+){4} and 3 more"):
        load_keras_h5(target, tmp_path / "w.h5", head=NO_HEAD)


def test_the_weights_of_another_variant_are_refused(tmp_path: Path) -> None:
    source = build("efficientnetv2-b1", Head(None), image_size=32, seed=None).model
    with pytest.raises(WeightsError, match=r"the model lacks block1b_project_bn/beta, .* and 77 more"):
        EfficientNetV2("b0", classes=10, weights=write(tmp_path / "b1.h5", source))


@pytest.mark.parametrize(
    ("weights", "message"), [("imagenett", "did you mean 'imagenet'"), ("none/such.h5", "does not exist")]
)
def test_weights_that_do_not_exist_are_refused_before_the_network_is_built(weights: str, message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        EfficientNetV2("b0", classes=10, weights=weights)


@pytest.mark.shared_data
def test_real_imagenet_weights_give_the_features_that_keras_gives(
    shared_file: Callable[[str], Path], computations: ModuleType
) -> None:
    path = shared_file("efficientnetv2-b0_notop.h5")
    theirs = build_with_initial_values(
        lambda: keras.applications.EfficientNetV2B0(
            weights=None, include_top=False, pooling="avg", input_shape=(96, 96, 3)
        ),
        seed=None,
    )
    theirs.load_weights(path)
    ours = EfficientNetV2("b0", classes=None, weights=path)
    pictures = computations.two_pictures(96)
    found, expected = (
        np.asarray(backend.compiled(lambda x, m=m: m(x, training=False), m.variables, assigns=False)(pictures))
        for m in (ours, theirs)
    )
    scale = np.abs(expected).max()
    assert np.abs(expected[0] - expected[1]).max() > 0.1 * scale
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-4 * scale)
