"""Keras' weight files of all layouts: fitting ones fill a network, unfit or hostile ones change nothing."""

from __future__ import annotations

import stat
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import keras
import numpy as np
import pytest

from photofinish.catalog.keras_files import open_keras_archive, open_keras_h5
from photofinish.errors import WeightsError
from photofinish.models import build_with_initial_values
from photofinish.models.filling import LAYERS_WITHOUT_COUNTERPART, fill, named_variables

SUFFIXES = (".h5", ".weights.h5", ".keras")


def load(model: keras.Model, path: Path, *, new: frozenset[str] = frozenset()) -> None:
    opening = open_keras_archive if path.suffix == ".keras" else open_keras_h5
    with opening(path) as arrays:
        fill(named_variables(model, new), arrays, path=path, model="small", passed_over=LAYERS_WITHOUT_COUNTERPART)


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


def randomised() -> keras.Model:
    source = small_network(seed=2)
    for variable in source.weights:
        if "seed_generator" not in variable.path:
            variable.assign(np.random.default_rng(3).normal(size=variable.shape))
    return source


def weights_of(model: keras.Model) -> list[np.ndarray[Any, Any]]:
    return [np.array(variable.value) for variable in named_variables(model).values()]


@pytest.mark.parametrize("root", ["", "model_weights/"])
def test_a_fitting_file_fills_every_layer_by_name(target: keras.Model, tmp_path: Path, root: str) -> None:
    source = randomised()
    load(target, write(tmp_path / "w.h5", source, root))
    for found, expected in zip(weights_of(target), weights_of(source), strict=True):
        np.testing.assert_array_equal(found, expected)


def trained(source: keras.Model) -> keras.Model:
    """Give a network the state of an optimiser, which files hold too."""
    source.compile("adam", "mse")
    source.optimizer.build(source.trainable_variables)
    return source


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_what_keras_writes_today_is_read(target: keras.Model, tmp_path: Path, suffix: str) -> None:
    source = trained(randomised())
    path = tmp_path / f"network{suffix}"
    if suffix == ".weights.h5":
        source.save_weights(path)
    else:
        source.save(path)
    load(target, path)
    for found, expected in zip(weights_of(target), weights_of(source), strict=True):
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("name", ["fc1000", "Logits", "probs"])
def test_the_classifier_of_older_files_is_known_by_its_older_name(
    target: keras.Model, tmp_path: Path, name: str
) -> None:
    path = write(tmp_path / "w.h5", randomised())
    with h5py.File(path, "r+") as file:
        file.move("predictions", name)
    load(target, path)
    expected = np.array(randomised().get_layer("predictions").kernel.value)
    np.testing.assert_array_equal(np.array(target.get_layer("predictions").kernel.value), expected)


def test_the_new_head_stays_as_it_is_whatever_the_file_holds(target: keras.Model, fitting: Path) -> None:
    before = np.array(target.get_layer("predictions").kernel.value)
    load(target, fitting, new=frozenset({"predictions"}))
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
        load(target, fitting)
    assert str(fitting) in str(caught.value)
    for found, expected in zip(state(target), before, strict=True):
        np.testing.assert_array_equal(found, expected)


def test_the_message_names_five_and_counts_the_others(target: keras.Model, tmp_path: Path) -> None:
    with h5py.File(tmp_path / "w.h5", "w") as file:
        file["conv/kernel:0"] = np.zeros((3, 3, 3, 4))
    with pytest.raises(WeightsError, match=r"lacks conv/bias(, [\w/]+){4} and 3 more"):
        load(target, tmp_path / "w.h5")


CONVOLUTION, NORMALIZATION = "layers/conv2d/vars", "layers/batch_normalization/vars"

