"""The random numbers of augmentation, for each picture its own. Needs no Keras."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import scipy
from numpy.typing import NDArray

from photofinish.data.augment.policy import Augmentation


class Slot(NamedTuple):
    """Which columns decide one of RandAugment's operations.

    Attributes:
        operation: Which operation it is.
        sign: Whether it goes one way or the other.
        down: Where its square lies, if it is Cutout.
        right: As `down`.
    """

    operation: int
    sign: int
    down: int
    right: int


# Which column of the draws decides what.
FLIP, SHIFT_DOWN, SHIFT_RIGHT = range(3)
CROP_AREA, CROP_ASPECT, CROP_DOWN, CROP_RIGHT = range(3, 7)
SLOTS = (Slot(7, 8, 9, 10), Slot(11, 12, 13, 14))
CUTOUT_DOWN, CUTOUT_RIGHT = range(15, 17)
MIX_KIND, MIXUP_WEIGHT, CUTMIX_WEIGHT, CUTMIX_DOWN, CUTMIX_RIGHT = range(17, 22)
DRAWS = 22
# Each idea has its own stream, as wide as its columns: one that grows leaves the others' numbers as they are.
_STREAMS = {b"augment": 3, b"crop": 4, b"operate": 8, b"cutout": 2, b"mix": 5}
_AT_ONCE = 1 << 14


def augmentation_draws(examples: int, seed: int, epoch: int, augmentation: Augmentation) -> NDArray[np.float32]:
    """Return the random numbers of an epoch, for each training example its own.

    Row i depends on (seed, epoch, i) alone. The numbers are raw words of Philox, because NumPy promises that those
    never change between versions. All columns are made whatever is switched on, so that switching something on
    changes nothing else.

    Args:
        examples: Number of training examples.
        seed: The cell's seed.
        epoch: Number of the epoch.
        augmentation: Gives the Beta distributions of the mixing weights.

    Returns:
        (examples, DRAWS), uniform in [0, 1), but for `MIXUP_WEIGHT` and `CUTMIX_WEIGHT`: those follow Beta(a, a) in
        [0, 1], and are 1 where a is 0.

    Examples:
        >>> draws = augmentation_draws(2, seed=0, epoch=1, augmentation=Augmentation(mixup=0.2))
        >>> draws.shape
        (2, 22)
        >>> draws[:, FLIP].round(3).tolist(), draws[:, CUTMIX_WEIGHT].tolist()
        ([0.9430000185966492, 0.15299999713897705], [1.0, 1.0])
    """
    draws = np.empty((examples, DRAWS), np.float32)
    first = 0
    for name, width in _STREAMS.items():
        _fill_uniform(draws[:, first : first + width], seed, epoch, name)
        first += width
    for column, parameter in ((MIXUP_WEIGHT, augmentation.mixup), (CUTMIX_WEIGHT, augmentation.cutmix)):
        draws[:, column] = _beta(draws[:, column].astype(np.float64), parameter) if parameter else 1
    return draws


def _beta(uniform: NDArray[np.float64], parameter: float) -> NDArray[np.float64]:
    """Return numbers that follow Beta(parameter, parameter), from uniform ones."""
    # SciPy takes a third of a second to import, in every process that trains, and most mix nothing.

    weights: NDArray[np.float64] = scipy.special.betaincinv(parameter, parameter, uniform)
    return weights


def _fill_uniform(draws: NDArray[np.float32], seed: int, epoch: int, stream: bytes) -> None:
    """Fill (examples, columns) with numbers, uniform in [0, 1)."""
    # The high word of the counter keeps the streams apart.
    counter = np.array([0, 0, 0, int.from_bytes(stream, "big")], dtype=np.uint64)
    generator = np.random.Philox(key=np.array([seed, epoch], dtype=np.uint64), counter=counter)
    # The words of millions of pictures, twice as wide, would be the most that a training ever holds of each.
    for start in range(0, len(draws), _AT_ONCE):
        part = draws[start : start + _AT_ONCE]
        # The upper 24 bits fill a float32 exactly.
        part[:] = ((generator.random_raw(part.size) >> np.uint64(40)) * np.float64(2.0**-24)).reshape(part.shape)
