"""Augmentation against plain NumPy, picture by picture, and resizing against Pillow."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from PIL import Image

from photofinish.data.augment import DRAWS, FLIP, SHIFT_DOWN, SHIFT_RIGHT, augment, augmentation_draws, resize

Array = np.ndarray[Any, Any]


@pytest.fixture
def images() -> Array:
    return np.random.default_rng(0).integers(0, 256, (60, 10, 7, 3), dtype=np.uint8)


@pytest.fixture
def draws() -> Array:
    return augmentation_draws(60, seed=3, epoch=1)


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
    found = np.asarray(augment(images, draws, flip=flip, shift=shift))
    assert found.dtype == np.uint8
    expected = [by_hand(image, draw, flip=flip, shift=shift) for image, draw in zip(images, draws, strict=True)]
    np.testing.assert_array_equal(found, expected)
    unchanged = (found == images).all(axis=(1, 2, 3)).mean()
    assert unchanged < 0.7


def test_draws_in_the_middle_leave_a_picture_where_it_is(images: Array) -> None:
    middle = np.full((60, DRAWS), 0.5, np.float32)
    np.testing.assert_array_equal(np.asarray(augment(images, middle, flip=True, shift=0.4)), images)


def test_switched_off_it_returns_the_pictures_themselves(images: Array, draws: Array) -> None:
    np.testing.assert_array_equal(np.asarray(augment(images, draws, flip=False, shift=0.0)), images)


def test_all_shifts_up_to_the_furthest_are_equally_likely() -> None:
    count = 20_000
    line = np.zeros((count, 1, 11, 1), np.uint8)
    line[:, :, 5] = 1
    found = np.asarray(augment(line, augmentation_draws(count, 1, 1), flip=False, shift=2 / 11))
    places = np.bincount(found[:, 0, :, 0].argmax(axis=1), minlength=11)
    assert places[:3].tolist() == places[8:].tolist() == [0, 0, 0]
    # Five standard errors of a fifth.
    assert np.abs(places[3:8] / count - 0.2).max() < 5 * np.sqrt(0.2 * 0.8 / count)


def test_draws_are_uniform_and_independent_of_one_another() -> None:
    draws = augmentation_draws(50_000, seed=0, epoch=1)
    assert draws.dtype == np.float32
    assert draws.min() >= 0
    assert draws.max() < 1
    for column in draws.T:
        shares = np.histogram(column, 20, (0, 1))[0] / len(column)
        assert np.abs(shares - 0.05).max() < 5 * np.sqrt(0.05 * 0.95 / len(column))
    correlations = np.corrcoef(np.vstack([draws.T, np.roll(draws, 1, axis=0).T])) - np.eye(2 * DRAWS)
    assert np.abs(correlations).max() < 5 / np.sqrt(len(draws))


def test_a_pictures_draws_depend_on_seed_epoch_and_its_place_alone() -> None:
    draws = augmentation_draws(100, seed=4, epoch=2)
    np.testing.assert_array_equal(augmentation_draws(30, seed=4, epoch=2), draws[:30])
    assert (augmentation_draws(100, seed=5, epoch=2) != draws).mean() > 0.99
    assert (augmentation_draws(100, seed=4, epoch=3) != draws).mean() > 0.99
    assert (augmentation_draws(100, seed=2, epoch=4) != draws).mean() > 0.99


def test_draws_are_the_same_on_every_machine() -> None:
    golden = [[0.943409, 0.786393, 0.162642], [0.152529, 0.526656, 0.53404]]
    np.testing.assert_allclose(augmentation_draws(2, seed=0, epoch=1), golden, atol=1e-5)


def test_a_picture_is_augmented_alike_in_any_batch(images: Array, draws: Array) -> None:
    whole = np.asarray(augment(images, draws, flip=True, shift=0.2))
    parts = [
        np.asarray(augment(images[place : place + 1], draws[place : place + 1], flip=True, shift=0.2))[0]
        for place in (0, 17, 59)
    ]
    np.testing.assert_array_equal(parts, whole[[0, 17, 59]])


@pytest.mark.parametrize("size", [3, 5, 8, 13, 40])
def test_resizing_is_pillows_bilinear_filter(images: Array, size: int) -> None:
    pictures = images[:3].astype(np.float32)
    expected = [
        np.stack(
            [
                np.asarray(Image.fromarray(picture[..., c]).resize((size, size), Image.Resampling.BILINEAR))
                for c in range(3)
            ],
            axis=-1,
        )
        for picture in pictures
    ]
    np.testing.assert_allclose(np.asarray(resize(images[:3], size)), expected, atol=1e-3)


def test_a_picture_of_the_right_size_is_only_cast(images: Array) -> None:
    square = images[:, :7]
    found = np.asarray(resize(square, 7))
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, square.astype(np.float32))
