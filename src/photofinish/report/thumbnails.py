"""The small pictures of a study as addresses that hold them, for every part of the page that shows pictures."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from photofinish.errors import StudyError
from photofinish.runs import Pictures, StudyFolder

LARGEST_EXACT = 48
"""Pixels: up to this size pictures are shown exactly, larger ones as JPEG, which takes a quarter of the space."""
JPEG_QUALITY = 85


@dataclass(frozen=True)
class Thumbnails:
    """The pictures that were stored with a study.

    Attributes:
        pictures: By name; empty where none can be read.
        problem: Why none can be read, as a sentence; empty where they can.
    """

    pictures: dict[str, NDArray[np.uint8]]
    problem: str

    @classmethod
    def read(cls, folder: StudyFolder) -> Thumbnails:
        """Read `pictures.npz`; a file that is absent or damaged leaves a report without pictures."""
        try:
            stored = Pictures.read(folder.pictures)
        except StudyError:
            what = "cannot be read" if folder.pictures.exists() else "is not there"
            again = "run the command of the study again, where its pictures are, to have it written"
            return cls({}, f"Pictures are missing: {folder.pictures.name} {what}; {again}.")
        return cls(dict(zip(stored.ids.tolist(), stored.images, strict=True)), "")

    def address(self, name: str) -> str | None:
        """Return a picture as an address that holds it, or None where it was not stored."""
        pixels = self.pictures.get(name)
        if pixels is None:
            return None
        exact = max(pixels.shape) <= LARGEST_EXACT
        file = io.BytesIO()
        if exact:
            Image.fromarray(pixels).save(file, "PNG", optimize=True)
        else:
            Image.fromarray(pixels).save(file, "JPEG", quality=JPEG_QUALITY, optimize=True)
        kind = "png" if exact else "jpeg"
        return f"data:image/{kind};base64,{base64.b64encode(file.getvalue()).decode('ascii')}"
