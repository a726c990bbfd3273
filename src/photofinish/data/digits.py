"""scikit-learn's handwritten digits: 1,797 pictures of 8x8 that are always at hand."""

from __future__ import annotations

import numpy as np

from photofinish.data.arrays import ArrayPictures, content_hashes
from photofinish.data.compact import Names
from photofinish.data.listing import PARTS, Listing


def read_digits() -> Listing:
    """Return the digits, their 17 greys spread over 0-255; they have no test part of their own."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    # (1797, 8, 8) of 0-16 -> (1797, 8, 8, 3) of 0-255
    grey = np.floor(digits.images * (255 / 16) + 0.5).astype(np.uint8)
    images = np.repeat(grey[..., None], 3, axis=-1)
    return Listing(
        name="digits",
        place="digits",
        classes=tuple(str(digit) for digit in range(10)),
        ids=Names(f"digits/{index:04d}" for index in range(len(images))),
        labels=digits.target.astype(np.int32),
        contents=content_hashes(images),
        parts=np.full(len(images), PARTS.index("train"), np.uint8),
        pictures=ArrayPictures(images),
    )
