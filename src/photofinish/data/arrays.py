"""Pictures that a source gives as one array."""

from __future__ import annotations

import hashlib

import numpy as np
from numpy.typing import NDArray

from photofinish.data.compact import DIGEST_BYTES, Digests
from photofinish.data.decode import fit


class ArrayPictures:
    """Pictures that are decoded already.

    Args:
        images: uint8 RGB of shape (examples, height, width, 3).
    """

    def __init__(self, images: NDArray[np.uint8]) -> None:
        self.images = images

    def picture(self, index: int, target: tuple[int, int] | None) -> NDArray[np.uint8]:
        """Return one picture, see `Pictures`."""
        picture: NDArray[np.uint8] = self.images[index]
        return picture if target is None else fit(picture, target)


def content_hashes(images: NDArray[np.uint8]) -> Digests:
    """Return the SHA-256 of each picture's RGB bytes.

    Args:
        images: (examples, height, width, 3).
    """
    rows = np.zeros((len(images), DIGEST_BYTES), np.uint8)
    for row, image in zip(rows, images, strict=True):
        row[:] = np.frombuffer(hashlib.sha256(np.ascontiguousarray(image).data).digest(), np.uint8)
    return Digests(rows)
