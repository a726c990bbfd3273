"""Every picture of a data set by name, so that one that is no longer the same can be named."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from photofinish.errors import StudyError
from photofinish.storage import writing
from photofinish.storage.arrays import read_arrays

LARGEST_FILE = 4 << 30
"""Bytes, uncompressed. Fourteen million pictures with names of 60 letters are 3.5 GB."""

NOT_USED = 255
_MOST_NAMED = 3
_KINDS = {"ids": "U", "labels": "iu", "parts": "u", "digests": "u"}


@dataclass(frozen=True)
class ListedPictures:
    """All pictures of a source, those too that a limit leaves out.

    Attributes:
        ids: Name of each picture, shape (pictures,).
        labels: Its class, shape (pictures,).
        parts: Its split, shape (pictures,), uint8: 0 for training, 1 for validation, 2 for test, or `NOT_USED`.
        digests: The first eight bytes of the SHA-256 of its content, shape (pictures,), uint64. They name what
            differs; whether anything does is for the fingerprint to say.
    """

    ids: NDArray[np.str_]
    labels: NDArray[np.int32]
    parts: NDArray[np.uint8]
    digests: NDArray[np.uint64]

    def __post_init__(self) -> None:
        """Refuse arrays that do not belong together."""
        shapes = {name: getattr(self, name).shape for name in _KINDS}
        if any(shape != (len(self.ids),) for shape in shapes.values()):
            raise ValueError(f"{shapes} do not match")
        for name, kinds in _KINDS.items():
            if getattr(self, name).dtype.kind not in kinds:
                raise ValueError(f"{name} are of type {getattr(self, name).dtype}")

    def write(self, path: Path) -> None:
        """Write the arrays to a compressed `.npz`, wholly or not at all."""
        with writing(path) as temporary, temporary.open("wb") as file:
            np.savez_compressed(file, ids=self.ids, labels=self.labels, parts=self.parts, digests=self.digests)

    @classmethod
    def read(cls, path: Path) -> ListedPictures:
        """Read a listing; nothing in the file is executed.

        Raises:
            StudyError: The file is missing or damaged.
        """
        try:
            return cls(**read_arrays(path, tuple(_KINDS), LARGEST_FILE))
        except (OSError, ValueError) as error:
            raise StudyError(f"{path} is not a readable list of pictures ({error})") from error

    def changes(self, now: ListedPictures) -> str:
        """Say in words which pictures differ now.

        A picture whose content changed may come into another split, and with a limit into or out of use, and others in
        its place: only where no picture changed is the division named.

        Examples:
            >>> one = ListedPictures(np.array(["a", "b"]), *(np.zeros(2, kind) for kind in ("i4", "u1", "u8")))
            >>> other = ListedPictures(np.array(["b", "c"]), *(np.arange(2, dtype=kind) for kind in ("i4", "u1", "u8")))
            >>> one.changes(other), one.changes(one)
            ('a is missing; c is new', '')
        """
        names, ours, theirs = np.intersect1d(self.ids, now.ids, assume_unique=True, return_indices=True)

        def differing(name: str) -> NDArray[np.str_]:
            return np.asarray(names[getattr(self, name)[ours] != getattr(now, name)[theirs]], np.str_)

        found = [
            _named(differing("digests"), "has other content", "have other content"),
            _named(np.setdiff1d(self.ids, names), "is missing", "are missing"),
            _named(np.setdiff1d(now.ids, names), "is new", "are new"),
            _named(differing("labels"), "has another label", "have other labels"),
        ]
        found = [text for text in found if text] or [
            _named(differing("parts"), "is in another split", "are in other splits")
        ]
        return "; ".join(text for text in found if text)


def copy_listing(source: Path, target: Path) -> None:
    """Copy a listing, wholly or not at all; where there is none, do nothing."""
    if source.is_file():
        with writing(target) as temporary:
            shutil.copyfile(source, temporary)


def changed_pictures(before: Path, now: Path) -> str:
    """Say in words which pictures differ between two listings, or nothing where either cannot be read."""
    try:
        return ListedPictures.read(before).changes(ListedPictures.read(now))
    except StudyError:
        return ""


def _named(names: NDArray[np.str_], one: str, several: str) -> str:
    if len(names) == 0:
        return ""
    shown = ", ".join(names[:_MOST_NAMED].tolist())
    more = f" and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else ""
    return f"{shown}{more} {one if len(names) == 1 else several}"
