"""What is done to training pictures, and how strongly. Needs no Keras."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

from photofinish.errors import SettingsError


@dataclass(frozen=True)
class Augmentation:
    """How training pictures are changed; nothing is, unless it is asked for.

    Attributes:
        flip: Mirror half of the pictures from left to right.
        shift: Move by up to this share of height and width, in whole pixels; the border is repeated.
        crop: Smallest share of the area that a random crop keeps; 1 for no random crop.
        randaugment: Magnitude of RandAugment's two operations a picture, 0 for none. 10 is the end of AutoAugment's
            ranges, which larger ones exceed.
        cutout: Side of a square blanked in every picture, as a share of the picture's side.
        mixup: Parameter of the Beta distribution that mixup's weights follow, 0 for no mixup.
        cutmix: The same for CutMix.

    Raises:
        SettingsError: A value is out of its range.

    Examples:
        >>> Augmentation(flip=True, mixup=0.2).mixes
        True
        >>> Augmentation(crop=0.0)
        Traceback (most recent call last):
        photofinish.errors.SettingsError: augmentation crop = 0.0: must be from 0.01 to 1
    """

    flip: bool = False
    shift: float = 0.0
    crop: float = 1.0
    randaugment: float = 0.0
    cutout: float = 0.0
    mixup: float = 0.0
    cutmix: float = 0.0

    def __post_init__(self) -> None:
        # A crop of less than a hundredth of a picture shows next to nothing.
        allowed = {"shift": (0, 0.5), "crop": (0.01, 1), "cutout": (0, 1)}
        for field in fields(self):
            value = getattr(self, field.name)
            low, high = allowed.get(field.name, (0, math.inf))
            if not low <= value <= high or math.isinf(value):
                rule = f"from {low} to {high}" if math.isfinite(high) else f"a number of at least {low}"
                raise SettingsError(f"augmentation {field.name} = {value}: must be {rule}")

    @property
    def mixes(self) -> bool:
        """Whether pictures are mixed with one another, and their labels with them."""
        return self.mixup > 0 or self.cutmix > 0
