"""Which pictures of a set are the same, and which nearly.

Candidates come from perceptual hashes (or from whoever else proposes them); a pair counts only when the structure of
its pictures is alike too.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from photofinish.data.audit.neighbours import HashIndex
from photofinish.data.audit.perceptual import POSITIONS, Thumbnails, hashes, nearest_distances
from photofinish.data.audit.similarity import LEAST_STRUCTURE, similarity, structure
from photofinish.storage.progress import Progress

Places = NDArray[np.int64]

ALIKE, ALIKE_MIRRORED = 0.68, 0.72
"""Similarity from which two pictures are near duplicates; docs/audit.md says how many of those found are."""

LESS_WHERE_PROPOSED = 0.1
"""What is taken off where someone else, with other means, found the pair alike too."""

DISTANCE, DISTANCE_OF_MANY, MANY = 10, 8, 200_000
"""Bits in which hashes of candidates may differ; fewer in sets of more pictures, where more are near by chance."""

RESEMBLING, LARGEST_RESEMBLING_SHARE = 0.3, 0.05
"""Where more pictures of different classes are so alike, as digits are, near duplicates are not told from others."""

_SAMPLED_PAIRS = 1000
_PICTURES_AT_ONCE = 1 << 14
_CANDIDATES_OF_A_PICTURE = 64
_NOWHERE: Final = np.zeros(0, np.int64)


@dataclass(frozen=True)
class Pairs:
    """Near duplicates, each pair once.

    Attributes:
        first: (pairs,) places of pictures.
        second: (pairs,) places of pictures, each larger than its first.
        distance: (pairs,) bits in which the hashes differ, at the positions where they differ least.
        similarity: (pairs,) how alike their structure is.
        mirrored: (pairs,) whether one is like the other mirrored left to right.
    """

    first: Places
    second: Places
    distance: NDArray[np.uint8]
    similarity: NDArray[np.float32]
    mirrored: NDArray[np.bool_]

    @classmethod
    def none(cls) -> Pairs:
        """Return no pairs."""
        return cls(_NOWHERE, _NOWHERE, np.zeros(0, np.uint8), np.zeros(0, np.float32), np.zeros(0, bool))

    def __len__(self) -> int:
        return len(self.first)


def originals(digests: NDArray[np.void]) -> Places:
    """Return for each picture the place of the first one that is the same.

    Args:
        digests: (pictures,) a digest of each picture's decoded pixels.

    Examples:
        >>> originals(np.array([b"a", b"b", b"a"]))
        array([0, 1, 0])
    """
    _, first, which = np.unique(digests, return_index=True, return_inverse=True)
    return first[which].astype(np.int64)


def resembling_share(thumbnails: Thumbnails, labels: NDArray[np.int32]) -> float:
    """Return which share of pairs of different classes is rather alike, as measured on a sample.

    Args:
        thumbnails: (pictures, 32, 32).
        labels: (pictures,) class of each.
    """
    generator = np.random.default_rng(0)
    first, second = generator.integers(0, len(labels), (2, 4 * _SAMPLED_PAIRS))
    different = np.flatnonzero(labels[first] != labels[second])[:_SAMPLED_PAIRS]
    if len(different) == 0:
        return 0.0
    found = similarity(thumbnails[first[different]], thumbnails[second[different]])
    return float((found >= RESEMBLING).mean())


def near_duplicates(
    thumbnails: Thumbnails, chosen: Places, parts: NDArray[np.int8], progress: Progress, proposed: Places | None = None
) -> Pairs:
    """Find near duplicates among pictures that differ.

    Args:
        thumbnails: (pictures, 32, 32).
        chosen: Places of the pictures to compare, at least one, ascending, no two the same in every pixel. Those of
            nearly one colour are like nothing.
        parts: (pictures,) number of the split that holds each. Of a picture that is near very many others the 64
            nearest candidates in each split are looked at.
        progress: Told the number of pictures looked up.
        proposed: (pairs, 2) places of pairs that were found alike by other means; they are compared whatever their
            hashes, and less strictly.
    """
    chosen = np.concatenate([part[structure(thumbnails[part]) >= LEAST_STRUCTURE] for part in _in_parts(chosen)])
    supported = _proposed_keys(proposed, len(thumbnails)) if proposed is not None else _NOWHERE
    keys = [supported]
    if len(chosen) > 1:
        distance = DISTANCE if len(chosen) <= MANY else DISTANCE_OF_MANY
        index = HashIndex(np.concatenate([hashes(thumbnails[part]) for part in _in_parts(chosen)]), distance)
        for done, part in enumerate(_in_parts(np.arange(len(chosen))), start=1):
            keys += [_candidates(index, thumbnails, chosen, part, parts, mirrored) for mirrored in (False, True)]
            progress("comparing pictures", min(done * _PICTURES_AT_ONCE, len(chosen)), len(chosen))
    return _confirmed(thumbnails, np.unique(np.concatenate(keys)), supported)


def _in_parts(places: Places) -> Iterator[Places]:
    for start in range(0, len(places), _PICTURES_AT_ONCE):
        yield places[start : start + _PICTURES_AT_ONCE]


def _candidates(
    index: HashIndex, thumbnails: Thumbnails, chosen: Places, part: Places, parts: NDArray[np.int8], mirrored: bool
) -> Places:
    """Return the keys of pairs whose hashes are near at any position of the pictures in `part`."""
    pictures = thumbnails[chosen[part]]
    one, other, distance = _NOWHERE, _NOWHERE, np.zeros(0, np.uint8)
    for position in POSITIONS:
        for first, second, bits in index.near(hashes(pictures, position, mirrored=mirrored)):
            # Reduced at once: of pictures that are all alike there are very many pairs at every position.
            kept = _nearest_of_each(chosen[part[first]], chosen[second], bits, parts[chosen[second]])
            one = np.concatenate([one, chosen[part[first[kept]]]])
            other = np.concatenate([other, chosen[second[kept]]])
            distance = np.concatenate([distance, bits[kept]])
    kept = _nearest_of_each(one, other, distance, parts[other])
    one, other = one[kept], other[kept]
    return _keys(one[one != other], other[one != other], len(thumbnails), mirrored)


def _nearest_of_each(one: Places, other: Places, distance: NDArray[np.uint8], part: NDArray[np.int8]) -> Places:
    """Return which pairs to keep: for each picture and split the nearest ones, each other picture once."""
    order = np.lexsort((distance, other, one))
    repeated = np.zeros(len(order), bool)
    repeated[1:] = (one[order][1:] == one[order][:-1]) & (other[order][1:] == other[order][:-1])
    order = order[~repeated]
    order = order[np.lexsort((distance[order], part[order], one[order]))]
    begins = np.ones(len(order), bool)
    begins[1:] = (one[order][1:] != one[order][:-1]) | (part[order][1:] != part[order][:-1])
    start = np.maximum.accumulate(np.where(begins, np.arange(len(order)), 0))
    kept: Places = order[np.arange(len(order)) - start < _CANDIDATES_OF_A_PICTURE]
    return kept


def _keys(one: Places, other: Places, pictures: int, mirrored: bool) -> Places:
    """Write pairs as numbers, alike in whichever order they come."""
    keys: Places = (np.minimum(one, other) * pictures + np.maximum(one, other)) * 2 + mirrored
    return keys


def _proposed_keys(proposed: Places, pictures: int) -> Places:
    upright = _keys(proposed[:, 0], proposed[:, 1], pictures, mirrored=False)
    return np.concatenate([upright, upright + 1])


def _confirmed(thumbnails: Thumbnails, keys: Places, supported: Places) -> Pairs:
    """Return the candidates whose structure is alike, upright or mirrored."""
    kept: list[Pairs] = []
    for part in _in_parts(keys):
        (first, second), mirrored = np.divmod(part // 2, len(thumbnails)), part % 2 == 1
        one, other = thumbnails[first], thumbnails[second]
        other = np.where(mirrored[:, None, None], other[:, :, ::-1], other)
        alike = similarity(one, other)
        least = np.where(mirrored, ALIKE_MIRRORED, ALIKE) - LESS_WHERE_PROPOSED * np.isin(part, supported)
        near = alike >= least
        distance = nearest_distances(one[near], other[near])
        kept.append(Pairs(first[near], second[near], distance, alike[near], mirrored[near]))
    return _each_once(kept)


def _each_once(found: Sequence[Pairs]) -> Pairs:
    """Join pairs; of one that is alike both upright and mirrored the better is kept."""
    found = [Pairs.none(), *found]
    names = ("first", "second", "distance", "similarity", "mirrored")
    joined = Pairs(*(np.concatenate([getattr(pairs, name) for pairs in found]) for name in names))
    order = np.lexsort((-joined.similarity, joined.second, joined.first))
    again = np.zeros(len(order), bool)
    again[1:] = (np.diff(joined.first[order]) == 0) & (np.diff(joined.second[order]) == 0)
    best = order[~again]
    return Pairs(*(getattr(joined, name)[best] for name in names))
