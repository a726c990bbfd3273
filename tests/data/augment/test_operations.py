"""Every operation of RandAugment against Pillow, and which of them is drawn for whom."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageEnhance, ImageOps

from photofinish import backend
from photofinish.data.augment import Augmentation, augment, augmentation_draws
from photofinish.data.augment.draws import SLOTS
from photofinish.data.augment.operations import Operation
from photofinish.data.augment.randaugment import operate, randaugment
from photofinish.data.augment.squares import cutout

Array = np.ndarray[Any, Any]
GREY = (128, 128, 128)
CENTRE = (0.9, 0.3)


def shapes_and_noise(height: int, width: int) -> Array:
    """Draw pictures that differ in what is hard: noise, ramps, few values, one value, one channel constant."""
    generator = np.random.default_rng(height)
    noise = generator.integers(0, 256, (height, width, 3))
    ramp = np.linspace(20, 180, height * width).reshape(height, width, 1) + np.array([0, 30, 60])
    dark = generator.integers(3, 60, (height, width, 3))
    two = generator.integers(0, 2, (height, width, 3)) * 255
    mostly = np.where(generator.random((height, width, 3)) < 0.95, 200, noise)
    one_channel = noise.copy()
    one_channel[..., 1] = 77
    constant = np.broadcast_to(np.array([0, 93, 255]), (height, width, 3))
    return np.stack([noise, ramp.astype(int), dark, two, mostly, one_channel, constant]).astype(np.int32)


def with_pillow(image: Image.Image, operation: Operation, sign: int, level: float) -> Image.Image:
    """Apply an operation with Pillow."""
    width, height = image.size
    across, along = (round(side * level * 100 / 300) * sign for side in (width, height))

    def enhanced(kind: type[Any]) -> Image.Image:
        return kind(image).enhance(max(1 + 0.9 * level * sign, 0.1))

    def transformed(*matrix: float) -> Image.Image:
        return image.transform(image.size, Image.Transform.AFFINE, matrix, Image.Resampling.NEAREST, fillcolor=GREY)

    functions: dict[Operation, Callable[[], Image.Image]] = {
        Operation.AUTO_CONTRAST: lambda: ImageOps.autocontrast(image),
        Operation.EQUALIZE: lambda: ImageOps.equalize(image),
        Operation.INVERT: lambda: ImageOps.invert(image),
        Operation.POSTERIZE: lambda: ImageOps.posterize(image, max(8 - round(4 * level), 1)),
        Operation.SOLARIZE: lambda: ImageOps.solarize(image, max(256 * (1 - level), 0)),  # type: ignore[arg-type]
        Operation.SOLARIZE_ADD: lambda: image.point(
            [min(value + int(110 * level), 255) if value < 128 else value for value in range(256)] * 3
        ),
        Operation.COLOR: lambda: enhanced(ImageEnhance.Color),
        Operation.CONTRAST: lambda: enhanced(ImageEnhance.Contrast),
        Operation.BRIGHTNESS: lambda: enhanced(ImageEnhance.Brightness),
        Operation.SHARPNESS: lambda: enhanced(ImageEnhance.Sharpness),
        Operation.ROTATE: lambda: image.rotate(30 * level * sign, Image.Resampling.NEAREST, fillcolor=GREY),
        Operation.SHEAR_X: lambda: transformed(1, 0.3 * level * sign, 0, 0, 1, 0),
        Operation.SHEAR_Y: lambda: transformed(1, 0, 0, 0.3 * level * sign, 1, 0),
        Operation.TRANSLATE_X: lambda: transformed(1, 0, across, 0, 1, 0),
        Operation.TRANSLATE_Y: lambda: transformed(1, 0, 0, 0, 1, along),
        Operation.CUTOUT: lambda: without_square(image, round(min(height, width) * level * 80 / 300)),
    }
    return functions[operation]()


def without_square(image: Image.Image, side: int) -> Image.Image:
    pixels = np.array(image)
    top, left = (int(place * size) - side // 2 for place, size in zip(CENTRE, pixels.shape[:2], strict=True))
    pixels[max(top, 0) : max(top + side, 0), max(left, 0) : max(left + side, 0)] = GREY
    return Image.fromarray(pixels)


@pytest.fixture(scope="module", params=[(23, 31, 0.5), (23, 31, 1.5), (40, 40, 1.0), (9, 12, 0.73), (31, 24, 3.0)])
def compared(request: pytest.FixtureRequest) -> dict[Operation, tuple[Array, Array, Array]]:
    """For each operation the pictures, what we make of them, and what Pillow makes of them, both ways."""
    height, width, level = request.param
    pictures = shapes_and_noise(height, width)
    kinds = [(operation, sign) for operation in Operation for sign in (1, -1)]
    batch = np.concatenate([pictures] * len(kinds))
    each = len(pictures)
    operations = np.repeat([operation for operation, _ in kinds], each).astype(np.int32)
    backwards = np.repeat([sign < 0 for _, sign in kinds], each)
    centres = [np.full(len(batch), place, np.float32) for place in CENTRE]
    step = backend.compiled(lambda x, o, b, down, right: operate(x, o, b, (down, right), level), [])
    found = np.array(step(batch, operations, backwards, *centres)).reshape(len(kinds), *pictures.shape)
    expected = np.array(
        [
            [np.asarray(with_pillow(Image.fromarray(p.astype(np.uint8)), *kind, level)) for p in pictures]
            for kind in kinds
        ]
    ).astype(np.int32)
    return {
        operation: (pictures, found[2 * place : 2 * place + 2], expected[2 * place : 2 * place + 2])
        for place, operation in enumerate(Operation)
    }


# Pillow computes these in floating point and cuts the fraction off: where the exact result is a whole number, rounding
# may leave it just below. We give the whole number.
ROUNDED = {
    Operation.AUTO_CONTRAST,
    Operation.COLOR,
    Operation.CONTRAST,
    Operation.BRIGHTNESS,
    Operation.SHARPNESS,
}


@pytest.mark.parametrize("operation", list(Operation))
def test_an_operation_is_pillows(operation: Operation, compared: dict[Operation, tuple[Array, Array, Array]]) -> None:
    _, found, expected = compared[operation]
    differences = found - expected
    if operation in ROUNDED:
        assert set(np.unique(differences)) <= {0, 1}
        assert (differences != 0).mean() < 0.1
    else:
        np.testing.assert_array_equal(found, expected)


def test_no_operation_is_the_identity(compared: dict[Operation, tuple[Array, Array, Array]]) -> None:
    for operation, (pictures, found, _) in compared.items():
        changed = (found != pictures).any(axis=(2, 3, 4))
        # Too small to be equalised: less than 255 pixels.
        small = operation is Operation.EQUALIZE and pictures.shape[1] < 12
        assert changed.any(axis=1).all() or small, operation


def test_a_larger_magnitude_changes_more() -> None:
    # A ramp in each direction; mere noise would be as different after a small move as after a large one.
    ramp = np.arange(24)[:, None, None] * 4 + np.arange(24)[None, :, None] * 6 + np.array([0, 3, 9])
    ramp = ramp + np.random.default_rng(0).integers(0, 8, ramp.shape)
    batch = np.repeat(ramp[None], 32, axis=0).astype(np.int32)
    operations, backwards = np.repeat(np.arange(16), 2).astype(np.int32), np.arange(32) % 2 == 0
    middle = np.full(32, 0.5, np.float32)
    changes = []
    for level in (0.3, 0.7, 1.0, 1.5):
        step = backend.compiled(lambda x, o, b, c, level=level: operate(x, o, b, (c, c), level), [])
        found = np.array(step(batch, operations, backwards, middle))
        changes.append(np.abs(found - batch).reshape(16, -1).mean(axis=1))
    same_at_any = [Operation.AUTO_CONTRAST, Operation.EQUALIZE, Operation.INVERT]
    growth = np.diff(changes, axis=0)
    assert (growth[:, same_at_any] == 0).all()
    assert (np.delete(growth, same_at_any, axis=1)[:2] > 0).all()
    # Beyond magnitude 10 some have come to their end.
    assert (growth[2] >= 0).all()


def test_each_operation_is_drawn_as_often_as_any_other() -> None:
    count = 40_000
    draws = augmentation_draws(count, 1, 1, Augmentation())
    first, second = (np.floor(draws[:, slot.operation] * 16).astype(int) for slot in SLOTS)
    pairs = np.bincount(first * 16 + second, minlength=256) / count
    assert np.abs(pairs - 1 / 256).max() < 5 * np.sqrt(1 / 256 / count)
    for drawn in (first, second):
        assert np.abs(np.bincount(drawn, minlength=16) / count - 1 / 16).max() < 5 * np.sqrt(1 / 16 / count)


def test_each_picture_has_the_two_operations_drawn_for_it() -> None:
    picture = shapes_and_noise(20, 20)[1]
    count = 96
    draws = augmentation_draws(count, 1, 1, Augmentation())
    step = backend.compiled(lambda x, d: randaugment(x, d, 10.0), [])
    found = np.array(step(np.repeat(picture[None], count, axis=0).astype(np.float32), draws))
    single = backend.compiled(lambda x, o, b, down, right: operate(x, o, b, (down, right), 1.0), [])
    expected = np.repeat(picture[None], count, axis=0)
    for slot in SLOTS:
        operations = np.floor(draws[:, slot.operation] * 16).astype(np.int32)
        expected = np.array(
            single(expected, operations, draws[:, slot.sign] < 0.5, draws[:, slot.down], draws[:, slot.right])
        )
    np.testing.assert_array_equal(found, expected)
    assert len(np.unique(found.reshape(count, -1), axis=0)) > 70


def test_fractions_are_rounded_first() -> None:
    draws = augmentation_draws(40, 1, 1, Augmentation())
    whole = np.random.default_rng(0).integers(1, 255, (40, 12, 12, 3)).astype(np.float32)
    step = backend.compiled(lambda x, d: randaugment(x, d, 5.0), [])
    expected = np.array(step(whole, draws))
    for offset in (-0.4, 0.4, -0.5):
        np.testing.assert_array_equal(np.array(step(whole + np.float32(offset), draws)), expected)


def test_cutout_blanks_a_square_anywhere_and_less_at_the_border() -> None:
    count, size = 5_000, 16
    draws = augmentation_draws(count, 1, 1, Augmentation())
    blank = (
        np.asarray(augment(np.zeros((count, size, size, 3), np.uint8), draws, Augmentation(cutout=0.5), size)) == 128
    )
    assert (blank == blank[..., :1]).all()
    rows, columns = (blank[..., 0].any(axis=axis).sum(axis=1) for axis in (2, 1))
    np.testing.assert_array_equal(blank[..., 0].sum(axis=(1, 2)), rows * columns)
    # Centres in 0-15 leave 4 to 8 rows of a square of 8: 100 of 16 times 8, on average.
    assert (min(rows), max(rows)) == (4, 8)
    lengths = np.array([min(centre + 4, size) - max(centre - 4, 0) for centre in range(size)])
    assert abs(rows.mean() - lengths.mean()) < 5 * lengths.std() / np.sqrt(count)
    areas, deviation = rows * columns, np.outer(lengths, lengths).std()
    assert abs(areas.mean() - lengths.mean() ** 2) < 5 * deviation / np.sqrt(count)


@pytest.mark.parametrize(("side", "pixels"), [(0.3, 3), (0.4, 4), (1.0, 10)])
def test_cutouts_square_has_the_side_asked_for(side: float, pixels: int) -> None:
    middle = np.full(1, 0.5, np.float32)
    blank = np.asarray(cutout(np.zeros((1, 10, 10, 3), np.float32), middle, middle, side)) == 128
    assert blank[0, :, 5, 0].sum() == blank[0, 5, :, 0].sum() == pixels


def test_the_step_is_traced_once_for_all_batches() -> None:
    traced = []

    def step(images: Any, draws: Any) -> Any:
        traced.append(1)
        return augment(images, draws, Augmentation(flip=True, shift=0.1, crop=0.3, randaugment=7, cutout=0.2), 12)

    compiled = backend.compiled(step, [])
    draws = augmentation_draws(24, 1, 1, Augmentation())
    images = np.random.default_rng(0).integers(0, 256, (24, 10, 10, 3), dtype=np.uint8)
    results = [np.array(compiled(images[s : s + 8], draws[s : s + 8])) for s in (0, 8, 16)]
    assert len(traced) == 1
    assert all(result.shape == (8, 12, 12, 3) and result.dtype == np.float32 for result in results)


def test_a_picture_is_augmented_alike_in_any_batch() -> None:
    augmentation = Augmentation(flip=True, shift=0.1, randaugment=7, cutout=0.2)
    step = backend.compiled(lambda x, d: augment(x, d, augmentation, 10), [])
    draws = augmentation_draws(24, 1, 1, augmentation)
    images = np.random.default_rng(0).integers(0, 256, (24, 10, 10, 3), dtype=np.uint8)
    whole = np.array(step(images, draws))
    order = np.random.default_rng(1).permutation(24)
    np.testing.assert_array_equal(np.array(step(images[order], draws[order])), whole[order])
    np.testing.assert_array_equal(np.array(step(images[5:6], draws[5:6])), whole[5:6])
