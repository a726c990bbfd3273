"""Intervals and tests for accuracies and losses measured with few seeds on many pictures.

Two things differ from one race to the next: the seeds, of which there are two to five, and the test
pictures. A bootstrap over so few seeds is too sure of itself. Here the variance of an accuracy, or of a difference, is
taken apart (`variance.py`), and both parts are put into one margin that covers the truth with 95% whichever of them is
the larger (`margins.py`). `docs/statistics.md` tells how it is done, how often it is right, and what was tried before.

References:
    Owen, "The pigeonhole bootstrap", Annals of Applied Statistics 1 (2007), 386-411, on random rows and
    columns.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import scipy
from numpy.typing import NDArray

from photofinish.evaluation.metrics import wilson_interval
from photofinish.study.margins import LEAST_SHARE, Variances, student_value
from photofinish.study.results import Estimate
from photofinish.study.variance import TwoWay, two_way

LEVEL = 0.05
EXACT_TEST = "exact McNemar test"
POOLED_TEST = "t test over seeds and pictures, paired by picture; the single seed's spread taken from the other model"
SEVERAL_SEEDS_TEST = "t test over seeds and pictures, paired by picture"


def mean_accuracy(correct: NDArray[np.bool_]) -> Estimate:
    """Return the accuracy over seeds and pictures with a 95% interval that covers both.

    One seed: Wilson's interval, which says nothing about the training noise. Several seeds: the pictures' margin is
    Wilson's for an effective number of pictures, the one at which a share would vary as the mean over pictures does
    (Korn and Graubard, Survey Methodology 24 (1998), 193-201), and the seeds' margin joins it as `margins.py` says. The
    noise of single answers is in the variance of both and is taken out of that of the pictures. The interval is clipped
    to 0 and 1.

    Args:
        correct: Whether each seed was right on each picture, shape (seeds, pictures).

    Raises:
        ValueError: The table is empty.

    Examples:
        >>> one = mean_accuracy(np.arange(100)[None] < 90)
        >>> round(one.low, 4), one.mean, round(one.high, 4)
        (0.8256, 0.9, 0.9448)
    """
    table = two_way(correct)
    per_seed = tuple(float(value) for value in correct.mean(axis=1))
    whole = _variance_of_picture_means(table)
    pictures = max(0.0, whole - table.rest_part)
    low, high = wilson_interval(table.mean, _effective_pictures(table, pictures))
    if table.seeds > 1:
        variances = Variances(((table.seed_part, table.seeds - 1),), pictures, whole)
        seed_margin = math.sqrt(variances.squared_seed_margin(LEVEL))
        low = max(0.0, table.mean - math.hypot(seed_margin, table.mean - low))
        high = min(1.0, table.mean + math.hypot(seed_margin, high - table.mean))
        least = wilson_interval(table.mean, _effective_pictures(table, LEAST_SHARE * whole))
        low, high = min(low, least[0]), max(high, least[1])
    return Estimate(mean=table.mean, low=low, high=high, per_seed=per_seed)


def mean_loss(losses: NDArray[np.float64]) -> Estimate:
    """Return the mean of a loss over seeds and pictures with a 95% interval that covers both.

    As `mean_accuracy`, with a normal margin for the pictures in place of Wilson's: a loss is no share. The interval
    does not reach below zero. Where a few pictures have most of the loss it is too sure of itself: with one seed and
    400 pictures of log-normal losses it covered 92% (`tests/study/test_statistics.py`).

    Args:
        losses: What each seed lost on each picture, never negative, shape (seeds, pictures).

    Raises:
        ValueError: The table is empty.

    Examples:
        >>> one = mean_loss(np.tile([0.0, 2.0], 50)[None])
        >>> round(one.low, 3), one.mean, round(one.high, 3)
        (0.803, 1.0, 1.197)
    """
    table = two_way(losses)
    per_seed = tuple(float(value) for value in losses.mean(axis=1))
    spread = float(table.picture_means.var(ddof=1)) / table.pictures if table.pictures > 1 else 0.0
    seeds = ((table.seed_part, table.seeds - 1),) if table.seeds > 1 else ()
    margin = Variances(seeds, max(0.0, spread - table.rest_part), spread).margin(LEVEL)
    return Estimate(mean=table.mean, low=max(0.0, table.mean - margin), high=table.mean + margin, per_seed=per_seed)


def seconds_estimate(values: Sequence[float]) -> Estimate:
    """Return the mean of one positive figure per seed with its 95% t interval; one seed has no interval.

    Args:
        values: One figure per seed, such as seconds.

    Raises:
        ValueError: There are no values.

    Examples:
        >>> estimate = seconds_estimate([10.0, 12.0, 14.0])
        >>> round(estimate.low, 2), estimate.mean, round(estimate.high, 2)
        (7.03, 12.0, 16.97)
    """
    if not values:
        raise ValueError("an estimate needs at least one seed")
    mean = float(np.mean(values))
    margin = 0.0
    if len(values) > 1:
        margin = float(student_value(len(values) - 1, LEVEL)) * float(np.std(values, ddof=1)) / math.sqrt(len(values))
    return Estimate(mean=mean, low=max(0.0, mean - margin), high=mean + margin, per_seed=tuple(values))


@dataclass(frozen=True)
class PairTest:
    """Two models on the same pictures.

    Attributes:
        difference: Accuracy of the first minus accuracy of the second.
        low: Lower end of its 95% interval.
        high: Upper end.
        p_value: Of the hypothesis that both are equally accurate, not below 1e-12 for several seeds.
        test: The test behind the p-value, in words.
    """

    difference: float
    low: float
    high: float
    p_value: float
    test: str


def compare_pair(correct_a: NDArray[np.bool_], correct_b: NDArray[np.bool_]) -> PairTest:
    """Compare two models on the same pictures; the numbers of seeds may differ.

    The pictures' part is paired: two pseudo-pictures are added to the differences per picture, one of them
    split between both models, after Agresti and Min (Statistics in Medicine 24 (2005), 729-740). With one
    seed each that is their interval, and the p-value is that of McNemar's exact test. With several seeds the
    seeds' margin of both models joins as `margins.py` says, and the p-value is the level at which the interval
    reaches zero. A model with a single seed is given the other's spread between seeds, the only one known.

    Args:
        correct_a: Whether each seed of the first model was right on each picture, shape (seeds, pictures).
        correct_b: The same for the second model, with the same pictures in the same order.

    Raises:
        ValueError: The tables are empty or do not have the same number of pictures.

    Examples:
        >>> pictures = np.arange(200)[None]
        >>> pair = compare_pair(pictures < 180, pictures < 150)
        >>> [round(value, 3) for value in (pair.difference, pair.low, pair.high)], pair.test
        ([0.15, 0.099, 0.199], 'exact McNemar test')
    """
    a, b = _same_pictures(correct_a, correct_b)
    centre, variances = _of_difference(a, b)
    margin = variances.margin(LEVEL)
    if a.seeds == b.seeds == 1:
        only_a = int((correct_a[0] & ~correct_b[0]).sum())
        discordant = int((correct_a[0] != correct_b[0]).sum())

        p_value = float(scipy.stats.binomtest(only_a, discordant).pvalue) if discordant else 1.0
        test = EXACT_TEST
    else:
        p_value = variances.p_value(abs(centre))
        test = POOLED_TEST if 1 in (a.seeds, b.seeds) else SEVERAL_SEEDS_TEST
    low, high = max(-1.0, centre - margin), min(1.0, centre + margin)
    return PairTest(difference=a.mean - b.mean, low=low, high=high, p_value=p_value, test=test)


def holm(p_values: Sequence[float]) -> list[float]:
    """Return the p-values adjusted by Holm's step-down method, in the order given.

    References:
        Holm, "A simple sequentially rejective multiple test procedure", Scandinavian Journal of Statistics 6
        (1979).

    Examples:
        >>> holm([0.01, 0.04, 0.03])
        [0.03, 0.06, 0.06]
    """
    adjusted = [0.0] * len(p_values)
    largest = 0.0
    for rank, index in enumerate(sorted(range(len(p_values)), key=lambda index: p_values[index])):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[index]))
        adjusted[index] = largest
    return adjusted


def verdict(difference: float, p_adjusted: float) -> Literal["a", "b", "undecided"]:
    """Return which of a pair is more accurate at a family-wise level of 5%.

    Examples:
        >>> verdict(-0.02, 0.01), verdict(-0.02, 0.06)
        ('b', 'undecided')
    """
    if p_adjusted >= LEVEL or difference == 0:
        return "undecided"
    return "a" if difference > 0 else "b"


def _of_difference(a: TwoWay, b: TwoWay) -> tuple[float, Variances]:
    """Return a difference, drawn towards zero by the pseudo-pictures, and its variances; see `compare_pair`."""
    differences = a.picture_means - b.picture_means
    pictures = len(differences) + 2
    centre = float(differences.sum()) / pictures
    whole = ((float(differences @ differences) + 1) / pictures - centre**2) / pictures
    rest = a.rest_part + b.rest_part
    if a.seeds == 1 and b.seeds == 1:
        seeds: tuple[tuple[float, int], ...] = ()
    elif a.seeds == 1 or b.seeds == 1:
        known = b if a.seeds == 1 else a
        seeds = ((known.between_seeds * (1 + 1 / known.seeds), known.seeds - 1),)
        rest = known.rest_part * (1 + known.seeds)
    else:
        seeds = ((a.seed_part, a.seeds - 1), (b.seed_part, b.seeds - 1))
    return centre, Variances(seeds, max(0.0, whole - rest), whole)


def _variance_of_picture_means(table: TwoWay) -> float:
    """Return the variance of the mean over pictures, the noise of single answers included."""
    if table.seeds == 1 or table.pictures == 1:
        return table.mean * (1 - table.mean) / table.pictures
    return float(table.picture_means.var(ddof=1)) / table.pictures


def _effective_pictures(table: TwoWay, variance: float) -> float:
    """Return how many independent pictures make a share vary by this variance."""
    binomial = table.mean * (1 - table.mean)
    # Where nothing varies, or less than a share of so many pictures could, the pictures themselves are counted.
    return max(float(table.pictures), binomial / max(variance, 1e-12)) if binomial else float(table.pictures)


def _same_pictures(correct_a: NDArray[np.bool_], correct_b: NDArray[np.bool_]) -> tuple[TwoWay, TwoWay]:
    if correct_a.shape[-1] != correct_b.shape[-1]:
        raise ValueError(f"a pair needs the same pictures: {correct_a.shape[-1]} are not {correct_b.shape[-1]}")
    return two_way(correct_a), two_way(correct_b)
