from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from photofinish.data.audit.duplicates import ALIKE
from photofinish.data.audit.perceptual import thumbnail
from photofinish.data.audit.similarity import similarity, structure

Photograph = Callable[..., NDArray[np.uint8]]


def alike(first: NDArray[np.uint8], second: NDArray[np.uint8]) -> float:
    return float(similarity(thumbnail(first)[None], thumbnail(second)[None])[0])


def sky(number: int, size: int = 96) -> NDArray[np.uint8]:
    """A blue gradient with the noise of a camera."""
    down = np.linspace(0, 1, size)[:, None, None]
    blue = np.array([110, 160, 230]) + down * np.array([60, 50, 20])
    noise = np.random.default_rng([3, number]).normal(0, 2.5, (size, size, 3))
    return np.clip(blue + noise, 0, 255).astype(np.uint8)


def test_a_picture_is_wholly_like_itself(photograph: Photograph) -> None:
    assert alike(photograph(1), photograph(1)) == pytest.approx(1, abs=1e-4)


def test_it_does_not_matter_which_picture_comes_first_but_for_the_border(photograph: Photograph) -> None:
    first, second = photograph(1), np.roll(photograph(1), 3, 0)
    assert alike(first, second) == pytest.approx(alike(second, first), abs=0.1)


def test_brightness_and_contrast_matter_little(photograph: Photograph) -> None:
    picture = photograph(2)
    paler = (picture * 0.6 + 90).astype(np.uint8)
    assert alike(picture, paler) > 0.85


def test_different_pictures_are_not_alike(photograph: Photograph) -> None:
    small = np.stack([thumbnail(photograph(number)) for number in range(40)])
    first, second = np.triu_indices(40, 1)
    found = similarity(small[first], small[second])
    assert found.max() < 0.5
    assert abs(found.mean()) < 0.2


def test_two_blue_skies_are_not_alike() -> None:
    found = [alike(sky(number), sky(number + 1)) for number in range(10)]
    assert max(found) < 0.1


def test_the_same_thing_on_white_is_alike_and_others_are_not(photograph: Photograph) -> None:
    def on_white(number: int) -> NDArray[np.uint8]:
        page = np.full((96, 96, 3), 255, np.uint8)
        page[16:80, 16:80] = photograph(number, 64)
        return page

    assert alike(on_white(1), (on_white(1) * 0.9).astype(np.uint8)) > 0.9
    assert alike(on_white(1), on_white(2)) < ALIKE


def test_blank_pictures_are_like_nothing(photograph: Photograph) -> None:
    blank = np.full((96, 96, 3), 200, np.uint8)
    assert alike(blank, blank) == 0
    assert alike(blank, photograph(1)) < 0.1
    assert structure(thumbnail(blank)[None])[0] == 0
    assert structure(thumbnail(photograph(1))[None])[0] > 0.5


@pytest.mark.parametrize(("pixels", "found"), [(0, True), (3, True), (6, True), (14, False)])
def test_a_move_of_up_to_a_sixteenth_is_undone(photograph: Photograph, pixels: int, found: bool) -> None:
    # Cut from a larger picture, so that what comes in is new.
    whole = photograph(3, 128)
    assert (alike(whole[16:112, 16:112], whole[16 + pixels : 112 + pixels, 16:112]) >= ALIKE) is found


def test_no_pairs_have_no_similarity() -> None:
    nothing = np.zeros((0, 32, 32), np.uint8)
    assert similarity(nothing, nothing).shape == (0,)
    assert structure(nothing).shape == (0,)
