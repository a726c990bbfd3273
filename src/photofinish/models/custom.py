"""Anyone's own model: `path/to/model.py:function`."""

from __future__ import annotations

import collections
import contextlib
import importlib.util
import inspect
import sys
import traceback
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import keras
from keras.src.backend.common import global_state  # Keras exports no way to number names anew and go back

from photofinish.errors import SettingsError, nearest


def build_custom(name: str, classes: int, image_size: int) -> keras.Model:
    """Call someone's function for a model.

    The function may take `classes` and `image_size`, by those names, and returns a `keras.Model` that takes pictures
    (batch, image_size, image_size, 3) of 0-255 and gives either a feature map (rank 4), which gets the head that
    every model gets, or logits (batch, classes). A softmax at its end is taken off, and so is left to the loss.

    Args:
        name: `path/to/model.py:function`.
        classes: Number of classes.
        image_size: Height and width in pixels.

    Raises:
        SettingsError: The file, the function or the model is not as described.
    """
    path, _, function_name = name.rpartition(":")
    module = _load(Path(path))
    functions = {key for key, value in vars(module).items() if callable(value) and not key.startswith("_")}
    if function_name not in functions:
        raise SettingsError(f"{path} has no function '{function_name}': {nearest(function_name, functions)}")
    with _fresh_names():
        model = _call(getattr(module, function_name), name, {"classes": classes, "image_size": image_size})
    if not isinstance(model, keras.Model):
        raise SettingsError(f"{name} returned {type(model).__name__}; it must return a keras.Model")
    shape = _output_shape(model, name, image_size)
    if len(shape) != 4 and shape != (None, classes):
        raise SettingsError(
            f"{name} returned a model with output {shape or 'of several parts'}; it must give logits "
            f"(None, {classes}), or a feature map of rank 4"
        )
    _remove_softmax(model)
    return model


def _load(path: Path) -> ModuleType:
    """Run a Python file that the user named on the command line."""
    if not path.is_file():
        raise SettingsError(f"{path} does not exist; name your own model as path/to/file.py:function")
    specification = importlib.util.spec_from_file_location(f"photofinish_custom_{path.stem}", path)
    if specification is None or specification.loader is None:
        raise SettingsError(f"{path} is not a Python file")
    module = importlib.util.module_from_spec(specification)
    sys.modules[specification.name] = module
    # The file may import its neighbours; last, so that none of them stands in for a library.
    folder = str(path.resolve().parent)
    if folder not in sys.path:
        sys.path.append(folder)
    try:
        specification.loader.exec_module(module)
    except Exception as error:  # any failure of the user's own file is theirs to see in one line
        raise SettingsError(f"{_place(error, path)} does not run: {type(error).__name__}: {error}") from error
    return module


@contextlib.contextmanager
def _fresh_names() -> Iterator[None]:
    """Let Keras number unnamed layers from the beginning.

    Saved tensors are found by their layers' names, which must not depend on what this process built before.
    """
    before = global_state.get_global_attribute("object_name_uids")
    global_state.set_global_attribute("object_name_uids", collections.defaultdict(int))
    try:
        yield
    finally:
        global_state.set_global_attribute("object_name_uids", before)


def _output_shape(model: keras.Model, name: str, image_size: int) -> tuple[int | None, ...]:
    """Return the shape of the model's output, () for one of several parts; builds the model where it is not built."""
    try:
        output = model(keras.KerasTensor((None, image_size, image_size, 3)))
    except Exception as error:
        raise SettingsError(
            f"the model of {name} cannot take pictures (batch, {image_size}, {image_size}, 3): "
            f"{type(error).__name__}: {error}"
        ) from error
    return tuple(getattr(output, "shape", ()))


def _call(function: Any, name: str, available: dict[str, int]) -> Any:
    """Call the user's function with those arguments that it names."""
    parameters = inspect.signature(function).parameters
    variadic = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    required = {
        key
        for key, parameter in parameters.items()
        if parameter.default is parameter.empty and parameter.kind not in variadic
    }
    unknown = required - set(available)
    if unknown:
        raise SettingsError(f"{name} requires {', '.join(sorted(unknown))}; it can be given classes and image_size")
    try:
        return function(**{key: value for key, value in available.items() if key in parameters})
    except Exception as error:
        raise SettingsError(
            f"{_place(error, Path(name.rpartition(':')[0]))}: {type(error).__name__}: {error}"
        ) from error


def _place(error: Exception, path: Path) -> str:
    """Return a user's file, with the line that an error came from where it can be told."""
    frames = traceback.extract_tb(error.__traceback__)
    lines = [frame.lineno for frame in frames if Path(frame.filename).resolve() == path.resolve()]
    return f"{path}, line {lines[-1]}" if lines else str(path)


def _remove_softmax(model: keras.Model) -> None:
    """Make the last layer linear where it ends in a softmax: losses and calibration need logits."""
    last = model.layers[-1]
    while isinstance(last, keras.Model):
        last = last.layers[-1]
    if getattr(last, "activation", None) is keras.activations.softmax:
        last.activation = keras.activations.linear
    elif isinstance(last, keras.layers.Softmax):
        raise SettingsError(
            f"the model ends in a Softmax layer '{last.name}'; leave it out, so that the model gives logits"
        )
