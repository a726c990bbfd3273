"""Reading the weight files of Keras: `.h5` of all ages, `.weights.h5`, and `.keras` archives.

Nothing in such a file is executed, and no link out of it is followed; of an archive only the tensors are unpacked.
"""

from __future__ import annotations

import contextlib
import functools
import tempfile
from collections.abc import Iterator
from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray

from photofinish.catalog.stored import Arrays, StoredArray
from photofinish.errors import DataError, WeightsError
from photofinish.storage.archives import Limits, extract

DEEPEST = 8
# What older files call the classifier.
CLASSIFIERS = frozenset({"predictions", "probs", "fc1000", "Logits"})
TENSORS_OF_ARCHIVE = "model.weights.h5"
# Twice EfficientNetV2-XL with the state of its optimiser; a file of weights hardly compresses.
ARCHIVE_LIMITS = Limits(total_bytes=5 * 10**9, members=1000, ratio=100, ratio_from_bytes=10**7)
# Keras 3 numbers a layer's variables; how many there are says what they are.
_VARIABLES = {
    1: ("kernel",),
    2: ("kernel", "bias"),
    4: ("gamma", "beta", "moving_mean", "moving_variance"),
}


@contextlib.contextmanager
def open_keras_h5(path: Path) -> Iterator[Arrays]:
    """Open a file of either layout and list its arrays as `layer/variable`.

    Raises:
        WeightsError: It is no such file, or refers to other files.
    """
    try:
        file = h5py.File(path, "r")
    except OSError as error:
        raise WeightsError(f"{path} cannot be read as a .h5 weight file: {error}") from error
    with file:
        try:
            arrays = _arrays(file, path)
        except (OSError, RuntimeError, KeyError, ValueError, TypeError) as error:
            raise WeightsError(f"{path} is damaged: {error}") from error
        if not arrays:
            raise WeightsError(f"{path} holds no weights in a layout of Keras")
        yield arrays


def _arrays(file: h5py.File, path: Path) -> dict[str, StoredArray]:
    arrays: dict[str, StoredArray] = {}
    datasets = _of_keras_3(file, path) if "layers" in file and "vars" in file else _of_keras_2(file, path)
    for layer, variable, dataset in datasets:
        name = f"{'predictions' if layer in CLASSIFIERS else layer}/{variable}"
        if name in arrays:
            raise WeightsError(f"{path} is refused: it holds {name} more than once")
        arrays[name] = StoredArray(dataset.shape, functools.partial(_read, dataset))
    return arrays


@contextlib.contextmanager
def open_keras_archive(path: Path) -> Iterator[Arrays]:
    """Open a `.keras` archive and list the arrays in it; its description of a network is not looked at.

    Raises:
        WeightsError: It is no such archive, unpacks to more than weights could need, or refers to other files.
    """
    with tempfile.TemporaryDirectory(prefix="photofinish-") as folder:
        # `extract` tells kinds of archive by their names.
        named = Path(folder) / f"{path.name}.zip"
        try:
            named.symlink_to(path.absolute())
            unpacked = Path(folder) / "unpacked"
            unpacked.mkdir()
            extract(named, unpacked, lambda name: name == TENSORS_OF_ARCHIVE, limits=ARCHIVE_LIMITS)
        except (DataError, OSError) as error:
            raise WeightsError(f"{path} is refused: {str(error).replace(str(named), 'it')}") from error
        tensors = unpacked / TENSORS_OF_ARCHIVE
        if not tensors.is_file():
            raise WeightsError(f"{path} is refused: it is a .keras archive without {TENSORS_OF_ARCHIVE}")
        try:
            with open_keras_h5(tensors) as arrays:
                yield arrays
        except WeightsError as error:
            raise WeightsError(str(error).replace(str(tensors), f"{TENSORS_OF_ARCHIVE} in {path}")) from error


def _read(dataset: h5py.Dataset) -> NDArray[np.float32]:
    return np.asarray(dataset, dtype=np.float32)