UNFIT_TODAY: dict[str, tuple[Callable[[Path], Any], str]] = {
    "layer missing": (change(lambda f: f.__delitem__("layers/batch_normalization")), "the file lacks bn/gamma"),
    "layer unknown": (
        change(lambda f: f.copy("layers/conv2d", "layers/conv2d_1") or _rename(f, "layers/conv2d_1/vars", "extra")),
        "the model lacks extra/kernel, extra/bias",
    ),
    "layer twice": (change(lambda f: f.copy("layers/conv2d", "layers/conv2d_1")), "conv/kernel more than once"),
    "shape different": (
        change(lambda f: _replace(f, f"{CONVOLUTION}/0", np.zeros((3, 3, 3, 8)))),
        r"conv/kernel is \(3, 3, 3, 8\) in the file and \(3, 3, 3, 4\) in the model",
    ),
    "variable too many": (
        change(lambda f: f.__setitem__(f"{CONVOLUTION}/2", np.zeros(4))),
        "the file lacks conv/kernel",
    ),
    "no name": (change(lambda f: f[CONVOLUTION].attrs.__delitem__("name")), "does not name its layer 'conv2d'"),
    "name of another kind": (change(lambda f: f[CONVOLUTION].attrs.__setitem__("name", 3)), "does not name its layer"),
    "external link": (
        change(lambda f: _replace(f, f"{CONVOLUTION}/1", h5py.ExternalLink("/etc/other.h5", "/bias"))),
        "'1' is a link to somewhere else",
    ),
    "external link to a layer": (
        change(lambda f: _replace(f, "layers/conv2d", h5py.ExternalLink("other.h5", "/conv"))),
        "'conv2d' is a link",
    ),
    "soft link": (change(lambda f: _replace(f, f"{CONVOLUTION}/1", h5py.SoftLink(f"/{NORMALIZATION}/1"))), "is a link"),
    "group in place of an array": (change(lambda f: _replace_by_group(f, f"{CONVOLUTION}/1")), "'1' of conv is not an"),
    "layers inside themselves": (
        change(lambda f: f["layers/conv2d"].__setitem__("layers", f["layers"])),
        "inside one another|more than once",
    ),
    "array in place of layers": (change(lambda f: _replace(f, "layers", np.zeros(3))), "'layers' is not a group"),
    "whole numbers": (change(lambda f: _replace(f, f"{CONVOLUTION}/1", np.zeros(4, int))), "not a plain array"),
    "cut off": (lambda path: path.write_bytes(path.read_bytes()[:3000]), "cannot be read as a .h5 weight file"),
}


def _rename(file: h5py.File, group: str, name: str) -> None:
    file[group].attrs["name"] = name


def _replace_by_group(file: h5py.File, name: str) -> None:
    del file[name]
    file.create_group(name)


@pytest.mark.parametrize("case", UNFIT_TODAY)
@pytest.mark.parametrize("suffix", [".weights.h5", ".keras"])
def test_an_unfit_or_hostile_file_of_keras_3_is_refused_and_changes_nothing(
    suffix: str, case: str, target: keras.Model, tmp_path: Path
) -> None:
    spoil, message = UNFIT_TODAY[case]
    path = tmp_path / "network.weights.h5"
    small_network(seed=2).save_weights(path)
    spoil(path)
    if suffix == ".keras":
        path = pack(tmp_path / "network.keras", {"model.weights.h5": path.read_bytes()})
    assert_refused_and_unchanged(target, path, message)


def assert_refused_and_unchanged(target: keras.Model, path: Path, message: str) -> None:
    before = state(target)
    with pytest.raises(WeightsError, match=message) as caught:
        load(target, path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
    for found, expected in zip(state(target), before, strict=True):
        np.testing.assert_array_equal(found, expected)


def pack(path: Path, members: dict[str, bytes], kind: int = 0) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            member = zipfile.ZipInfo(name)
            member.external_attr = kind << 16
            member.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(member, content)
    return path


def _pack_twice(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("model.weights.h5", b"first")
        archive.writestr("./model.weights.h5", b"second")


HOSTILE_ARCHIVES: dict[str, tuple[Callable[[Path], Any], str]] = {
    "bomb": (lambda path: pack(path, {"model.weights.h5": bytes(2 * 10**7)}), "decompression bomb"),
    "path outside": (lambda path: pack(path, {"../model.weights.h5": b"x"}), "leads outside"),
    "absolute path": (lambda path: pack(path, {"/model.weights.h5": b"x"}), "absolute path"),
    "symbolic link": (
        lambda path: pack(path, {"model.weights.h5": b"/etc/passwd"}, stat.S_IFLNK | 0o777),
        "a link or device",
    ),
    "twice": (_pack_twice, "more than once"),
    "without weights": (lambda path: pack(path, {"config.json": b"{}"}), "without model.weights.h5"),
    "no weights inside": (lambda path: pack(path, {"model.weights.h5": b"not HDF5"}), "cannot be read as a .h5"),
    "no archive": (lambda path: path.write_bytes(b"\x80\x04not an archive"), "damaged or incomplete"),
    "cut off": (
        lambda path: path.write_bytes(pack(path, {"model.weights.h5": bytes(999)}).read_bytes()[:99]),
        "damaged",
    ),
    "absent": (lambda _: None, "refused"),
}


@pytest.mark.parametrize("case", HOSTILE_ARCHIVES)
def test_a_hostile_archive_is_refused_changes_nothing_and_leaves_nothing_behind(
    case: str, target: keras.Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make, message = HOSTILE_ARCHIVES[case]
    make(tmp_path / "network.keras")
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    assert_refused_and_unchanged(target, tmp_path / "network.keras", message)
    assert not list((tmp_path / "temporary").iterdir())
