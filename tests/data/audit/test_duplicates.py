"""What is found of a picture that was changed, and what is not."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageOps
from sklearn.datasets import load_digits

from photofinish.data.audit.duplicates import (
    LARGEST_RESEMBLING_SHARE,
    Pairs,
    near_duplicates,
    originals,
    resembling_share,
)
from photofinish.data.audit.groups import numbers_of_groups
from photofinish.data.audit.perceptual import thumbnail
from photofinish.storage.progress import silent

Photograph = Callable[..., NDArray[np.uint8]]
Picture = NDArray[np.uint8]

OTHERS = 40
TRAIN, TEST = np.int8(0), np.int8(2)


def search(pictures: list[Picture], proposed: NDArray[np.int64] | None = None) -> Pairs:
    small = np.stack([thumbnail(picture) for picture in pictures])
    return near_duplicates(small, np.arange(len(small)), np.full(len(small), TRAIN), silent, proposed)


def resized(picture: Picture, *size: int) -> Picture:
    return np.asarray(Image.fromarray(picture).resize(size, Image.Resampling.BICUBIC))


def cropped(picture: Picture, share: float) -> Picture:
    """Cut so much off each side."""
    border = round(share * len(picture))
    return picture[border : len(picture) - border, border : len(picture) - border]


CHANGES: dict[str, tuple[Callable[[Picture, Any], Picture], bool]] = {
    "JPEG of quality 60": (lambda one, save: save(one, quality=60), True),
    "JPEG of quality 20": (lambda one, save: save(one, quality=20), True),
    "half the size": (lambda one, _: resized(one, 48, 48), True),
    "twice the size": (lambda one, _: resized(one, 192, 192), True),
    "other proportions": (lambda one, _: resized(one, 128, 80), True),
    "brighter": (lambda one, _: np.clip(one.astype(int) + 40, 0, 255).astype(np.uint8), True),
    "less contrast": (lambda one, _: (one * 0.5 + 60).astype(np.uint8), True),
    "grey": (lambda one, _: np.asarray(Image.fromarray(one).convert("L").convert("RGB")), True),
    "2% cropped": (lambda one, _: cropped(one, 0.02), True),
    "mirrored": (lambda one, _: one[:, ::-1], True),
    "mirrored, JPEG, smaller": (lambda one, save: save(resized(one[:, ::-1].copy(), 64, 64), quality=60), True),
    "15% cropped": (lambda one, _: cropped(one, 0.15), False),
    "turned upside down": (lambda one, _: one[::-1, ::-1], False),
    "turned by 90 degrees": (lambda one, _: np.rot90(one), False),
    "inverted": (lambda one, _: np.asarray(ImageOps.invert(Image.fromarray(one))), False),
}


@pytest.mark.parametrize("name", CHANGES)
def test_what_is_found_of_changed_pictures(photograph: Photograph, recompressed: Any, name: str) -> None:
    change, is_found = CHANGES[name]
    first = [photograph(number) for number in range(OTHERS)]
    second = [np.ascontiguousarray(change(picture, recompressed)) for picture in first]
    pairs = search([*first, *second])
    wanted = {(number, OTHERS + number) for number in range(OTHERS)} if is_found else set()
    assert set(zip(pairs.first.tolist(), pairs.second.tolist(), strict=True)) == wanted
    assert (pairs.mirrored == ("mirrored" in name)).all()


def test_pictures_that_differ_are_not_reported_whatever_their_labels(photograph: Photograph) -> None:
    assert len(search([photograph(number) for number in range(200)])) == 0


def test_skies_with_one_bird_each_are_reported_only_where_it_flies_at_the_same_place() -> None:
    places = np.array([np.random.default_rng(number).integers(8, 76, 2) for number in range(30)])
    pictures = []
    for down, right in places:
        sky = np.full((96, 96, 3), (120, 170, 230), np.uint8)
        sky[down : down + 8, right : right + 12] = 20
        pictures.append(sky)
    pairs = search(pictures)
    mirrored = np.stack([places[:, 0], 96 - 12 - places[:, 1]], axis=1)
    first = np.where(pairs.mirrored[:, None], mirrored[pairs.first], places[pairs.first])
    # Two pixels of the thumbnail, and one of rounding, are three times as many here.
    assert 0 < len(pairs) < 60
    assert np.abs(first - places[pairs.second]).max() <= 9


def test_a_pair_that_others_propose_is_found_though_its_hashes_are_far(photograph: Photograph) -> None:
    whole = [photograph(number, 128) for number in range(OTHERS)]
    # Seven per cent in both directions: the second comparison makes up for it, the nine positions of the hash do not.
    first, second = [one[8:104, 8:104] for one in whole], [one[15:111, 15:111] for one in whole]
    places = np.arange(OTHERS)
    proposed = np.stack([places, OTHERS + places], axis=1)
    without, supported = search([*first, *second]), search([*first, *second], proposed)
    assert len(without) < 0.5 * OTHERS
    assert len(supported) > 0.8 * OTHERS


def test_proposals_of_pictures_that_differ_are_not_taken(photograph: Photograph) -> None:
    pictures = [photograph(number) for number in range(OTHERS)]
    everyone = np.stack(np.triu_indices(OTHERS, 1), axis=1)
    assert len(search(pictures, everyone)) == 0


def test_of_very_many_copies_each_picture_is_still_tied_to_another_in_every_split(
    photograph: Photograph, recompressed: Any
) -> None:
    picture = photograph(1)
    copies = [recompressed((picture * (1 - 0.001 * number)).astype(np.uint8), quality=90) for number in range(150)]
    small = np.stack([thumbnail(copy) for copy in copies])
    parts = np.where(np.arange(150) < 3, TRAIN, TEST).astype(np.int8)
    pairs = near_duplicates(small, np.arange(150), parts, silent)
    seen = set(pairs.second[pairs.first < 3].tolist()) - {0, 1, 2}
    assert seen == set(range(3, 150))
    assert len(pairs) < 150 * 149 / 2


def test_pictures_of_one_colour_are_not_near_duplicates() -> None:
    assert len(search([np.full((40, 40, 3), shade, np.uint8) for shade in range(100, 140)])) == 0


def test_handwritten_digits_resemble_one_another_by_chance_and_photographs_do_not(photograph: Photograph) -> None:
    digits = load_digits()
    greys = np.repeat((digits.images * 255 / 16).astype(np.uint8)[..., None], 3, axis=-1)
    small = np.stack([thumbnail(picture) for picture in greys[:400]])
    assert resembling_share(small, digits.target[:400].astype(np.int32)) > 3 * LARGEST_RESEMBLING_SHARE
    others = np.stack([thumbnail(photograph(number)) for number in range(60)])
    assert resembling_share(others, np.arange(60, dtype=np.int32) % 3) < LARGEST_RESEMBLING_SHARE / 4


def test_one_class_alone_resembles_no_other() -> None:
    assert resembling_share(np.zeros((5, 32, 32), np.uint8), np.zeros(5, np.int32)) == 0


def test_the_first_of_equal_pictures_stands_for_all() -> None:
    digests = np.array([b"a" * 16, b"b" * 16, b"b" * 16, b"a" * 15 + b"\0", b"a" * 16])
    assert originals(digests).tolist() == [0, 1, 1, 3, 0]


def test_a_thousand_noisy_copies_of_one_frame_take_little_memory_and_are_one_group() -> None:
    generator = np.random.default_rng(0)
    frame = np.kron(generator.integers(60, 190, (8, 8)), np.ones((4, 4)))
    copies = np.clip(frame + generator.normal(0, 4, (1000, 32, 32)), 0, 255).astype(np.uint8)
    parts = np.where(np.arange(1000) < 3, TRAIN, TEST).astype(np.int8)
    tracemalloc.start()
    pairs = near_duplicates(copies, np.arange(1000), parts, silent)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    print(f"{peak / 1e6:.0f} MB, {len(pairs)} pairs")
    # All pairs at nine positions, upright and mirrored, took 83 MB for 400 of them and 335 MB for 800.
    assert peak < 250_000_000
    assert len(np.unique(numbers_of_groups(np.arange(1000), pairs))) == 1
