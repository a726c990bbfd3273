"""All pairs of 64-bit hashes within a Hamming distance, without comparing all with all.

A hash is cut into four bands. If two hashes differ in at most `distance` bits, then in some band they differ in no more
than that band's share: were every band to differ in more, the whole would too. So in each band one looks up the query
with up to that many bits flipped, and compares in full only what is found there. Nothing within the distance is missed,
unless a query is near very many: of these each band gives 256, whichever come first in an order that is drawn by lot.

References:
    Norouzi, Punjani and Fleet, "Fast search in Hamming space with multi-index hashing", CVPR 2012, arXiv:1307.2982,
    section 3; shares that differ between bands: Qin et al., "GPH: similarity search in Hamming space", ICDE 2018.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

Hashes = NDArray[np.uint64]
Places = NDArray[np.int64]

LARGEST_DISTANCE = 12
_BANDS = 4
_BITS = 64
_WIDEST = 22
_QUERIES_AT_ONCE = 1 << 13
_FEW = 2048
"""Among no more hashes than these, comparing all is quicker than looking up."""

MOST_HITS = 256
"""Of a query in a band: a thousand pictures that are all alike must not make a million pairs."""


class HashIndex:
    """Finds hashes that are near others.

    Args:
        hashes: (items,) what is searched.
        distance: The largest number of bits in which a hash may differ, up to 12.

    Raises:
        ValueError: The distance is negative, or so large that a search would look at nearly everything.

    Examples:
        >>> index = HashIndex(np.array([0b0000, 0b0111, 0b1111], np.uint64), distance=2)
        >>> for queries, items, distances in index.near(np.array([0b0011], np.uint64)):
        ...     print(queries, items, distances)
        [0 0 0] [0 1 2] [2 1 2]
    """

    def __init__(self, hashes: Hashes, distance: int) -> None:
        if not 0 <= distance <= LARGEST_DISTANCE:
            raise ValueError(f"distance={distance} is not between 0 and {LARGEST_DISTANCE}")
        self.hashes = np.ascontiguousarray(hashes, np.uint64)
        self.distance = distance
        is_small = len(self.hashes) <= _FEW
        self._bands: list[_Band | _All] = (
            [_All(self.hashes)] if is_small else [_Band(self.hashes, *place) for place in _layout(distance)]
        )

    def near(self, queries: Hashes) -> Iterator[tuple[Places, Places, NDArray[np.uint8]]]:
        """Find all hashes within the distance of each query.

        Args:
            queries: (queries,).

        Yields:
            For a part of the queries, in order: places of queries, places of items, and their distances, one entry a
            pair, no pair twice. Of a query that is near more than `MOST_HITS` not all of them.
        """
        for start in range(0, len(queries), _QUERIES_AT_ONCE):
            part = queries[start : start + _QUERIES_AT_ONCE]
            found = [pairs for band in self._bands for pairs in band.near(part, self.distance)]
            if not found or not len(self.hashes):
                continue
            which, items = (np.concatenate([pairs[side] for pairs in found]).astype(np.int64) for side in (0, 1))
            # Several bands find the same pair.
            which, items = np.divmod(np.unique(which * len(self.hashes) + items), len(self.hashes))
            yield which + start, items, np.bitwise_count(part[which] ^ self.hashes[items])


class _All:
    """All hashes, in an order drawn by lot."""

    def __init__(self, hashes: Hashes) -> None:
        self._order = np.random.default_rng(0).permutation(len(hashes))
        self._hashes = hashes[self._order]

    def near(self, queries: Hashes, distance: int) -> Iterator[tuple[Places, Places]]:
        """Yield places of queries and of items that are near."""
        for start in range(0, len(queries), _FEW):
            close = np.bitwise_count(queries[start : start + _FEW, None] ^ self._hashes) <= distance
            close &= np.cumsum(close, axis=1, dtype=np.int32) <= MOST_HITS
            which, items = np.nonzero(close)
            yield which + start, self._order[items]


class _Band:
    """Neighbouring bits of all hashes, sorted, with the beginning of each value in a table."""

    def __init__(self, hashes: Hashes, first: int, width: int, flips: int) -> None:
        self._shift, self._mask = np.uint64(_BITS - first - width), np.uint64((1 << width) - 1)
        keys = self._keys(hashes)
        # By lot within a bucket, so that what is found of too many is a sample of them.
        lot = np.random.default_rng(first).permutation(len(hashes))
        self._order = lot[np.argsort(keys[lot], kind="stable")].astype(np.int32)
        self._sorted = hashes[self._order]
        self._starts = np.zeros((1 << width) + 1, np.int32)
        np.cumsum(np.bincount(keys, minlength=1 << width), out=self._starts[1:])
        self._flips = [
            np.int32(sum(1 << bit for bit in bits))
            for count in range(flips + 1)
            for bits in combinations(range(width), count)
        ]

    def near(self, queries: Hashes, distance: int) -> Iterator[tuple[Places, NDArray[np.int32]]]:
        """Yield places of queries and of items that are near and whose bits here differ in one of the flips."""
        keys = self._keys(queries)
        hits = np.zeros(len(queries), np.int32)
        for flip in self._flips:
            flipped = keys ^ flip
            place, end = self._starts[flipped], self._starts[flipped + 1]
            which = np.flatnonzero((place < end) & (hits < MOST_HITS))
            place, end, sought = place[which], end[which], queries[which]
            # All queries look at the first of their bucket, then at the second, until no bucket has more.
            while len(which):
                close = np.bitwise_count(sought ^ self._sorted[place]) <= distance
                if close.any():
                    # No query is there twice.
                    hits[which[close]] += 1
                    yield which[close], self._order[place[close]]
                place = place + 1
                more = (place < end) & (hits[which] < MOST_HITS)
                if not more.all():
                    which, place, end, sought = which[more], place[more], end[more], sought[more]

    def _keys(self, hashes: Hashes) -> NDArray[np.int32]:
        return ((hashes >> self._shift) & self._mask).astype(np.int32)


def _layout(distance: int) -> Iterator[tuple[int, int, int]]:
    """Yield first bit, width, and number of bits to flip for each band that is needed.

    The numbers of flips plus one sum to the distance plus one. One more flip means some eight times as many lookups,
    and three bits more an eighth of what is found at each.
    """
    shares = [(distance + 1 + band) // _BANDS for band in reversed(range(_BANDS))]
    flips = [share - 1 for share in shares if share]
    spare = _BITS - 3 * sum(flips)
    first = 0
    for number, count in enumerate(flips):
        width = 3 * count + spare // len(flips) + (number < spare % len(flips))
        # A band needs no more bits than tell a few million hashes apart, and its table has a place for each value.
        yield first, min(width, _WIDEST), count
        first += width
