"""Resizing, and cropping with it, against Pillow."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from PIL import Image

from photofinish import backend
from photofinish.data.augment import Augmentation, augment, augmentation_draws, resize
from photofinish.data.augment.cropping import Boxes, random_boxes, resized_crop
from photofinish.data.augment.draws import CROP_AREA, CROP_ASPECT

Array = np.ndarray[Any, Any]


@pytest.mark.parametrize("size", [3, 5, 8, 13, 30, 40])
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


def pillow_crop(image: Array, box: tuple[float, ...], size: int) -> Array:
    """Resize a box channel by channel in real numbers, so that nothing is rounded on the way."""
    channels = [Image.fromarray(image[..., c].astype(np.float32)) for c in range(3)]
    resized = [channel.resize((size, size), Image.Resampling.BILINEAR, box=box) for channel in channels]
    return np.stack([np.asarray(channel) for channel in resized], axis=-1)


@pytest.mark.parametrize("size", [3, 7, 16])
def test_a_crop_is_pillows_resize_with_a_box(images: Array, draws: Array, size: int) -> None:
    boxes = Boxes(*(np.asarray(side) for side in random_boxes(draws, 10, 7, 0.08)))
    found = np.array(backend.compiled(lambda x, *b: resized_crop(x, Boxes(*b), size), [])(images, *boxes))
    for image, resized, *box in zip(images, found, *boxes, strict=True):
        top, left, height, width = map(float, box)
        # Adding rounds too: Pillow refuses a box that ends a millionth of a pixel outside.
        expected = pillow_crop(image, (left, top, min(left + width, 7), min(top + height, 10)), size)
        np.testing.assert_allclose(resized, expected, rtol=0, atol=2e-3)


def test_the_whole_picture_as_a_box_is_resized_as_ever(images: Array, draws: Array) -> None:
    whole = Boxes(np.zeros(60), np.zeros(60), np.full(60, 10.0), np.full(60, 7.0))
    whole = Boxes(*(side.astype(np.float32) for side in whole))
    for size in (4, 20):
        step = backend.compiled(lambda x, *b, size=size: resized_crop(x, Boxes(*b), size), [])
        found = np.array(step(images, *whole))
        np.testing.assert_allclose(found, np.asarray(resize(images, size)), rtol=0, atol=1e-3)


@pytest.mark.parametrize(("height", "width"), [(32, 32), (32, 40)])
def test_a_boxs_area_is_uniform_and_its_ratio_in_range_without_exception(height: int, width: int) -> None:
    count, smallest = 20_000, 0.08
    many = augmentation_draws(count, 5, 1, Augmentation())
    tops, lefts, heights, widths = (np.asarray(side) for side in random_boxes(many, height, width, smallest))
    assert min(tops.min(), lefts.min()) >= 0
    assert (tops + heights).max() <= height + 1e-4
    assert (lefts + widths).max() <= width + 1e-4
    areas = heights * widths / (height * width)
    np.testing.assert_allclose(areas, smallest + (1 - smallest) * many[:, CROP_AREA], rtol=1e-5)
    ratios = widths / heights
    assert ratios.min() > 3 / 4 - 1e-5
    assert ratios.max() < 4 / 3 + 1e-5
    # Where every ratio has room its logarithm is uniform.
    roomy = areas < 3 / 4 * min(height / width, width / height)
    places = np.log(ratios[roomy] / (3 / 4)) / np.log(16 / 9)
    np.testing.assert_allclose(places, many[roomy, CROP_ASPECT], rtol=0, atol=1e-5)


def test_a_box_of_a_long_picture_keeps_its_area_and_takes_the_nearest_ratio_with_room() -> None:
    many = augmentation_draws(200, 5, 1, Augmentation())
    _, _, heights, widths = (np.asarray(side) for side in random_boxes(many, 10, 40, 0.9))
    np.testing.assert_allclose(heights, 10, rtol=1e-6)
    np.testing.assert_allclose(heights * widths / 400, 0.9 + 0.1 * many[:, CROP_AREA], rtol=1e-5)


def test_a_crop_sees_the_mirrored_picture(images: Array, draws: Array) -> None:
    mirrored = np.where((draws[:, 0] < 0.5)[:, None, None, None], images[:, :, ::-1], images)
    found, expected = (
        np.array(backend.compiled(lambda x, d, chosen=chosen: augment(x, d, chosen, 8), [])(pictures, draws))
        for pictures, chosen in ((images, Augmentation(flip=True, crop=0.3)), (mirrored, Augmentation(crop=0.3)))
    )
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-3)


def test_without_a_crop_pictures_are_resized_as_in_evaluation(images: Array, draws: Array) -> None:
    for size in (5, 7, 12):
        found = np.asarray(augment(images, draws, Augmentation(), size))
        np.testing.assert_array_equal(found, np.asarray(resize(images, size)))
