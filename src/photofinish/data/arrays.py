"""Pictures that a source gives as one array."""

from __future__ import annotations

import hashlib

import numpy as np
from numpy.typing import NDArray

from photofinish.data.compact import Digests
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
    return Digests.joined(hashlib.sha256(np.ascontiguousarray(image).data).digest() for image in images)
