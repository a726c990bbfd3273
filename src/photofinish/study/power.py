"""How likely a race decides a difference, how small a difference it can decide, and how much more work one takes."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy
from numpy.typing import NDArray

from photofinish.study.margins import LEAST_SHARE, combined_student, normal_value, squared_margin_of_seeds
from photofinish.study.statistics import LEVEL
from photofinish.study.variance import TwoWay, two_way

POWER = 0.8
MOST_SEEDS = 50
"""Nobody trains a network fifty times to tell it from another; beyond that the answer is `None`."""
MOST_PICTURES = 1_000_000
"""Nobody labels a million test pictures for it either."""
NODES = 48


@dataclass(frozen=True)
class MoreWork:
    """What would settle the observed difference at 80% power: seeds or pictures; None where they would not.

    Attributes:
        seeds: Further seeds of each model, on the same pictures.
        pictures: Further test pictures, with the same seeds.
    """

    seeds: int | None
    pictures: int | None


@dataclass(frozen=True)
class DifferenceVariances:
    """Variances of the difference between the answers of two models to one picture, by where they come from.

    Attributes:
        seeds: Of each model's true accuracy from seed to seed.
        pictures: Of the difference from picture to picture, when the noise of single answers is taken out.
        rests: Of each model's answers when seed and picture are taken out: the noise of single answers.
    """

    seeds: tuple[float, float]
    pictures: float
    rests: tuple[float, float]

    @classmethod
    def assumed(cls, disagreement: float, seed_disagreement: float, seed_spread: float) -> DifferenceVariances:
        """Return the variances of two models that are alike in everything but the pictures that they get right.

        Args:
            disagreement: Share of pictures that one of two models gets right and the other wrong, one seed each.
            seed_disagreement: The same of two seeds of one model.
            seed_spread: Standard deviation of a seed's true accuracy.

        Examples:
            >>> DifferenceVariances.assumed(0.1, 0.08, 0.01)
            DifferenceVariances(seeds=(0.0001, 0.0001), pictures=0.02, rests=(0.04, 0.04))
        """
        rest = min(seed_disagreement, disagreement) / 2
        pictures = round(disagreement - 2 * rest, 12)
        return cls((seed_spread**2, seed_spread**2), pictures, (rest, rest))

    @classmethod
    def of(cls, a: TwoWay, b: TwoWay) -> DifferenceVariances:
        """Estimate the variances from the answers of two models.

        A model with a single seed is given the spread of the other; where both have one, nothing is known of the seeds.
        """
        known = [table for table in (a, b) if table.seeds > 1]
        sources = [table if table.seeds > 1 else next(iter(known), table) for table in (a, b)]
        noise = sum(source.rest / table.seeds for source, table in zip(sources, (a, b), strict=True))
        spread = float((a.picture_means - b.picture_means).var())
        seeds = (_between_seeds(sources[0]), _between_seeds(sources[1]))
        return cls(seeds, max(0.0, spread - noise), (sources[0].rest, sources[1].rest))

    def of_means(self, seeds: int, pictures: int) -> tuple[tuple[float, float], float, float]:
        """Return the variances of a difference of means over so many seeds and pictures.

        Returns:
            Those that come from the seeds of each model, the noise of single answers included; that of the pictures;
            and that which would be left if all seeds were equally good.
        """
        noise = [rest / (seeds * pictures) for rest in self.rests]
        of_seeds = (self.seeds[0] / seeds + noise[0], self.seeds[1] / seeds + noise[1])
        of_pictures = self.pictures / pictures
        return of_seeds, of_pictures, of_pictures + sum(noise)

    def power(self, difference: float, seeds: int, pictures: int, level: float = LEVEL) -> float:
        """Return how likely the test of a race finds a true difference, and its direction.

        With several seeds this is integrated over the chi-squared distributions of both models' spread between seeds,
        with the very margin of the test; with one seed each, over the number of pictures on which they disagree, with
        McNemar's exact test. The seeds' luck is in both, though McNemar's test knows nothing of it.

        Args:
            difference: True difference of accuracies, positive.
            seeds: Seeds of each model.
            pictures: Test pictures.
            level: Level of the test.

        Examples:
            >>> steady = DifferenceVariances.assumed(0.1, 0.08, 0.002)
            >>> [round(steady.power(0.01, seeds, 10_000), 2) for seeds in (2, 3, 5)]
            [0.25, 0.77, 0.98]
        """
        if seeds == 1:
            return self._power_of_single_seeds(difference, pictures, level)
        of_seeds, of_pictures, without_spread = self.of_means(seeds, pictures)
        shares, weights = _chi_squared(seeds - 1)
        a, b = of_seeds[0] * shares[:, None], of_seeds[1] * shares[None, :]
        value, freedom = combined_student((a, b), (seeds - 1, seeds - 1), level)
        normal = normal_value(level) ** 2
        squared = normal * of_pictures + squared_margin_of_seeds(a + b, value, freedom, of_pictures, level)
        margin = np.sqrt(np.maximum(squared, normal * LEAST_SHARE * without_spread))
        deviation = math.sqrt(sum(of_seeds) + of_pictures)
        found = (
            scipy.special.ndtr((difference - margin) / deviation) if deviation else (difference > margin).astype(float)
        )
        return float(weights @ found @ weights)

    def _power_of_single_seeds(self, difference: float, pictures: int, level: float) -> float:
        """Return the power of McNemar's exact test, averaged over the luck of one seed each."""
        luck, weights = _normal()
        deviation = math.sqrt(sum(self.seeds))
        noise = self.pictures + sum(self.rests)
        total = 0.0
        for shift, weight in zip(luck, weights, strict=True):
            seen = difference + deviation * shift
            share = min(1.0, max(noise + difference**2, abs(seen)))
            total += weight * _power_of_exact_test(seen, share, pictures, level)
        return total

    def least_difference(self, seeds: int, pictures: int, level: float = LEVEL) -> float:
        """Return the smallest true difference that is found with 80% power; 1 where none is.

        Args:
            seeds: Seeds of each model.
            pictures: Test pictures.
            level: Level of the test; divide 0.05 by the number of pairs to allow for Holm's correction.

        Examples:
            >>> steady = DifferenceVariances.assumed(0.1, 0.08, 0.002)
            >>> [round(steady.least_difference(seeds, 10_000), 4) for seeds in (1, 2, 3, 5)]
            [0.0099, 0.0295, 0.0104, 0.0069]
        """
        if self.power(1.0, seeds, pictures, level) < POWER:
            return 1.0
        return float(
            scipy.optimize.brentq(lambda difference: self.power(difference, seeds, pictures, level) - POWER, 0.0, 1.0)
        )

    def false_alarms(self, pictures: int, level: float = LEVEL) -> float:
        """Return how often McNemar's test of one seed each calls two equally accurate models different."""
        return 2 * self._power_of_single_seeds(0.0, pictures, level)


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
    variances = DifferenceVariances.of(a, b)
    first = max(a.seeds, b.seeds)

    def enough(seeds: int, pictures: int) -> bool:
        return variances.power(difference, seeds, pictures, level) >= POWER

    # A single seed beside several is tested with their spread, which takes two of both to foresee.
    fewest = min(a.seeds, b.seeds) if first == 1 else max(2, min(a.seeds, b.seeds))
    seeds = None
    if first > 1:
        # From the fewer of both, since each is to get as many more. Undecided although these should be enough: luck
        # made the margin wider than is expected here, so one more helps.
        found = _least(lambda seeds: enough(seeds, a.pictures), fewest, MOST_SEEDS)
        seeds = 1 if enough(fewest, a.pictures) else found
    pictures = _least(lambda pictures: enough(fewest, pictures), a.pictures, MOST_PICTURES)
    return MoreWork(seeds=seeds, pictures=pictures)


