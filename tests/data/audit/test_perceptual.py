from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from photofinish.data.audit.perceptual import CENTRE, POSITIONS, grey, hashes, nearest_distances, thumbnail

Photograph = Callable[..., NDArray[np.uint8]]


@pytest.fixture(scope="module")
def thumbnails(photograph: Photograph) -> NDArray[np.uint8]:
    return np.stack([thumbnail(photograph(number)) for number in range(60)])


def test_greys_are_those_of_pillow(photograph: Photograph) -> None:
    picture = photograph(0)
    assert np.array_equal(grey(picture), np.asarray(Image.fromarray(picture).convert("L")))


@pytest.mark.parametrize("size", [(8, 8), (32, 32), (33, 500), (400, 300)])
def test_every_size_gives_one_thumbnail(size: tuple[int, int]) -> None:
    picture = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)
    assert thumbnail(picture).shape == (32, 32)
    assert thumbnail(np.full((*size, 3), 77, np.uint8)).tolist() == [[77] * 32] * 32


def test_a_hash_has_31_of_63_bits(thumbnails: NDArray[np.uint8]) -> None:
    for position in POSITIONS:
        found = hashes(thumbnails, position)
        assert (np.bitwise_count(found) == 31).all()
        assert (found & np.uint64(1) == 0).all()


def test_brightness_and_contrast_change_no_bit(thumbnails: NDArray[np.uint8]) -> None:
    halved = thumbnails // 2 * 2
    assert np.array_equal(hashes(halved), hashes(halved // 2 + 60))


def test_the_hash_of_a_mirrored_picture_is_computed_without_mirroring_it(thumbnails: NDArray[np.uint8]) -> None:
    turned = np.ascontiguousarray(thumbnails[:, :, ::-1])
    for down, right in POSITIONS:
        # What begins so far from the left begins as far from the right of the mirrored picture.
        differing = np.bitwise_count(
            hashes(thumbnails, (down, right), mirrored=True) ^ hashes(turned, (down, 2 - right))
        )
        # Two values on both sides of the median may be equal but for rounding.
        assert differing.max() <= 2
        assert (differing == 0).mean() > 0.9


def test_a_moved_picture_is_near_at_another_position(thumbnails: NDArray[np.uint8]) -> None:
    moved = np.roll(thumbnails, (1, -1), (1, 2))
    centred = np.bitwise_count(hashes(thumbnails, CENTRE) ^ hashes(moved))
    nearest = nearest_distances(thumbnails, moved)
    assert (nearest <= 2).all()
    assert centred.mean() > 3


def test_pictures_that_have_nothing_in_common_differ_in_about_half_the_bits(thumbnails: NDArray[np.uint8]) -> None:
    found = hashes(thumbnails)
    first, second = np.triu_indices(len(found), 1)
    differing = np.bitwise_count(found[first] ^ found[second])
    assert 28 < differing.mean() < 35
    assert (differing > 10).all()
