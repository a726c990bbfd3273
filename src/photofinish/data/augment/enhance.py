"""RandAugment's Color, Contrast, Brightness and Sharpness: a blend of the picture with a duller one of itself."""

from __future__ import annotations

from typing import Any

import numpy as np
from keras import ops

from photofinish.data.augment.operations import TOLERANCE, Operation


def enhance(pictures: Any, operations: Any, backwards: Any, level: float) -> Any:
    """Move the pictures for which that was drawn towards or away from a duller one.

    As Pillow's `ImageEnhance` does it: dull + factor (picture - dull), where dull is the grey picture (Color), the
    mean grey (Contrast), black (Brightness) or the smoothed picture (Sharpness).

    Args:
        pictures: (batch, height, width, 3) int32 in 0-255.
        operations: (batch,) int32, places in `Operation`.
        backwards: (batch,) bool, whether to go towards the duller picture.
        level: The factor is 1 + 0.9 level, or 1 - 0.9 level but not below 0.1, as in timm: at 0 nothing would be left
            of the picture that Contrast or Brightness is drawn for.

    Returns:
        Pictures of the same shape.
    """
    grey = _grey(pictures)
    # Zero, black, for Brightness; other operations keep the picture, whatever is dull.
    dull = ops.zeros_like(pictures)
    for operation, picture in (
        (Operation.COLOR, grey),
        (Operation.CONTRAST, _mean(grey)),
        (Operation.SHARPNESS, _smooth(pictures)),
    ):
        dull = ops.where((operations == operation)[:, None, None, None], picture, dull)
    enhances = (operations >= Operation.COLOR) & (operations <= Operation.SHARPNESS)
    factors = ops.where(backwards, max(1 - 0.9 * level, 0.1), 1 + 0.9 * level)
    factors = ops.cast(ops.where(enhances, factors, 1.0), "float32")[:, None, None, None]
    blended = ops.cast(dull, "float32") + factors * ops.cast(pictures - dull, "float32")
    return ops.cast(ops.floor(ops.clip(blended, 0, 255) + TOLERANCE), "int32")


def _grey(pictures: Any) -> Any:
    """Return the luma of ITU-R 601, (batch, height, width, 1), in Pillow's numbers of 16 binary places."""
    shares = ops.convert_to_tensor(np.array([19595, 38470, 7471], np.int32))
    return ops.right_shift(ops.sum(pictures * shares, axis=3, keepdims=True) + 2**15, 16)


def _mean(grey: Any) -> Any:
    """Return the mean of each grey picture, (batch, 1, 1, 1), rounded half up."""
    pixels = grey.shape[1] * grey.shape[2]
    return (ops.sum(grey, axis=(1, 2, 3), keepdims=True) + pixels // 2) // pixels


def _smooth(pictures: Any) -> Any:
    """Return the mean of each pixel and its eight neighbours, itself counted five times; the border stays."""
    rows = pictures[:, :-2] + pictures[:, 1:-1] + pictures[:, 2:]
    sums = rows[:, :, :-2] + rows[:, :, 1:-1] + rows[:, :, 2:] + 4 * pictures[:, 1:-1, 1:-1]
    middle = ops.pad((sums + 6) // 13, ((0, 0), (1, 1), (1, 1), (0, 0)))
    inner = np.pad(np.ones((pictures.shape[1] - 2, pictures.shape[2] - 2, 1), bool), ((1, 1), (1, 1), (0, 0)))
    return ops.where(inner, middle, pictures)
