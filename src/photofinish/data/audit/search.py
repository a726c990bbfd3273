"""Duplicates of a set of pictures, of which no more than a digest and a thumbnail is kept."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import IO, Self

import numpy as np
from numpy.typing import NDArray

from photofinish.data.audit.duplicates import (
    LARGEST_RESEMBLING_SHARE,
    RESEMBLING,
    Pairs,
    Places,
    near_duplicates,
    originals,
    resembling_share,
)
from photofinish.data.audit.groups import COMPLETE, Labelled, describe_duplicates, numbers_of_groups
from photofinish.data.audit.perceptual import THUMBNAIL, Thumbnails
from photofinish.data.compact import ManyNames
from photofinish.runs.audits import Duplicates
from photofinish.storage import require_free_space
from photofinish.storage.progress import Progress

Propose = Callable[[ManyNames], Places]
"""Given the names of the pictures, returns places (pairs, 2) of those that are alike by other means than hashes."""

_DIGEST_BYTES = 16


class Seen:
    """What is kept of every picture that was seen: a digest in memory, a thumbnail on the disk.

    Args:
        folder: Where the thumbnails' file is put; it has no name and vanishes with this process.
        pictures: How many there will be at most.

    Raises:
        PhotofinishError: The disk has no room.
    """

    def __init__(self, folder: Path, pictures: int) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        require_free_space(folder, pictures * THUMBNAIL**2, "thumbnails for the audit")
        self._file: IO[bytes] = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 - closed by `__exit__`
        self._digests = bytearray()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def add(self, digest: bytes, thumbnail: Thumbnails) -> None:
        """Keep one more picture."""
        self._digests += digest
        # Written and not mapped: on a full disk a write fails, while a mapping kills the process.
        self._file.write(np.ascontiguousarray(thumbnail).data)

    @property
    def digests(self) -> NDArray[np.void]:
        """The digests, (pictures,)."""
        return np.frombuffer(bytes(self._digests), np.dtype((np.void, _DIGEST_BYTES)))

    def thumbnails(self) -> Thumbnails:
        """Return the thumbnails, (pictures, 32, 32), mapped into memory."""
        self._file.flush()
        if not self._digests:
            return np.zeros((0, THUMBNAIL, THUMBNAIL), np.uint8)
        shape = (len(self._digests) // _DIGEST_BYTES, THUMBNAIL, THUMBNAIL)
        mapped: Thumbnails = np.memmap(self._file, np.uint8, "r", shape=shape)
        return mapped


def digest_of(picture: NDArray[np.uint8]) -> bytes:
    """Return a digest of decoded pixels, the same only for pictures of the same size with the same pixels.

    Args:
        picture: RGB of shape (height, width, 3).
    """
    digest = hashlib.blake2b(repr(picture.shape).encode(), digest_size=_DIGEST_BYTES)
    digest.update(np.ascontiguousarray(picture).data)
    return digest.digest()


def find_duplicates(
    pictures: Labelled, seen: Seen, progress: Progress, propose: Propose | None = None
) -> tuple[Duplicates, Places]:
    """Find the duplicates among pictures that were seen.

    Args:
        pictures: Their names, labels and splits, in the order in which they were seen; at least one.
        seen: What was kept of them.
        progress: Told how far the search is.
        propose: Finds further candidates.

    Returns:
        What was found, and for each picture the number of its group.
    """
    original, thumbnails = originals(seen.digests), seen.thumbnails()
    share = resembling_share(thumbnails, pictures.labels)
    pairs, near_search = Pairs.none(), COMPLETE
    if share > LARGEST_RESEMBLING_SHARE:
        near_search = (
            f"not made: {share:.0%} of pairs of pictures of different classes are alike by chance (similarity of "
            f"{RESEMBLING:g} or more), so that duplicates cannot be told from others by their looks"
        )
    else:
        proposed = propose(pictures.ids) if propose else None
        pairs = near_duplicates(thumbnails, np.unique(original), pictures.parts, progress, proposed)
    found = describe_duplicates(pictures, original, pairs, near_search=near_search, resembling_share=round(share, 4))
    return found, numbers_of_groups(original, pairs)
