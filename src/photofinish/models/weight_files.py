"""Reading weights from Keras' `.h5` files: tensors only, checked before any is taken.

Nothing in such a file is executed, no link out of the file is followed, and no array is read before its shape is
known to be the expected one.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import keras
import numpy as np
from numpy.typing import NDArray

from photofinish.errors import WeightsError

# Layers that files hold for other classes, or for a scaling that our models do themselves.
LAYERS_WITHOUT_COUNTERPART = frozenset({"predictions", "probs", "fc1000", "Logits", "normalization", "rescaling"})
NAMED_IN_MESSAGES = 5
DEEPEST = 8


def load_keras_h5(model: keras.Model, path: Path, *, head: frozenset[str]) -> None:
    """Fill a model from a `.h5` weight file of Keras, matching layers by name.

    Args:
        model: Its layers carry the names that the file uses.
        path: The file.
        head: Names of layers that are new and stay as they are.

    Raises:
        WeightsError: The file is no such file, does not fit the model, or refers to other files. The model is
            then as it was before.
    """
    stored = _read(path)
    expected = {
        f"{layer.name}/{variable.name}": variable
        for layer in model.layers
        if layer.name not in head
        for variable in _own_weights(layer)
    }
    missing = [name for name in expected if name not in stored]
    unknown = [name for name in stored if name not in expected and name.split("/")[0] not in LAYERS_WITHOUT_COUNTERPART]
    different = [
        f"{name} is {stored[name].shape} in the file and {tuple(variable.shape)} in the model"
        for name, variable in expected.items()
        if name in stored and stored[name].shape != tuple(variable.shape)
    ]
    problems = [
        f"{text} {', '.join(names[:NAMED_IN_MESSAGES])}{_more(names)}"
        for text, names in (
            ("the file lacks", missing),
            ("the model lacks", unknown),
            ("shapes differ:", different),
        )
        if names
    ]
    if problems:
        raise WeightsError(f"{path} does not fit {model.name}: {'; '.join(problems)}")
    try:
        values = {name: _array(stored[name]) for name in expected}
    except (OSError, RuntimeError) as error:
        raise WeightsError(f"{path} is damaged: {error}") from error
    for name, variable in expected.items():
        variable.assign(values[name])


def _own_weights(layer: keras.layers.Layer) -> list[Any]:
    """Return a layer's variables that files hold: not the state of random generators."""
    return [variable for variable in layer.weights if "seed_generator" not in variable.path]


def _more(names: list[str]) -> str:
    rest = len(names) - NAMED_IN_MESSAGES
    return f" and {rest} more" if rest > 0 else ""


def _array(dataset: h5py.Dataset) -> NDArray[np.float32]:
    return np.asarray(dataset, dtype=np.float32)


def _read(path: Path) -> dict[str, h5py.Dataset]:
    """List a file's arrays as `layer/variable`."""
    try:
        file = h5py.File(path, "r")
    except OSError as error:
        raise WeightsError(f"{path} cannot be read as a .h5 weight file: {error}") from error
    root = _member(file, "model_weights", path) if "model_weights" in file else file
    if not isinstance(root, h5py.Group):
        raise WeightsError(f"{path} is refused: 'model_weights' is not a group")
    arrays: dict[str, h5py.Dataset] = {}
    visited: set[int] = set()
    for layer in root:
        group = _member(root, layer, path)
        if isinstance(group, h5py.Group):
            for name, dataset in _datasets(group, path, visited):
                arrays[f"{layer}/{_variable_name(name)}"] = dataset
    if not arrays:
        raise WeightsError(f"{path} holds no weights in the layout of Keras' .h5 files")
    return arrays


def _datasets(group: h5py.Group, path: Path, visited: set[int], depth: int = 0) -> list[tuple[str, h5py.Dataset]]:
    """List the arrays below a group, whatever groups lie between."""
    address = h5py.h5o.get_info(group.id).addr
    if address in visited or depth > DEEPEST:
        raise WeightsError(f"{path} is refused: its groups lie inside one another, or deeper than Keras lays them")
    visited.add(address)
    found = []
    for name in group:
        member = _member(group, name, path)
        if isinstance(member, h5py.Group):
            found += _datasets(member, path, visited, depth + 1)
        else:
            found.append((name, member))
    return found


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


def _variable_name(name: str) -> str:
    """Return Keras 3's name of a variable: `depthwise_kernel:0` is `kernel` now."""
    return name.removesuffix(":0").removeprefix("depthwise_")
