"""How much more work would settle a pair that is undecided."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri, stdtrit

from photofinish.study.statistics import LEVEL
from photofinish.study.variance import TwoWay, two_way

POWER = 0.8
MOST_SEEDS = 50
"""Nobody trains a network fifty times to tell it from another; beyond that the answer is `None`."""
MOST_PICTURES = 1_000_000
"""Nobody labels a million test pictures for it either."""


@dataclass(frozen=True)
class MoreWork:
    """What would settle the observed difference at 80% power: seeds or pictures; None where they would not.

    Attributes:
        seeds: Further seeds of each model, on the same pictures.
        pictures: Further test pictures, with the same seeds.
    """

    seeds: int | None
    pictures: int | None


def seeds_to_decide(correct_a: NDArray[np.bool_], correct_b: NDArray[np.bool_], level: float = LEVEL) -> MoreWork:
    """Estimate how many more seeds, or how many more test pictures, would settle the observed difference.

    The difference and its variances are taken as they were observed, so this is a rough guide: if the true
    difference is smaller, more is needed. With one seed each nothing is known about the seeds, and `seeds`
    is None.

    Args:
        correct_a: Whether each seed of the first model was right on each picture, shape (seeds, pictures).
        correct_b: The same for the second model.
        level: Level of the test; divide 0.05 by the number of pairs to allow for Holm's correction.

    Examples:
        >>> pictures = np.arange(200)[None]
        >>> seeds_to_decide(pictures < 150, pictures % 4 < 3)
        MoreWork(seeds=None, pictures=None)
    """
    a, b = two_way(correct_a), two_way(correct_b)
    difference = abs(a.mean - b.mean)
    if difference * a.pictures < 0.5:
        return MoreWork(seeds=None, pictures=None)
    parts = _Parts.of(a, b)
    first = max(a.seeds, b.seeds)

    def enough(seeds: int, pictures: int) -> bool:
        return parts.least_difference(seeds, pictures, level) <= difference

    seeds = None
    if first > 1:
        # Undecided all the same: the test counts fewer degrees of freedom than are expected here, so one more helps.
        seeds = 1 if enough(first, a.pictures) else _least(lambda seeds: enough(seeds, a.pictures), first, MOST_SEEDS)
    pictures = _least(lambda pictures: enough(min(a.seeds, b.seeds), pictures), a.pictures, MOST_PICTURES)
    return MoreWork(seeds=seeds, pictures=pictures)


@dataclass(frozen=True)
class _Parts:
    """Variances of a single answer's difference between two models: of seeds, of pictures and of the rest."""

    seed: float
    picture: float
    rest: float

    @classmethod
    def of(cls, a: TwoWay, b: TwoWay) -> _Parts:
        known = [table for table in (a, b) if table.seeds > 1]
        share = 2 / len(known) if known else 0.0
        rest = share * sum(table.rest for table in known)
        seed = share * sum(max(0.0, table.between_seeds - table.rest / table.pictures) for table in known)
        spread = float((a.picture_means - b.picture_means).var())
        picture = max(0.0, spread - sum(table.rest / table.seeds for table in known))
        return cls(seed, picture, rest)

    def least_difference(self, seeds: int, pictures: int, level: float) -> float:
        """Return the smallest difference that is found with the wanted power."""
        seed_part = (self.seed + self.rest / pictures) / seeds
        picture_part = self.picture / pictures
        z = float(ndtri(level / 2))
        student = float(stdtrit(2 * (seeds - 1), level / 2)) if seeds > 1 else 0.0
        margin = math.sqrt(student**2 * seed_part + z**2 * picture_part)
        return margin + float(ndtri(POWER)) * math.sqrt(seed_part + picture_part)


def _least(enough: Callable[[int], bool], present: int, most: int) -> int | None:
    """Return how many more than `present` are enough, found by bisection, or None when `most` are not."""
    if enough(present) or not enough(most):
        return None
    low, high = present, most
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high - present