def _between_seeds(table: TwoWay) -> float:
    """Return the variance of a seed's true accuracy, without the noise of single answers."""
    return max(0.0, table.between_seeds - table.rest / table.pictures)


def _power_of_exact_test(difference: float, disagreement: float, pictures: int, level: float) -> float:
    """Return how likely McNemar's exact test finds a difference and its direction.

    Args:
        difference: Of the two trained networks.
        disagreement: Share of pictures that one of them gets right and the other wrong.
        pictures: Test pictures.
        level: Level of the test.
    """
    if not disagreement:
        return 0.0
    chance = min(1.0, max(0.0, (1 + difference / disagreement) / 2))
    spread = math.sqrt(pictures * disagreement * (1 - disagreement))
    luck, weights = _normal()
    counts = np.unique(np.clip(np.rint(pictures * disagreement + spread * luck), 1, pictures), return_inverse=True)
    discordant = counts[0].astype(np.int64)
    # The largest number of pictures for the second model at which the test still decides for the first.
    most = np.array([_largest_tail(int(count), level / 2) for count in discordant])
    found = np.where(most >= 0, scipy.special.bdtr(np.maximum(most, 0), discordant, 1 - chance), 0.0)
    return float(weights @ found[counts[1].reshape(-1)])


@functools.lru_cache(maxsize=65_536)
def _largest_tail(count: int, level: float) -> int:
    """Return the largest k with P(Binomial(count, 1/2) <= k) <= level, or -1."""
    low, high = -1, count // 2
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if scipy.special.bdtr(middle, count, 0.5) <= level else (low, middle - 1)
    return low


@functools.lru_cache(maxsize=64)
def _chi_squared(freedom: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return values of chi-squared over its degrees of freedom, and their weights, for integration."""
    nodes, weights = np.polynomial.legendre.leggauss(NODES)
    # In the probability itself, which makes every node count alike; the tails are nothing to a power of 80%.
    return scipy.special.chdtri(freedom, (1 - nodes) / 2) / freedom, weights / 2


@functools.lru_cache(maxsize=1)
def _normal() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return values of a standard normal variable, and their weights, for integration."""
    nodes, weights = np.polynomial.legendre.leggauss(NODES // 2)
    return scipy.special.ndtri((1 + nodes) / 2), weights / 2


def _least(enough: Callable[[int], Any], present: int, most: int) -> int | None:
    """Return how many more than `present` are enough, found by bisection, or None when `most` are not."""
    if enough(present) or not enough(most):
        return None
    low, high = present, most
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high - present
