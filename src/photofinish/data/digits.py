"""scikit-learn's handwritten digits: 1,797 pictures of 8x8 that are always at hand."""

from __future__ import annotations

import importlib.metadata
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from photofinish.data.arrays import ArrayPictures, content_hashes
from photofinish.data.compact import Names
from photofinish.data.listing import PARTS, Listing
from photofinish.storage import writing
from photofinish.storage.arrays import read_arrays

_LARGEST = 1 << 20
"""Bytes in memory beyond which what was kept is none of it."""


def read_digits(cache: Path) -> Listing:
    """Return the digits, their 17 greys spread over 0-255; they have no test part of their own.

    Args:
        cache: Where they are kept: importing scikit-learn to read them takes a second or two.
    """
    path = cache / "digits" / f"scikit-learn-{importlib.metadata.version('scikit-learn')}.npz"
    try:
        greys, labels = _read(path)
    except (OSError, ValueError):
        greys, labels = _from_scikit_learn()
        with writing(path) as temporary, temporary.open("wb") as file:
            np.savez_compressed(file, greys=greys, labels=labels)
    images = np.repeat(greys[..., None], 3, axis=-1)
    return Listing(
        name="digits",
        place="digits",
        classes=tuple(str(digit) for digit in range(10)),
        ids=Names(f"digits/{index:04d}" for index in range(len(images))),
        labels=labels,
        contents=content_hashes(images),
        parts=np.full(len(images), PARTS.index("train"), np.uint8),
        pictures=ArrayPictures(images),
    )


def _read(path: Path) -> tuple[NDArray[np.uint8], NDArray[np.int32]]:
    """Read what was kept.

    Raises:
        OSError: Nothing was, or it cannot be read.
        ValueError: It is damaged.
    """
    kept = read_arrays(path, ("greys", "labels"), _LARGEST)
    greys, labels = kept["greys"], kept["labels"]
    if (str(greys.dtype), str(labels.dtype), greys.shape) != ("uint8", "int32", (len(labels), 8, 8)):
        raise ValueError("other arrays than those that were kept")
    return greys, labels


def _from_scikit_learn() -> tuple[NDArray[np.uint8], NDArray[np.int32]]:
    """Return the pictures, (1797, 8, 8), and their labels."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    # From 0-16.
    return np.floor(digits.images * (255 / 16) + 0.5).astype(np.uint8), digits.target.astype(np.int32)
