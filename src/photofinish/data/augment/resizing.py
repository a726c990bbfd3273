"""Pictures brought to the size that the model sees."""

from __future__ import annotations

from typing import Any

import numpy as np
from keras import ops
from numpy.typing import NDArray


def resize(images: Any, size: int) -> Any:
    """Resize pictures to (size, size) by bilinear interpolation, antialiased when they shrink.

    Args:
        images: (batch, height, width, channels), uint8 or float in 0-255.
        size: Height and width in pixels.

    Returns:
        (batch, size, size, channels), float32 in 0-255.

    Examples:
        >>> import numpy as np
        >>> image = np.array([[0, 100], [100, 200]], np.uint8).reshape(1, 2, 2, 1)
        >>> float(resize(image, 1)[0, 0, 0, 0])
        100.0
    """
    images = ops.cast(images, "float32")
    height, width = images.shape[1], images.shape[2]
    if (height, width) == (size, size):
        return images
    # Matrix products, because XLA compiles TensorFlow's own resizing wrongly, without an error, where pictures are
    # enlarged three, five or seven times, and antialiased resizing not at all.
    # (size, height) x (batch, height, width, channels)
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
