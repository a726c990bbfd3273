"""RandAugment (Cubuk et al. 2020, arXiv:1909.13719): two operations out of sixteen for each picture."""

from __future__ import annotations

from typing import Any

from keras import ops

from photofinish.data.augment.draws import SLOTS
from photofinish.data.augment.enhance import enhance
from photofinish.data.augment.geometry import transform
from photofinish.data.augment.operations import TOLERANCE, Operation
from photofinish.data.augment.squares import GREY, squares
from photofinish.data.augment.tones import change_tones


def randaugment(pictures: Any, draws: Any, magnitude: float) -> Any:
    """Apply to each picture two operations drawn for it, which may be the same.

    Magnitude 10 is the end of the ranges of AutoAugment (Cubuk et al. 2019, table 6), and every strength is
    proportional to the magnitude. In this we depart from the official code, where Posterize, Solarize and the four
    enhancements grow weaker with the magnitude, or are the identity somewhere in the middle (it keeps int(4 m / 10)
    bits, inverts from 256 m / 10 on, and enhances by 1.8 m / 10 + 0.1): progressive learning wants augmentation to grow
    with the magnitude. timm calls ours the increasing variants. Translate and Cutout are shares of the picture's side,
    the official 100 and 80 pixels at the 300 that EfficientNetV2-S is trained with at last, so that pictures of 32
    pixels are treated alike.

    Args:
        pictures: (batch, size, size, 3), float32 in 0-255; rounded to whole numbers first.
        draws: (batch, DRAWS).
        magnitude: How strongly, more than 0.

    Returns:
        (batch, size, size, 3), whole numbers in float32, 0-255.
    """
    pictures = ops.cast(ops.floor(pictures + 0.5 + TOLERANCE), "int32")
    # Shape (2, batch, 4), the columns of a `Slot`.
    slots = ops.stack([draws[:, slot.operation : slot.right + 1] for slot in SLOTS])

    def apply(number: Any, pictures: Any) -> Any:
        operation, sign, down, right = ops.unstack(ops.take(slots, number, axis=0), 4, axis=1)
        operations = ops.cast(ops.floor(operation * len(Operation)), "int32")
        return operate(pictures, operations, sign < 0.5, (down, right), magnitude / 10)

    # Written one after the other, compilers merge the two, and compute the first for each use the second makes of it.
    pictures = ops.fori_loop(0, len(SLOTS), apply, pictures)
    return ops.cast(pictures, "float32")


def operate(pictures: Any, operations: Any, backwards: Any, centres: tuple[Any, Any], level: float) -> Any:
    """Apply one operation to each picture.

    Args:
        pictures: (batch, height, width, 3) int32 in 0-255.
        operations: (batch,) int32, places in `Operation`.
        backwards: (batch,) bool, whether those that go either way go the other way.
        centres: Two of (batch,) in [0, 1): row and column of Cutout's centre.
        level: How strongly, 1 for magnitude 10.

    Returns:
        Pictures of the same shape.
    """
    height, width = pictures.shape[1], pictures.shape[2]
    cut = squares(*centres, round(level * min(height, width) * 80 / 300), height, width)
    changed = ops.where(cut, GREY, pictures)
    # A picture has one operation, so the families all start from it and need not wait for one another.
    for last, family in (
        (Operation.TRANSLATE_Y, transform(pictures, operations, backwards, level)),
        (Operation.SHARPNESS, enhance(pictures, operations, backwards, level)),
        (Operation.SOLARIZE_ADD, change_tones(pictures, operations, level)),
    ):
        changed = ops.where((operations <= last)[:, None, None, None], family, changed)
    return changed
