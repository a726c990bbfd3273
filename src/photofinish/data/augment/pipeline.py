"""Everything that happens to one picture, in order."""

from __future__ import annotations

from typing import Any

from photofinish.data.augment.cropping import random_boxes, resized_crop
from photofinish.data.augment.draws import CUTOUT_DOWN, CUTOUT_RIGHT
from photofinish.data.augment.move import move
from photofinish.data.augment.policy import Augmentation
from photofinish.data.augment.randaugment import randaugment
from photofinish.data.augment.resizing import resize
from photofinish.data.augment.squares import cutout


def augment(images: Any, draws: Any, augmentation: Augmentation, size: int) -> Any:
    """Mirror, move, crop, resize, apply RandAugment, and cut out, each where it is asked for.

    Args:
        images: (batch, height, width, 3) uint8.
        draws: (batch, DRAWS).
        augmentation: What to do; mixing is left to `mix`.
        size: Height and width of the result.

    Returns:
        (batch, size, size, 3), float32 in 0-255.

    Examples:
        >>> import numpy as np
        >>> from photofinish.data.augment.draws import augmentation_draws
        >>> augmentation = Augmentation(flip=True, crop=0.25, cutout=0.5)
        >>> draws = augmentation_draws(5, seed=0, epoch=1, augmentation=augmentation)
        >>> pictures = augment(np.zeros((5, 9, 12, 3), np.uint8), draws, augmentation, size=8)
        >>> tuple(pictures.shape), float(pictures.max())
        ((5, 8, 8, 3), 128.0)
    """
    images = move(images, draws, flip=augmentation.flip, shift=augmentation.shift)
    if augmentation.crop < 1:
        boxes = random_boxes(draws, images.shape[1], images.shape[2], augmentation.crop)
        pictures = resized_crop(images, boxes, size)
    else:
        pictures = resize(images, size)
    if augmentation.randaugment:
        pictures = randaugment(pictures, draws, augmentation.randaugment)
    if augmentation.cutout:
        pictures = cutout(pictures, draws[:, CUTOUT_DOWN], draws[:, CUTOUT_RIGHT], augmentation.cutout)
    return pictures
