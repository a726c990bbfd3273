"""What every source of pictures boils down to: a list of examples, and a way to decode one of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from photofinish.data.compact import Digests, Names

Part = Literal["train", "validation", "test"]
PARTS: tuple[Part, ...] = ("train", "validation", "test")


class Pictures(Protocol):
    """Decodes pictures by their place in a listing; called from several threads at once."""

    def picture(self, index: int, target: tuple[int, int] | None) -> NDArray[np.uint8]:
        """Decode one picture.

        Args:
            index: Place in the listing.
            target: Height and width in pixels to fit the picture to, or None for its own.

        Returns:
            RGB of shape (height, width, 3).

        Raises:
            UnreadablePictureError: It does not decode.
        """


@runtime_checkable
class Files(Protocol):
    """Pictures that lie in files, so that one can ask how each is encoded; called from several threads at once."""

    def content(self, index: int) -> bytes:
        """Return the bytes of one file.

        Args:
            index: Place in the listing.
        """


@dataclass(frozen=True, eq=False)
class Listing:
    """All examples of a source in its own order.

    Attributes:
        name: Name of the data set, as it should be printed.
        place: Where it was found, for messages.
        classes: Class names in label order.
        ids: (examples,) stable name of each picture; none twice.
        labels: (examples,) index into `classes`.
        contents: (examples,) SHA-256 of each picture's bytes.
        parts: (examples,) the part of the source that holds the example, an index into `PARTS`. Everything is `train`
            where the source does not divide its pictures.
        pictures: Decodes them.
    """

    name: str
    place: str
    classes: tuple[str, ...]
    ids: Names
    labels: NDArray[np.int32]
    contents: Digests
    parts: NDArray[np.uint8]
    pictures: Pictures

    def members(self, part: Part) -> NDArray[np.int64]:
        """Return the places of a part's examples, ascending."""
        return np.flatnonzero(self.parts == PARTS.index(part))
