"""Mirroring and moving against plain NumPy, picture by picture."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from photofinish.data.augment import DRAWS, Augmentation, augmentation_draws
from photofinish.data.augment.draws import FLIP, SHIFT_DOWN, SHIFT_RIGHT
from photofinish.data.augment.move import move

Array = np.ndarray[Any, Any]


def by_hand(image: Array, draw: Array, *, flip: bool, shift: float) -> Array:
    if flip and draw[FLIP] < 0.5:
        image = image[:, ::-1]
    height, width = image.shape[:2]
    moved = np.empty_like(image)
    down, right = (
        int(np.floor(draw[column] * (2 * round(shift * size) + 1))) - round(shift * size)
        for column, size in ((SHIFT_DOWN, height), (SHIFT_RIGHT, width))
    )
    for y in range(height):
        for x in range(width):
            moved[y, x] = image[min(max(y - down, 0), height - 1), min(max(x - right, 0), width - 1)]
    return moved


@pytest.mark.parametrize(("flip", "shift"), [(True, 0.0), (False, 0.25), (True, 0.3), (False, 0.5)])
def test_each_picture_is_mirrored_and_moved_by_its_own_draws(
    images: Array, draws: Array, flip: bool, shift: float
) -> None:
    found = np.asarray(move(images, draws, flip=flip, shift=shift))
    assert found.dtype == np.uint8
    expected = [by_hand(image, draw, flip=flip, shift=shift) for image, draw in zip(images, draws, strict=True)]
    np.testing.assert_array_equal(found, expected)
    unchanged = (found == images).all(axis=(1, 2, 3)).mean()
    assert unchanged < 0.7


def test_draws_in_the_middle_leave_a_picture_where_it_is(images: Array) -> None:
    middle = np.full((60, DRAWS), 0.5, np.float32)
    np.testing.assert_array_equal(np.asarray(move(images, middle, flip=True, shift=0.4)), images)


def test_switched_off_it_returns_the_pictures_themselves(images: Array, draws: Array) -> None:
    np.testing.assert_array_equal(np.asarray(move(images, draws, flip=False, shift=0.0)), images)


def test_all_shifts_up_to_the_furthest_are_equally_likely() -> None:
    count = 20_000
    line = np.zeros((count, 1, 11, 1), np.uint8)
    line[:, :, 5] = 1
    found = np.asarray(move(line, augmentation_draws(count, 1, 1, Augmentation()), flip=False, shift=2 / 11))
    places = np.bincount(found[:, 0, :, 0].argmax(axis=1), minlength=11)
    assert places[:3].tolist() == places[8:].tolist() == [0, 0, 0]
    # Five standard errors of a fifth.
    assert np.abs(places[3:8] / count - 0.2).max() < 5 * np.sqrt(0.2 * 0.8 / count)


def test_a_picture_is_augmented_alike_in_any_batch(images: Array, draws: Array) -> None:
    whole = np.asarray(move(images, draws, flip=True, shift=0.2))
    parts = [
        np.asarray(move(images[place : place + 1], draws[place : place + 1], flip=True, shift=0.2))[0]
        for place in (0, 17, 59)
    ]
    np.testing.assert_array_equal(parts, whole[[0, 17, 59]])
