"""Augmentation on the device: pure functions of (pictures, draws).

The draws are uniform numbers made by NumPy for each picture from (seed, epoch, index). Every backend therefore sees
the same augmented pictures, whatever the batch and whatever was done before. This module needs Keras; the rest of
the package does not.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from keras import ops
from numpy.typing import NDArray

# Which column of the draws decides what.
FLIP, SHIFT_DOWN, SHIFT_RIGHT = range(3)
DRAWS = 3
_AUGMENT_STREAM = int.from_bytes(b"augment", "big")


def augmentation_draws(examples: int, seed: int, epoch: int) -> NDArray[np.float32]:
    """Return the random numbers of an epoch, for each training example its own.

    Args:
        examples: Number of training examples.
        seed: The cell's seed.
        epoch: Number of the epoch.

    Returns:
        (examples, DRAWS), uniform in [0, 1).

    Examples:
        >>> augmentation_draws(2, seed=0, epoch=1).shape
        (2, 3)
    """
    counter = np.array([0, 0, 0, _AUGMENT_STREAM], dtype=np.uint64)
    words = np.random.Philox(key=np.array([seed, epoch], dtype=np.uint64), counter=counter).random_raw(examples * DRAWS)
    # The upper 24 bits fill a float32 exactly.
    uniform: NDArray[np.float32] = ((words >> np.uint64(40)) * np.float64(2.0**-24)).astype(np.float32)
    return uniform.reshape(examples, DRAWS)


def augment(images: Any, draws: Any, *, flip: bool, shift: float) -> Any:
    """Mirror and move pictures.

    Args:
        images: (batch, height, width, channels).
        draws: (batch, DRAWS), uniform in [0, 1).
        flip: Mirror half of the pictures from left to right.
        shift: Move by up to this share of height and width, in whole pixels; the border is repeated.

    Returns:
        Pictures of the same shape and type.
    """
    if flip:
        mirrored = ops.flip(images, axis=2)
        images = ops.where(draws[:, FLIP][:, None, None, None] < 0.5, mirrored, images)
    if shift:
        images = _move(images, draws[:, SHIFT_DOWN], shift, axis=1)
        images = _move(images, draws[:, SHIFT_RIGHT], shift, axis=2)
    return images


def _move(images: Any, draws: Any, shift: float, axis: int) -> Any:
    """Move each picture along an axis, repeating the border."""
    size = images.shape[axis]
    furthest = round(shift * size)
    offsets = ops.cast(ops.floor(draws * (2 * furthest + 1)), "int32") - furthest
    sources = ops.clip(ops.arange(size, dtype="int32")[None] - offsets[:, None], 0, size - 1)
    shape = (-1, size, 1, 1) if axis == 1 else (-1, 1, size, 1)
    return ops.take_along_axis(images, ops.reshape(sources, shape), axis=axis)


def resize(images: Any, size: int) -> Any:
    """Resize pictures to (size, size) by bilinear interpolation, antialiased when they shrink.

    Args:
        images: (batch, height, width, channels), uint8 or float in 0-255.
        size: Height and width in pixels.

    Returns:
        (batch, size, size, channels), float32 in 0-255.
    """
    images = ops.cast(images, "float32")
    height, width = images.shape[1], images.shape[2]
    if (height, width) == (size, size):
        return images
    if size >= max(height, width):
        return ops.image.resize(images, (size, size), interpolation="bilinear")
    # TensorFlow cannot compile its own antialiased resizing. (size, height) x (batch, height, width, channels)
    images = ops.einsum("ih,bhwc->biwc", _interpolation(height, size), images)
    return ops.einsum("jw,biwc->bijc", _interpolation(width, size), images)


def _interpolation(before: int, after: int) -> NDArray[np.float32]:
    """Return the weight of each pixel of a line in each pixel of the resized line.

    A triangle as wide as two pixels, of the larger kind, around the new pixel's centre.

    Returns:
        (after, before), each row adds up to 1.
    """
    ratio = before / after
    centres = (np.arange(after) + 0.5) * ratio - 0.5
    distances = np.abs(np.arange(before) - centres[:, None]) / max(ratio, 1.0)
    weights: NDArray[np.float64] = np.clip(1 - distances, 0, None)
    return np.asarray(weights / weights.sum(axis=1, keepdims=True), np.float32)
