"""Small copies of the pictures that a report shows: the prepared pictures lie in a cache, which may be gone by then."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from photofinish.errors import StudyError
from photofinish.storage import writing
from photofinish.storage.arrays import read_arrays

LARGEST_FILE = 64 << 20
"""Bytes, uncompressed. 200 pictures of 96 pixels are 5.5 MB."""
_PARTS = ("ids", "images")


@dataclass(frozen=True)
class Pictures:
    """Small pictures by name.

    Attributes:
        ids: Name of each picture, shape (pictures,).
        images: RGB, shape (pictures, height, width, 3), uint8.
    """

    ids: NDArray[np.str_]
    images: NDArray[np.uint8]

    def __post_init__(self) -> None:
        """Refuse arrays that are no pictures or do not belong together."""
        if self.ids.ndim != 1 or self.ids.dtype.kind != "U":
            raise ValueError(f"ids must be a list of names, not {self.ids.dtype} of shape {self.ids.shape}")
        shape = self.images.shape
        if self.images.dtype != np.uint8 or len(shape) != 4 or shape[0] != len(self.ids) or shape[3] != 3:
            raise ValueError(f"{len(self.ids)} ids do not match images of shape {shape}, {self.images.dtype}")

    def write(self, path: Path) -> None:
        """Write the arrays to a compressed `.npz`, wholly or not at all."""
        with writing(path) as temporary, temporary.open("wb") as file:
            np.savez_compressed(file, ids=self.ids, images=self.images)

    @classmethod
    def read(cls, path: Path) -> Pictures:
        """Read pictures; nothing in the file is executed.

        Raises:
            StudyError: The file is missing, damaged, too large or holds no pictures.
        """
        try:
            return cls(**read_arrays(path, _PARTS, LARGEST_FILE))
        except FileNotFoundError as error:
            raise StudyError(f"{path} does not exist") from error
        except ValueError as error:
            raise StudyError(f"{path} is not a readable file of pictures ({error})") from error
