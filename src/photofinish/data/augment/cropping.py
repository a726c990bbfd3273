"""Random resized crops (Szegedy et al. 2015): a random box of the picture fills the new picture."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from keras import ops

from photofinish.data.augment.draws import CROP_AREA, CROP_ASPECT, CROP_DOWN, CROP_RIGHT

# The flattest and the widest box, width divided by height.
ASPECTS = (3 / 4, 4 / 3)


class Boxes(NamedTuple):
    """A box in each picture, in pixels of the picture and fractions of them.

    Attributes:
        tops: (batch,) distance from the upper border.
        lefts: (batch,) distance from the left border.
        heights: (batch,).
        widths: (batch,).
    """

    tops: Any
    lefts: Any
    heights: Any
    widths: Any


def random_boxes(draws: Any, height: int, width: int, smallest: float) -> Boxes:
    """Draw a box inside each picture.

    Its share of the picture's area is uniform in [smallest, 1]. The logarithm of its aspect ratio is uniform over
    those of 3/4 to 4/3 at which a box of that area has room, so that no draw is ever rejected; the usual codes draw
    area and ratio together, again and again until the box has room, and so rarely draw large areas. In a picture so
    long that no such ratio has room, the area is kept, and the ratio is the nearest that has.

    Args:
        draws: (batch, DRAWS).
        height: Height of the pictures.
        width: Width of the pictures.
        smallest: Smallest share of the area.

    Examples:
        >>> import numpy as np
        >>> boxes = random_boxes(np.zeros((1, 22), np.float32), 20, 20, smallest=0.25)
        >>> [round(float(side[0]), 2) for side in boxes]
        [0.0, 0.0, 11.55, 8.66]
    """
    area = smallest + (1 - smallest) * draws[:, CROP_AREA]
    # The flattest and the widest box of the area that have room.
    room = area * width / height, width / (area * height)
    flattest, widest = (ops.minimum(ops.maximum(room[0], ratio), room[1]) for ratio in ASPECTS)
    ratio = flattest * ops.power(widest / flattest, draws[:, CROP_ASPECT])
    diagonal = ops.sqrt(area) * math.sqrt(height * width)
    heights = ops.minimum(diagonal / ops.sqrt(ratio), height)
    widths = ops.minimum(diagonal * ops.sqrt(ratio), width)
    return Boxes(draws[:, CROP_DOWN] * (height - heights), draws[:, CROP_RIGHT] * (width - widths), heights, widths)


def resized_crop(images: Any, boxes: Boxes, size: int) -> Any:
    """Resize a box of each picture to (size, size), as Pillow's `resize(..., BILINEAR, box=box)` does.

    Antialiased when it shrinks; pixels outside the box count where the interpolation reaches them.

    Args:
        images: (batch, height, width, channels), uint8 or float in 0-255.
        boxes: One for each picture.
        size: Height and width of the result.

    Returns:
        (batch, size, size, channels), float32 in 0-255.
    """
    images = ops.cast(images, "float32")
    height, width = images.shape[1], images.shape[2]
    images = ops.einsum("bih,bhwc->biwc", _interpolation(boxes.tops, boxes.heights, height, size), images)
    return ops.einsum("bjw,biwc->bijc", _interpolation(boxes.lefts, boxes.widths, width, size), images)


def _interpolation(starts: Any, lengths: Any, before: int, after: int) -> Any:
    """Return the weight of each pixel of a line in each pixel that a stretch of the line is resized to.

    A triangle as wide as two pixels, of the larger kind, around the new pixel's centre.

    Returns:
        (batch, after, before), each row adds up to 1.
    """
    ratio = lengths[:, None, None] / after
    centres = starts[:, None, None] + (ops.arange(after, dtype="float32")[:, None] + 0.5) * ratio
    distances = ops.abs(ops.arange(before, dtype="float32") + 0.5 - centres) / ops.maximum(ratio, 1.0)
    weights = ops.maximum(1 - distances, 0.0)
    return weights / ops.sum(weights, axis=2, keepdims=True)
