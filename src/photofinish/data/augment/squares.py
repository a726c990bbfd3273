"""Squares around a random centre, cut off at the border, as Cutout and CutMix use them."""

from __future__ import annotations

from typing import Any

from keras import ops

# What fills places that belong to no picture any more.
GREY = 128


def squares(down: Any, right: Any, sides: Any, height: int, width: int) -> Any:
    """Mark a square in each picture.

    Args:
        down: (batch,) in [0, 1): in which row the centre lies.
        right: (batch,) in [0, 1): in which column it lies.
        sides: (batch,) or scalar, whole numbers: pixels from edge to edge.
        height: Height of the pictures.
        width: Width of the pictures.

    Returns:
        (batch, height, width, 1), whether a pixel lies inside.

    Examples:
        >>> import numpy as np
        >>> np.asarray(squares(np.zeros(1), np.full(1, 0.5), 2, 2, 4))[0, :, :, 0].astype(int)
        array([[0, 1, 1, 0],
               [0, 0, 0, 0]])
    """
    rows = _stretches(down, sides, height)
    columns = _stretches(right, sides, width)
    return ops.logical_and(rows[:, :, None, None], columns[:, None, :, None])


def _stretches(centres: Any, lengths: Any, size: int) -> Any:
    """Mark the pixels of a line, (batch, size), from half a length before the centre on."""
    starts = ops.cast(ops.floor(centres * size), "int32") - lengths // 2
    places = ops.arange(size, dtype="int32")[None]
    return ops.logical_and(places >= starts[:, None], places < (starts + lengths)[:, None])


def cutout(pictures: Any, down: Any, right: Any, side: float) -> Any:
    """Blank a square of each picture (DeVries and Taylor 2017, arXiv:1708.04552).

    Args:
        pictures: (batch, height, width, channels), whole or real numbers.
        down: (batch,) in [0, 1): in which row the centre lies.
        right: (batch,) in [0, 1): in which column it lies.
        side: From edge to edge, as a share of the shorter side of the pictures.

    Returns:
        Pictures of the same shape and type.
    """
    height, width = pictures.shape[1], pictures.shape[2]
    inside = squares(down, right, round(side * min(height, width)), height, width)
    return ops.where(inside, ops.full_like(pictures, GREY), pictures)
