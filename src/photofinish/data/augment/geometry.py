"""RandAugment's rotation, shear and translation, as one gather with a matrix for each picture."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from keras import ops
from numpy.typing import NDArray

from photofinish.data.augment.operations import Operation
from photofinish.data.augment.squares import GREY

# Pillow computes with numbers of 16 binary places.
_PLACES = 16


def transform(pictures: Any, operations: Any, backwards: Any, level: float) -> Any:
    """Rotate, shear or move the pictures for which that was drawn.

    The nearest pixel is taken, as in AutoAugment's code and bit by bit as Pillow does it; grey comes in from outside.

    Args:
        pictures: (batch, height, width, channels) int32.
        operations: (batch,) int32, places in `Operation`.
        backwards: (batch,) bool, whether to go the other way.
        level: 1 is 30 degrees, a shear of 0.3, a third of the side.

    Returns:
        Pictures of the same shape.
    """
    batch, height, width, channels = pictures.shape
    matrices = ops.take(_matrices(height, width, level), operations * 2 + ops.cast(backwards, "int32"), axis=0)
    xx, xy, x0, yx, yy, y0 = (matrices[:, place][:, None, None] for place in range(6))
    rows, columns = ops.arange(height, dtype="int32")[:, None], ops.arange(width, dtype="int32")
    # (batch, height, width): where each pixel comes from.
    x = ops.right_shift(xx * columns + xy * rows + x0, _PLACES)
    y = ops.right_shift(yx * columns + yy * rows + y0, _PLACES)
    inside = (x >= 0) & (x < width) & (y >= 0) & (y < height)
    sources = ops.reshape(ops.where(inside, y * width + x, 0), (batch, height * width, 1))
    found = ops.take_along_axis(ops.reshape(pictures, (batch, height * width, channels)), sources, axis=1)
    return ops.where(inside[..., None], ops.reshape(found, (batch, height, width, channels)), GREY)


def _matrices(height: int, width: int, level: float) -> NDArray[np.int32]:
    """Return for each operation, forwards and backwards, which pixel of the old picture each of the new comes from.

    Returns:
        (2 * operations, 6): x = (xx * column + xy * row + x0) / 2^16, and y likewise.
    """
    found = []
    for operation in Operation:
        for sign in (1, -1):
            xx, xy, x0, yx, yy, y0 = _matrix(operation, height, width, sign * level)
            # From the middle of a pixel to the middle of a pixel.
            numbers = (xx, xy, x0 + (xx + xy) / 2, yx, yy, y0 + (yx + yy) / 2)
            found.append([math.floor(number * 2**_PLACES + 0.5) for number in numbers])
    return np.array(found, np.int32)


def _matrix(operation: Operation, height: int, width: int, level: float) -> tuple[float, ...]:
    """Return the matrix in real numbers (xx, xy, x0, yx, yy, y0), that of doing nothing for other operations."""
    match operation:
        case Operation.ROTATE:
            # About the middle. Pillow rounds both to 15 digits.
            cosine, sine = (round(function(math.radians(30 * level)), 15) for function in (math.cos, math.sin))
            x, y = width / 2, height / 2
            return (cosine, -sine, x - cosine * x + sine * y, sine, cosine, y - sine * x - cosine * y)
        case Operation.SHEAR_X:
            return (1, 0.3 * level, 0, 0, 1, 0)
        case Operation.SHEAR_Y:
            return (1, 0, 0, 0.3 * level, 1, 0)
        case Operation.TRANSLATE_X:
            return (1, 0, round(level * width * 100 / 300), 0, 1, 0)
        case Operation.TRANSLATE_Y:
            return (1, 0, 0, 0, 1, round(level * height * 100 / 300))
    return (1, 0, 0, 0, 1, 0)
