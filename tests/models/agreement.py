"""Ours and Keras' own computation beside each other, gradients included."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras import ops

from photofinish import backend

Array = np.ndarray[Any, Any]


def with_gradients(function: Callable[..., Any], *arrays: Array) -> list[Array]:
    """Return the outputs and, for the sum of their sines, the gradient by each array."""
    variables = [keras.Variable(array) for array in arrays]

    def step() -> Any:
        def objective() -> tuple[Any, Any]:
            outputs = function(*(variable.value for variable in variables))
            return ops.sum(ops.sin(outputs)), outputs

        return backend.gradients(objective, variables)

    outputs, slopes = backend.compiled(step, variables)()
    return [np.asarray(array) for array in (outputs, *slopes)]


def assert_same_with_gradients(ours: Callable[..., Any], theirs: Callable[..., Any], *arrays: Array) -> None:
    """Compare outputs and gradients, to a hundred-thousandth of the largest."""
    pairs = zip(with_gradients(ours, *arrays), with_gradients(theirs, *arrays), strict=True)
    for found, expected in pairs:
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5 * max(1, np.abs(expected).max()))