Found = tuple[str, str, h5py.Dataset]


def _of_keras_2(file: h5py.File, path: Path) -> Iterator[Found]:
    """Yield layer, variable and array: a group for each layer, and whatever groups within."""
    root = _member(file, "model_weights", path) if "model_weights" in file else file
    if not isinstance(root, h5py.Group):
        raise WeightsError(f"{path} is refused: 'model_weights' is not a group")
    visited: set[int] = set()
    for layer in root:
        group = _member(root, layer, path)
        if isinstance(group, h5py.Group):
            for name, dataset in _datasets(group, path, visited):
                # `depthwise_kernel:0` is `kernel` now.
                yield layer, name.removesuffix(":0").removeprefix("depthwise_"), dataset


def _datasets(group: h5py.Group, path: Path, visited: set[int], depth: int = 0) -> list[tuple[str, h5py.Dataset]]:
    """List the arrays below a group, whatever groups lie between."""
    _visit(group, path, visited, depth)
    found = []
    for name in group:
        member = _member(group, name, path)
        if isinstance(member, h5py.Group):
            found += _datasets(member, path, visited, depth + 1)
        else:
            found.append((name, member))
    return found


def _of_keras_3(group: h5py.Group, path: Path, visited: set[int] | None = None, depth: int = 0) -> Iterator[Found]:
    """Yield layer, variable and array: `layers/<class and number>/vars/<number>`, the layer's name an attribute."""
    visited = set() if visited is None else visited
    _visit(group, path, visited, depth)
    layers = _group(group, "layers", path)
    for key in layers:
        layer = _group(layers, key, path)
        variables = _group(layer, "vars", path) if "vars" in layer else {}
        if len(variables):
            yield from _numbered(variables, key, path)
        if "layers" in layer:
            yield from _of_keras_3(layer, path, visited, depth + 1)


def _numbered(variables: h5py.Group, key: str, path: Path) -> Iterator[Found]:
    layer = variables.attrs.get("name")
    if not isinstance(layer, str):
        raise WeightsError(
            f"{path} is refused: it does not name its layer '{key}', as files of older versions of Keras 3 do not; "
            "load it there and save it as .h5, or with Keras 3.15 or later"
        )
    names = {str(number): name for number, name in enumerate(_VARIABLES.get(len(variables), ()))}
    for number in sorted(variables, key=lambda text: (len(text), text)):
        dataset = _member(variables, number, path)
        if not isinstance(dataset, h5py.Dataset):
            raise WeightsError(f"{path} is refused: '{number}' of {layer} is not an array")
        yield layer, names.get(number, number), dataset


def _group(parent: h5py.Group, name: str, path: Path) -> h5py.Group:
    member = _member(parent, name, path)
    if not isinstance(member, h5py.Group):
        raise WeightsError(f"{path} is refused: '{name}' is not a group")
    return member


def _visit(group: h5py.Group, path: Path, visited: set[int], depth: int) -> None:
    address = h5py.h5o.get_info(group.id).addr
    if address in visited or depth > DEEPEST:
        raise WeightsError(f"{path} is refused: its groups lie inside one another, or deeper than Keras lays them")
    visited.add(address)


def _member(group: h5py.Group, name: str, path: Path) -> h5py.Group | h5py.Dataset:
    """Return a member that really lies in this file."""
    if not isinstance(group.get(name, getlink=True), h5py.HardLink):
        raise WeightsError(f"{path} is refused: '{name}' is a link to somewhere else")
    member = group[name]
    if not isinstance(member, h5py.Group | h5py.Dataset):
        raise WeightsError(f"{path} is refused: '{name}' is neither a group nor an array")
    if isinstance(member, h5py.Dataset) and (member.external or member.is_virtual or member.dtype.kind != "f"):
        raise WeightsError(f"{path} is refused: '{name}' is not a plain array of numbers stored in this file")
    return member
