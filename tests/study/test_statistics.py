"""Intervals cover what they promise, equal models stay undecided, exact parts equal their references."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.special import ndtr
from scipy.stats import binomtest, norm, ttest_1samp
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.multitest import multipletests

from photofinish.evaluation.metrics import wilson_interval
from photofinish.study.statistics import (
    POOLED_TEST,
    compare_pair,
    holm,
    mean_accuracy,
    mean_loss,
    seconds_estimate,
    verdict,
)

Answers = NDArray[np.bool_]
RACES = 1000


def two_models(generator: np.random.Generator, seeds: tuple[int, int], pictures: int) -> list[Answers]:
    """Answers of two models, some pictures being easy for both; `test_simulated_races.py` has races of known truth."""
    ease = generator.normal(1.5, 1, pictures)
    own = [ease + generator.normal(0, 0.5, pictures) + generator.normal(0, 0.2, (count, 1)) for count in seeds]
    return [generator.random(chances.shape) < ndtr(chances) for chances in own]


def test_one_seed_has_wilsons_interval() -> None:
    estimate = mean_accuracy(np.arange(200)[None] < 150)
    assert (estimate.low, estimate.high) == wilson_interval(0.75, 200)
    assert estimate.per_seed == (0.75,)


def test_perfect_answers_keep_the_interval_of_their_pictures() -> None:
    estimate = mean_accuracy(np.ones((3, 100), bool))
    assert estimate.mean == estimate.high == 1.0
    assert estimate.low == pytest.approx(wilson_interval(1.0, 100)[0])


def test_many_pictures_leave_the_t_interval_over_seeds() -> None:
    generator = np.random.default_rng(0)
    shares = np.array([0.70, 0.75, 0.83])
    answers = generator.random((3, 400_000)) < shares[:, None]
    reference = ttest_1samp(answers.mean(axis=1), 0).confidence_interval()
    estimate = mean_accuracy(answers)
    assert (estimate.low, estimate.high) == pytest.approx((reference.low, reference.high), abs=1e-3)


def test_repeating_the_same_answers_is_no_new_information_about_pictures() -> None:
    answers = np.random.default_rng(0).random((1, 500)) < 0.8
    once, thrice = mean_accuracy(answers), mean_accuracy(np.repeat(answers, 3, axis=0))
    assert (thrice.low, thrice.high) == pytest.approx((once.low, once.high), abs=1e-3)


def test_the_order_of_pictures_and_seeds_does_not_matter() -> None:
    generator = np.random.default_rng(3)
    first, second = two_models(generator, (3, 3), 300)
    order = generator.permutation(300)
    shuffled = compare_pair(first[::-1][:, order], second[:, order])
    straight = compare_pair(first, second)
    assert shuffled.p_value == pytest.approx(straight.p_value)
    assert (shuffled.low, shuffled.high) == pytest.approx((straight.low, straight.high))


@pytest.mark.parametrize("seeds", [(1, 1), (1, 3), (3, 3), (2, 4)])
def test_exchanging_the_models_turns_the_sign(seeds: tuple[int, int]) -> None:
    first, second = two_models(np.random.default_rng(4), seeds, 300)
    there, back = compare_pair(first, second), compare_pair(second, first)
    assert (back.difference, back.low, back.high) == pytest.approx((-there.difference, -there.high, -there.low))
    assert back.p_value == pytest.approx(there.p_value)


def test_one_seed_each_has_the_p_value_of_mcnemars_exact_test() -> None:
    first, second = two_models(np.random.default_rng(7), (1, 1), 500)
    table = [[np.sum(f & s) for s in (second, ~second)] for f in (first, ~first)]
    assert compare_pair(first, second).p_value == pytest.approx(mcnemar(table, exact=True).pvalue)
    assert binomtest(int(table[0][1]), int(table[0][1] + table[1][0])).pvalue == compare_pair(first, second).p_value


def test_the_interval_of_several_seeds_reaches_zero_at_the_p_value() -> None:
    generator = np.random.default_rng(8)
    for _ in range(50):
        pair = compare_pair(*two_models(generator, (3, 3), 200))
        assert (pair.p_value < 0.05) == (not pair.low <= 0 <= pair.high)


def test_identical_models_have_a_p_value_of_one() -> None:
    answers = np.random.default_rng(0).random((3, 100)) < 0.8
    for seeds in (1, 3):
        pair = compare_pair(answers[:seeds], answers[:seeds])
        assert (pair.difference, pair.p_value) == (0.0, 1.0)
        assert pair.low < 0 < pair.high


def test_a_single_seed_takes_the_spread_of_the_other_model() -> None:
    first, second = two_models(np.random.default_rng(9), (1, 4), 300)
    alone, mixed = compare_pair(first, second[:1]), compare_pair(first, second)
    assert mixed.test == POOLED_TEST
    assert mixed.high - mixed.low > alone.high - alone.low


def test_pairs_of_different_pictures_are_refused() -> None:
    with pytest.raises(ValueError, match="same pictures"):
        compare_pair(np.ones((1, 3), bool), np.ones((1, 4), bool))


@pytest.mark.parametrize("count", [1, 2, 3, 10])
def test_holms_correction_equals_that_of_statsmodels(count: int) -> None:
    p_values = np.random.default_rng(count).random(count) ** 3
    assert holm(p_values.tolist()) == pytest.approx(multipletests(p_values, method="holm")[1])


def test_no_pairs_need_no_correction() -> None:
    assert holm([]) == []


@pytest.mark.parametrize(
    ("difference", "p_adjusted", "expected"),
    [(0.1, 0.049, "a"), (-0.1, 0.049, "b"), (0.1, 0.05, "undecided"), (0.0, 0.0, "undecided")],
)
def test_the_verdict_needs_a_p_value_below_one_in_twenty(difference: float, p_adjusted: float, expected: str) -> None:
    assert verdict(difference, p_adjusted) == expected


@pytest.mark.parametrize(("seeds", "spread"), [(1, 0.0), (2, 0.1), (3, 0.02), (3, 0.3), (5, 0.1)])
def test_the_interval_of_a_skewed_loss_covers_the_truth(seeds: int, spread: float) -> None:
    generator = np.random.default_rng([seeds, round(100 * spread)])
    truth = math.exp(-1 + (0.9**2 + 0.5**2 + spread**2) / 2)
    covered = 0
    for _ in range(RACES):
        pictures, rest = generator.normal(0, 0.9, 400), generator.normal(0, 0.5, (seeds, 400))
        estimate = mean_loss(np.exp(-1 + pictures + rest + generator.normal(0, spread, (seeds, 1))))
        covered += estimate.low <= truth <= estimate.high
    print(f"coverage with {seeds} seeds, spread {spread}: {covered / RACES:.1%}")
    # The losses are log-normal: where the few large ones are missing the interval lies too low. One seed covers 91.6%.
    assert 0.905 <= covered / RACES <= 0.997


def test_a_loss_of_one_seed_has_the_normal_interval_of_its_pictures() -> None:
    losses = np.random.default_rng(0).exponential(size=300)
    estimate = mean_loss(losses[None])
    low, high = norm.interval(0.95, losses.mean(), losses.std(ddof=1) / math.sqrt(300))
    assert (estimate.low, estimate.high) == pytest.approx((low, high))
    assert estimate.per_seed == (pytest.approx(losses.mean()),)


def test_a_loss_of_nothing_has_an_interval_that_begins_at_nothing() -> None:
    assert mean_loss(np.array([[0.0, 0.0, 0.3]])).low == 0.0
    assert mean_loss(np.zeros((2, 5))).high == 0.0


def test_seconds_of_one_seed_have_no_interval() -> None:
    estimate = seconds_estimate([12.5])
    assert (estimate.low, estimate.mean, estimate.high) == (12.5, 12.5, 12.5)


def test_seconds_of_several_seeds_have_the_t_interval() -> None:
    values = [10.0, 11.0, 14.0, 12.0]
    reference = ttest_1samp(values, 0).confidence_interval()
    estimate = seconds_estimate(values)
    assert (estimate.low, estimate.high) == pytest.approx((reference.low, reference.high))


def wrong_on(pictures: int, *places: list[int]) -> NDArray[np.bool_]:
    correct = np.ones((len(places), pictures), bool)
    for seed, wrong in enumerate(places):
        correct[seed, wrong] = False
    return correct


def test_seeds_that_agree_by_chance_do_not_make_an_interval_of_no_width() -> None:
    # Both seeds are wrong on one picture, not the same one: their accuracies have no spread at all, and all of the
    # pictures' spread is noise of single answers. What is left goes by a quarter of the variance of 72 answers.
    estimate = mean_accuracy(wrong_on(36, [3], [5]))
    quarter = wilson_interval(70 / 72, 70 / 72 * 2 / 72 / (0.25 * np.var([0.5, 0.5] + [1.0] * 34, ddof=1) / 36))
    assert (estimate.low, estimate.high) == pytest.approx(quarter)
    assert estimate.mean - estimate.low > 0.01


def test_seeds_that_agree_by_chance_do_not_decide_a_race() -> None:
    pair = compare_pair(wrong_on(100, [1, 2], [3, 4]), wrong_on(100, [5, 6, 7], [8, 9, 10]))
    assert pair.low < 0 < pair.high
    assert pair.p_value > 0.1


def test_the_exact_test_equals_those_of_scipy_and_statsmodels_on_every_small_table() -> None:
    for only_a, only_b in ((0, 0), (1, 0), (0, 5), (3, 11), (20, 7), (200, 251)):
        first = np.array([True] * (50 + only_a) + [False] * (only_b + 10))[None]
        second = np.array([True] * 50 + [False] * only_a + [True] * only_b + [False] * 10)[None]
        p_value = compare_pair(first, second).p_value
        assert p_value == pytest.approx(mcnemar([[50, only_a], [only_b, 10]], exact=True).pvalue)
        if only_a + only_b:
            assert p_value == pytest.approx(binomtest(only_a, only_a + only_b).pvalue)


@pytest.mark.parametrize("count", [1, 2, 3, 10, 45])
def test_verdicts_after_holms_correction_equal_those_of_statsmodels(count: int) -> None:
    # Some are below the level and some are not, and two are the same.
    p_values = np.random.default_rng(count).random(count) ** 5 / 4
    p_values[-1] = p_values[0]
    reject = multipletests(p_values, alpha=0.05, method="holm")[0]
    assert [verdict(0.1, p) == "a" for p in holm(p_values.tolist())] == reject.tolist()
