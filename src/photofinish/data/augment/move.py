"""Pictures mirrored and moved, before they are resized."""

from __future__ import annotations

from typing import Any

from keras import ops

from photofinish.data.augment.draws import FLIP, SHIFT_DOWN, SHIFT_RIGHT


def move(images: Any, draws: Any, *, flip: bool, shift: float) -> Any:
    """Mirror and move pictures.

    Args:
        images: (batch, height, width, channels).
        draws: (batch, DRAWS).
        flip: Mirror half of the pictures from left to right.
        shift: Move by up to this share of height and width, in whole pixels; the border is repeated.

    Returns:
        Pictures of the same shape and type.

    Examples:
        >>> import numpy as np
        >>> line = np.arange(4, dtype=np.uint8).reshape(1, 1, 4, 1)
        >>> np.asarray(move(line, np.zeros((1, 22), np.float32), flip=True, shift=0.25)).ravel()
        array([2, 1, 0, 0], dtype=uint8)
    """
    if flip:
        mirrored = ops.flip(images, axis=2)
        images = ops.where(draws[:, FLIP][:, None, None, None] < 0.5, mirrored, images)
    if shift:
        images = _move_along(images, draws[:, SHIFT_DOWN], shift, axis=1)
        images = _move_along(images, draws[:, SHIFT_RIGHT], shift, axis=2)
    return images


def _move_along(images: Any, draws: Any, shift: float, axis: int) -> Any:
    """Move each picture along an axis, repeating the border."""
    size = images.shape[axis]
    furthest = round(shift * size)
    offsets = ops.cast(ops.floor(draws * (2 * furthest + 1)), "int32") - furthest
    sources = ops.clip(ops.arange(size, dtype="int32")[None] - offsets[:, None], 0, size - 1)
    shape = (-1, size, 1, 1) if axis == 1 else (-1, 1, size, 1)
    return ops.take_along_axis(images, ops.reshape(sources, shape), axis=axis)
