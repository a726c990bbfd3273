"""mixup and CutMix against their definitions."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from photofinish import backend
from photofinish.data.augment import Augmentation, augmentation_draws, mix
from photofinish.data.augment.draws import CUTMIX_DOWN, CUTMIX_RIGHT, CUTMIX_WEIGHT, MIX_KIND, MIXUP_WEIGHT

Array = np.ndarray[Any, Any]
COUNT, SIZE = 2_000, 12


def mixed(augmentation: Augmentation) -> tuple[Array, Array, Array, Array]:
    """Mix black pictures of a class with white ones of another; return shares of their own colour, targets, draws.

    Returns:
        How much of each pixel is the picture's own, (count, size, size); how much of its target is; the draws;
        the pictures.
    """
    black = np.arange(COUNT) < COUNT // 2
    pictures = np.broadcast_to(np.where(black, 0, 200)[:, None, None, None], (COUNT, SIZE, SIZE, 3)).astype(np.float32)
    targets = np.stack([black, ~black], axis=1).astype(np.float32)
    draws = augmentation_draws(COUNT, 6, 1, augmentation)
    step = backend.compiled(lambda x, t, d: mix(x, t, d, augmentation), [])
    found, shares = (np.array(array) for array in step(pictures, targets, draws))
    np.testing.assert_allclose(shares.sum(axis=1), 1, atol=1e-6)
    assert (found == found[..., :1]).all()
    own = np.where(black[:, None, None], 200 - found[..., 0], found[..., 0]) / 200
    return own, np.where(black, shares[:, 0], shares[:, 1]), draws, found


def test_switched_off_it_returns_what_it_was_given() -> None:
    pictures, targets = object(), object()
    assert mix(pictures, targets, None, Augmentation()) == (pictures, targets)


def test_mixup_mixes_picture_and_target_with_the_larger_weight_first() -> None:
    own, target, draws, _ = mixed(Augmentation(mixup=0.4))
    weights = np.maximum(draws[:, MIXUP_WEIGHT], 1 - draws[:, MIXUP_WEIGHT])
    np.testing.assert_allclose(target, weights, atol=1e-6)
    np.testing.assert_allclose(own, np.broadcast_to(weights[:, None, None], own.shape), atol=1e-5)
    assert weights.min() >= 0.5


def test_cutmix_puts_in_a_square_and_counts_its_real_area() -> None:
    own, target, draws, pictures = mixed(Augmentation(cutmix=1.0))
    assert set(np.unique(pictures)) == {0, 200}
    np.testing.assert_allclose(1 - target, (1 - own).mean(axis=(1, 2)), rtol=0, atol=1e-6)
    for kept, draw in zip(own[:100], draws[:100], strict=True):
        side = int(np.floor(np.sqrt(1 - draw[CUTMIX_WEIGHT]) * SIZE + 0.5))
        top, left = (int(draw[column] * SIZE) - side // 2 for column in (CUTMIX_DOWN, CUTMIX_RIGHT))
        expected = np.ones((SIZE, SIZE))
        expected[max(top, 0) : max(top + side, 0), max(left, 0) : max(left + side, 0)] = 0
        np.testing.assert_array_equal(kept, expected)


def test_the_partner_is_the_batch_in_reverse_order() -> None:
    pictures = np.arange(5, dtype=np.float32)[:, None, None, None] * np.ones((1, 2, 2, 3), np.float32)
    draws = np.full((5, 22), 0.25, np.float32)
    found, targets = mix(pictures, np.eye(5, dtype=np.float32), draws, Augmentation(mixup=1))
    np.testing.assert_allclose(np.asarray(found)[:, 0, 0, 0], [1, 1.5, 2, 2.5, 3])
    np.testing.assert_allclose(np.asarray(targets)[0], [0.75, 0, 0, 0, 0.25])


def test_with_both_each_picture_has_one_of_them_half_each() -> None:
    own, target, draws, _ = mixed(Augmentation(mixup=0.4, cutmix=1.0))
    cuts = draws[:, MIX_KIND] < 0.5
    assert abs(cuts.mean() - 0.5) < 5 * 0.5 / np.sqrt(COUNT)
    assert set(np.unique(own[cuts])) == {0, 1}
    np.testing.assert_allclose(target[cuts], own[cuts].mean(axis=(1, 2)), rtol=0, atol=1e-6)
    weights = np.maximum(draws[~cuts, MIXUP_WEIGHT], 1 - draws[~cuts, MIXUP_WEIGHT])
    np.testing.assert_allclose(target[~cuts], weights, atol=1e-6)


@pytest.mark.parametrize("augmentation", [Augmentation(mixup=0.2), Augmentation(cutmix=0.2)])
def test_a_weight_of_one_leaves_everything_as_it_is(augmentation: Augmentation) -> None:
    generator = np.random.default_rng(0)
    pictures = generator.uniform(0, 255, (6, 4, 4, 3)).astype(np.float32)
    smoothed = (np.eye(6) * 0.9 + 0.1 / 6).astype(np.float32)
    draws = generator.random((6, 22)).astype(np.float32)
    draws[:, [MIXUP_WEIGHT, CUTMIX_WEIGHT]] = 1
    found, targets = mix(pictures, smoothed, draws, augmentation)
    np.testing.assert_array_equal(np.asarray(found), pictures)
    np.testing.assert_array_equal(np.asarray(targets), smoothed)
