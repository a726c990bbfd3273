from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from photofinish.data.audit.neighbours import _FEW as FEW
from photofinish.data.audit.neighbours import LARGEST_DISTANCE, MOST_HITS, HashIndex, _layout

MILLION = 1_000_000


def random_hashes(count: int, seed: int = 0) -> NDArray[np.uint64]:
    return np.random.default_rng(seed).integers(0, 2**64, count, dtype=np.uint64)


def flipped(hashes: NDArray[np.uint64], bits: NDArray[np.int64], seed: int = 1) -> NDArray[np.uint64]:
    """Flip so many different bits of each hash."""
    generator = np.random.default_rng(seed)
    masks = [sum(1 << int(bit) for bit in generator.permutation(64)[:count]) for count in bits]
    return hashes ^ np.array(masks, np.uint64)


def pairs_of(index: HashIndex, queries: NDArray[np.uint64]) -> set[tuple[int, int, int]]:
    return {pair for found in index.near(queries) for pair in zip(*(part.tolist() for part in found), strict=True)}


@pytest.mark.parametrize("count", [FEW, FEW + 1])
@pytest.mark.parametrize("distance", range(LARGEST_DISTANCE + 1))
def test_exactly_the_hashes_within_the_distance_are_found(distance: int, count: int) -> None:
    hashes = random_hashes(count)
    # As many as there are bits away, beside what chance gives.
    queries = flipped(hashes[:200], np.arange(200) % (LARGEST_DISTANCE + 4))
    differing = np.bitwise_count(queries[:, None] ^ hashes)
    close = np.argwhere(differing <= distance).tolist()
    wanted = {(query, item, int(differing[query, item])) for query, item in close}
    assert pairs_of(HashIndex(hashes, distance), queries) == wanted


def test_hashes_with_few_values_are_found_as_well_as_random_ones() -> None:
    # All in one bucket of most bands.
    hashes = np.arange(FEW + 952, dtype=np.uint64) << np.uint64(3)
    differing = np.bitwise_count(hashes[:, None] ^ hashes)
    assert len(pairs_of(HashIndex(hashes, 2), hashes)) == (differing <= 2).sum()


@pytest.mark.parametrize("distance", range(LARGEST_DISTANCE + 1))
def test_bands_leave_no_way_to_differ_within_the_distance_everywhere(distance: int) -> None:
    bands = list(_layout(distance))
    # Differing in one bit more than is flipped in every band takes more bits than the distance has.
    assert sum(flips + 1 for _, _, flips in bands) == distance + 1
    ends = [0, *(first + width for first, width, _ in bands)]
    assert all(first >= end for (first, _, _), end in zip(bands, ends, strict=False))
    assert ends[-1] <= 64


@pytest.mark.parametrize("distance", [8, 10])
def test_among_a_million_hashes_nothing_planted_is_missed(distance: int) -> None:
    hashes = random_hashes(MILLION)
    planted = np.arange(0, MILLION, 500)
    queries = flipped(hashes[planted], np.arange(len(planted)) % (distance + 1))
    found = {(query, item) for query, item, _ in pairs_of(HashIndex(hashes, distance), queries)}
    assert {(query, int(item)) for query, item in enumerate(planted)} <= found


def test_no_hashes_have_no_neighbours() -> None:
    assert pairs_of(HashIndex(np.zeros(0, np.uint64), 8), random_hashes(3)) == set()
    assert pairs_of(HashIndex(random_hashes(3), 8), np.zeros(0, np.uint64)) == set()


@pytest.mark.parametrize("distance", [-1, LARGEST_DISTANCE + 1])
def test_a_distance_that_would_look_at_everything_is_refused(distance: int) -> None:
    with pytest.raises(ValueError, match=f"distance={distance}"):
        HashIndex(random_hashes(3), distance)


@pytest.mark.parametrize("count", [FEW, 3 * FEW])
def test_of_very_many_near_ones_a_sample_is_found_and_all_the_others_of_other_queries(count: int) -> None:
    alike, others = np.full(count, 12345, np.uint64), random_hashes(200)
    index = HashIndex(np.concatenate([alike, others]), 4)
    found = pairs_of(index, np.array([12345, *others.tolist()], np.uint64))
    of_clump = {item for query, item, _ in found if query == 0}
    assert MOST_HITS <= len(of_clump) <= 4 * MOST_HITS
    # Drawn by lot, not the first.
    assert max(of_clump) > count / 2
    assert {(query, item) for query, item, _ in found if query} == {(place + 1, count + place) for place in range(200)}
