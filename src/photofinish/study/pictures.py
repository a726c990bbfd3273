"""Keeping small copies of pictures in the study folder, while the prepared pictures are at hand."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from itertools import islice

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from photofinish.data import PreparedData
from photofinish.errors import StudyError
from photofinish.runs import Pictures, StudyFolder

MOST_STORED = 200
LONGEST_SIDE = 96


def store_pictures(folder: StudyFolder, data: PreparedData, wanted: Iterable[str]) -> None:
    """Write small copies of pictures to `pictures.npz`, in place of those of earlier figures.

    Every part of the report that shows pictures names its own; a picture that several parts name is stored once.

    Args:
        folder: The study's folder.
        data: The prepared pictures of all splits.
        wanted: Names of pictures, the most wanted first; beyond 200 they are left out, and so are unknown ones.

    Raises:
        PhotofinishError: The file cannot be written.
    """
    names = dict.fromkeys(wanted)
    place_of = {name: place for place, name in enumerate(map(str, data.ids)) if name in names}
    chosen = list(islice((name for name in names if name in place_of), MOST_STORED))
    height, width = _fitted(data.images.shape[1], data.images.shape[2])
    images = np.zeros((len(chosen), height, width, 3), np.uint8)
    for position, name in enumerate(chosen):
        images[position] = _small(data.images[place_of[name]], (height, width))
    Pictures(np.array(chosen, dtype=np.str_), images).write(folder.pictures)


def join_pictures(folder: StudyFolder, studies: Iterable[StudyFolder], wanted: Iterable[str]) -> None:
    """Put the small copies that several studies keep into the `pictures.npz` of a joined one.

    A study without them, or whose file cannot be read, adds none: figures do not depend on them.

    Args:
        folder: The joined study's folder.
        studies: The studies' folders.
        wanted: Names of pictures, the most wanted first; the others that are there follow, 200 in all.

    Raises:
        PhotofinishError: The file cannot be written.
    """
    found: dict[str, NDArray[np.uint8]] = {}
    for study in studies:
        with contextlib.suppress(StudyError):
            stored = Pictures.read(study.pictures)
            found = dict(zip(stored.ids.tolist(), stored.images, strict=True)) | found
    if not found:
        return
    shape = next(iter(found.values())).shape
    names = dict.fromkeys([*wanted, *found])
    chosen = list(islice((name for name in names if name in found and found[name].shape == shape), MOST_STORED))
    Pictures(np.array(chosen, dtype=np.str_), np.stack([found[name] for name in chosen])).write(folder.pictures)


def _fitted(height: int, width: int) -> tuple[int, int]:
    scale = min(1.0, LONGEST_SIDE / max(height, width))
    return max(1, round(height * scale)), max(1, round(width * scale))


def _small(picture: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    if picture.shape[:2] == size:
        return picture
    height, width = size
    return np.asarray(Image.fromarray(picture).resize((width, height), Image.Resampling.LANCZOS))
