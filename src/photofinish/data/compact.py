"""Names and digests of millions of pictures without a Python object for each."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Sequence
from typing import Self, overload

import numpy as np
from numpy.typing import NDArray

DIGEST_BYTES = 32
ManyNames = Sequence[str] | NDArray[np.str_]


class Names(Sequence[str]):
    """Names in one piece of memory, some thirty bytes each where a list of `str` takes a hundred.

    Args:
        names: In order.

    Examples:
        >>> names = Names(["cats/1.jpg", "dogs/ü.jpg"])
        >>> names[1], len(names), list(names[:1])
        ('dogs/ü.jpg', 2, ['cats/1.jpg'])
    """

    def __init__(self, names: Iterable[str]) -> None:
        text, ends = bytearray(), array("q", [0])
        for name in names:
            text += name.encode()
            ends.append(len(text))
        self._text, self._ends = bytes(text), ends

    def __len__(self) -> int:
        return len(self._ends) - 1

    @overload
    def __getitem__(self, place: int) -> str: ...

    @overload
    def __getitem__(self, place: slice) -> Names: ...

    def __getitem__(self, place: int | slice) -> str | Names:
        """Return one name, or some of them."""
        if isinstance(place, slice):
            return Names(self[one] for one in range(*place.indices(len(self))))
        place = range(len(self))[place]
        return self._text[self._ends[place] : self._ends[place + 1]].decode()

    def chosen(self, places: NDArray[np.int64]) -> NDArray[np.str_]:
        """Return some names as a NumPy array.

        Args:
            places: (names,) which ones.
        """
        longest = max((len(self[place]) for place in _each(places)), default=1)
        return np.fromiter((self[place] for place in _each(places)), f"<U{max(1, longest)}", count=len(places))


class Digests(Sequence[str]):
    """SHA-256 digests, to be read in hexadecimal.

    Args:
        rows: (digests, 32) their bytes.

    Attributes:
        rows: Likewise.

    Examples:
        >>> Digests.joined([bytes(31) + bytes([255])])[0][-4:]
        '00ff'
    """

    def __init__(self, rows: NDArray[np.uint8]) -> None:
        self.rows = np.ascontiguousarray(rows, np.uint8).reshape(-1, DIGEST_BYTES)

    @classmethod
    def joined(cls, digests: Iterable[bytes]) -> Self:
        """Return digests that are given one by one."""
        rows = bytearray()
        for digest in digests:
            rows += digest
        return cls(np.frombuffer(rows, np.uint8))

    def __len__(self) -> int:
        return len(self.rows)

    @overload
    def __getitem__(self, place: int) -> str: ...

    @overload
    def __getitem__(self, place: slice) -> Digests: ...

    def __getitem__(self, place: int | slice) -> str | Digests:
        """Return one digest in hexadecimal, or some of them."""
        return Digests(self.rows[place]) if isinstance(place, slice) else self.rows[place].tobytes().hex()

    def sortable(self) -> NDArray[np.void]:
        """Return the digests as an array (digests,) that NumPy sorts as it would their hexadecimal form."""
        return self.rows.view(np.dtype((np.void, DIGEST_BYTES)))[:, 0]


def _each(places: NDArray[np.int64], at_once: int = 4096) -> Iterator[int]:
    """Yield places as Python's numbers, which are not all there at once."""
    for start in range(0, len(places), at_once):
        yield from places[start : start + at_once].tolist()
