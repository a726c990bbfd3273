"""The sixteen operations of RandAugment, and what their strength means.

Each computes what the Pillow function of its name computes, on whole numbers. They form four families (`tones`,
`enhance`, `geometry`, `squares`); a batch costs one pass of each, whichever operations are drawn for its pictures.
"""

from __future__ import annotations

from enum import IntEnum

# Added before a real number is cut to a whole one: results that are whole but for rounding, which differs between
# compilers, become the same on every backend. It is smaller than any fraction that 8-bit arithmetic gives (1/255).
TOLERANCE = 1 / 1024


class Operation(IntEnum):
    """What may be drawn, each as likely as any other, family by family.

    The comments give what happens at level 1 (magnitude 10); strengths are proportional to the level.
    """

    # `tones`
    AUTO_CONTRAST = 0  # stretches each channel to 0-255
    EQUALIZE = 1  # spreads each channel's values evenly
    INVERT = 2
    POSTERIZE = 3  # 4 bits fewer; one always remains
    SOLARIZE = 4  # inverts values from 256 (1 - level) on
    SOLARIZE_ADD = 5  # adds 110 to values below 128
    # `enhance`: 0.9 more or less of it, never below 0.1
    COLOR = 6
    CONTRAST = 7
    BRIGHTNESS = 8
    SHARPNESS = 9
    # `geometry`: either way
    ROTATE = 10  # 30 degrees
    SHEAR_X = 11  # 0.3
    SHEAR_Y = 12
    TRANSLATE_X = 13  # a third of the side
    TRANSLATE_Y = 14
    # `squares`
    CUTOUT = 15  # a square of 80/300 of the side
