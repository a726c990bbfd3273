"""Filling a network from a file's arrays: all of them fit and all are taken, or nothing is changed."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import keras

from photofinish import backend
from photofinish.catalog.stored import Arrays
from photofinish.errors import WeightsError

# Layers that files hold for other classes, or for a scaling that our models do themselves.
LAYERS_WITHOUT_COUNTERPART = frozenset({"predictions", "top_dense", "normalization", "rescaling"})
NAMED_IN_MESSAGES = 5


def fill(
    variables: Mapping[str, Any], arrays: Arrays, *, path: Path, model: str, passed_over: Collection[str] = ()
) -> None:
    """Assign to every variable the array of its name.

    Args:
        variables: What is to be filled.
        arrays: What the file holds. None is read before all are known to fit.
        path: The file, for messages.
        model: The network's name, for messages.
        passed_over: Layers whose arrays may lie in the file without a counterpart.

    Raises:
        WeightsError: Something is missing, unknown, of another shape, or damaged. No variable has then changed.
    """
    missing = [name for name in variables if name not in arrays]
    unknown = [name for name in arrays if name not in variables and name.split("/")[0] not in passed_over]
    different = [
        f"{name} is {arrays[name].shape} in the file and {tuple(variable.shape)} in the model"
        for name, variable in variables.items()
        if name in arrays and arrays[name].shape != tuple(variable.shape)
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
        raise WeightsError(f"{path} does not fit {model}: {'; '.join(problems)}")
    try:
        values = {name: arrays[name].read() for name in variables}
    except Exception as error:  # h5py's and safetensors' share no other base
        raise WeightsError(f"{path} is damaged: {error}") from error
    for name, variable in variables.items():
        variable.assign(backend.on_device(values[name]))


def named_variables(model: keras.Model, without: Collection[str] = ()) -> dict[str, Any]:
    """Return the variables of a network's layers as `layer/variable`, without the state of random generators.

    Args:
        model: A network whose layers are not models themselves.
        without: Names of layers to leave out.
    """
    return {
        f"{layer.name}/{variable.name}": variable
        for layer in model.layers
        if layer.name not in without
        for variable in layer.weights
        if "seed_generator" not in variable.path
    }


def _more(names: list[str]) -> str:
    rest = len(names) - NAMED_IN_MESSAGES
    return f" and {rest} more" if rest > 0 else ""
