"""Pictures mixed with one another, and their labels with them: mixup and CutMix."""

from __future__ import annotations

from typing import Any

from keras import ops

from photofinish.data.augment.draws import CUTMIX_DOWN, CUTMIX_RIGHT, CUTMIX_WEIGHT, MIX_KIND, MIXUP_WEIGHT
from photofinish.data.augment.policy import Augmentation
from photofinish.data.augment.squares import squares


def mix(pictures: Any, targets: Any, draws: Any, augmentation: Augmentation) -> tuple[Any, Any]:
    """Mix each picture with that at its place in the batch's reverse order, as the official code does.

    mixup (Zhang et al. 2018, arXiv:1710.09412) adds w of the picture and 1 - w of its partner, w at least a half.
    CutMix (Yun et al. 2019, arXiv:1905.04899) puts in the partner's square, whose area is a share of 1 - w before the
    border cuts it off; the targets follow what is left of it. Where both are on, a draw decides for each picture which
    of them it is; the official code has one for each half of the batch.

    Args:
        pictures: (batch, height, width, channels) float32.
        targets: (batch, classes) float32, each row adds up to 1.
        draws: (batch, DRAWS), made for the same `augmentation`.
        augmentation: Says which of the two are on.

    Returns:
        Pictures and targets of the same shapes.

    Examples:
        >>> import numpy as np
        >>> pictures = np.array([[[[0.0]]], [[[100.0]]]], np.float32)
        >>> draws = np.full((2, 22), 0.25, np.float32)
        >>> _, targets = mix(pictures, np.eye(2, dtype=np.float32), draws, Augmentation(mixup=0.2))
        >>> np.asarray(targets).tolist()
        [[0.75, 0.25], [0.25, 0.75]]
    """
    if not augmentation.mixes:
        return pictures, targets
    # Of the picture itself, at each of its pixels: (batch, height or 1, width or 1, 1); in the target: (batch, 1).
    weight = ops.maximum(draws[:, MIXUP_WEIGHT], 1 - draws[:, MIXUP_WEIGHT])
    pixel_weights, target_weights = weight[:, None, None, None], weight[:, None]
    if augmentation.cutmix:
        kept = 1 - ops.cast(_cut(pictures, draws), "float32")
        cuts = draws[:, MIX_KIND] < (0.5 if augmentation.mixup else 1.0)
        pixel_weights = ops.where(cuts[:, None, None, None], kept, pixel_weights)
        target_weights = ops.where(cuts[:, None], ops.mean(kept, axis=(1, 2)), target_weights)
    return _blend(pictures, pixel_weights), _blend(targets, target_weights)


def _cut(pictures: Any, draws: Any) -> Any:
    """Mark what CutMix replaces, (batch, height, width, 1)."""
    height, width = pictures.shape[1], pictures.shape[2]
    share = ops.sqrt(1 - draws[:, CUTMIX_WEIGHT])
    sides = ops.cast(ops.floor(share * min(height, width) + 0.5), "int32")
    return squares(draws[:, CUTMIX_DOWN], draws[:, CUTMIX_RIGHT], sides, height, width)


def _blend(values: Any, weights: Any) -> Any:
    """Return each row blended with its partner; a weight of 1 leaves it exactly as it is."""
    return weights * values + (1 - weights) * ops.flip(values, axis=0)
