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
from photofinish.study.power import MoreWork, seeds_to_decide
from photofinish.study.statistics import (
    POOLED_TEST,
    compare_pair,
    holm,
    mean_accuracy,
    mean_loss,
    seconds_estimate,
    verdict,
)

RACES = 1000
TRUE_ACCURACY = 0.85
DIFFICULTY, OWN_DIFFICULTY = 1.0, 0.5
Answers = NDArray[np.bool_]


def simulated_race(
    generator: np.random.Generator, seeds: tuple[int, int], pictures: int, spreads: tuple[float, float]
) -> tuple[Answers, Answers]:
    """Two models of equal true accuracy: P(right) = Phi(level + picture + picture for this model + seed)."""
    shared = generator.normal(0, DIFFICULTY, pictures)
    answers = []
    for count, spread in zip(seeds, spreads, strict=True):
        scale = math.sqrt(1 + DIFFICULTY**2 + OWN_DIFFICULTY**2 + spread**2)
        level = 1.0364334 * scale  # Phi(1.0364334) = 0.85
        own = generator.normal(0, OWN_DIFFICULTY, pictures)
        seed = generator.normal(0, spread, (count, 1))
        answers.append(generator.random((count, pictures)) < ndtr(level + shared + own + seed))
    return answers[0], answers[1]


@pytest.mark.parametrize("spread", [0.03, 0.15], ids=["steady", "unsteady"])
@pytest.mark.parametrize("pictures", [300, 1000])
@pytest.mark.parametrize("seeds", [2, 3, 5])
def test_the_interval_of_the_mean_accuracy_covers_the_truth(seeds: int, pictures: int, spread: float) -> None:
    generator = np.random.default_rng([seeds, pictures, round(spread * 100)])
    covered = 0
    for _ in range(RACES):
        estimate = mean_accuracy(simulated_race(generator, (seeds, 1), pictures, (spread, 0))[0])
        covered += estimate.low <= TRUE_ACCURACY <= estimate.high
    print(f"coverage with {seeds} seeds, {pictures} pictures, spread {spread}: {covered / RACES:.1%}")
    # Two seeds have one degree of freedom between them, and what is honest then is wide: 99.5% with 300 pictures and
    # a steady model, where one race in a hundred would otherwise get an interval of no width and miss.
    assert 0.93 <= covered / RACES <= (0.997 if seeds == 2 else 0.99)


@pytest.mark.parametrize(
    ("seeds", "spreads"),
    [
        ((1, 1), (0, 0)),
        ((2, 2), (0.1, 0.1)),
        ((3, 3), (0.03, 0.03)),
        ((3, 3), (0.15, 0.15)),
        ((5, 3), (0.03, 0.2)),
    ],
)
def test_equal_models_are_undecided_in_nineteen_of_twenty_races(
    seeds: tuple[int, int], spreads: tuple[float, float]
) -> None:
    generator = np.random.default_rng([*seeds, round(sum(spreads) * 100)])
    undecided = covered = 0
    for _ in range(RACES):
        pair = compare_pair(*simulated_race(generator, seeds, 400, spreads))
        undecided += verdict(pair.difference, pair.p_value) == "undecided"
        covered += pair.low <= 0 <= pair.high
    print(f"{seeds} seeds, spreads {spreads}: undecided {undecided / RACES:.1%}, covered {covered / RACES:.1%}")
    assert undecided / RACES >= 0.935
    assert covered / RACES >= 0.935


def test_three_equal_models_are_all_undecided_in_nineteen_of_twenty_races() -> None:
    generator = np.random.default_rng(5)
    undecided = 0
    for _ in range(RACES):
        first, second = simulated_race(generator, (3, 6), 400, (0.05, 0.05))
        entrants = [first, second[:3], second[3:]]
        pairs = [compare_pair(entrants[i], entrants[j]) for i, j in ((0, 1), (0, 2), (1, 2))]
        adjusted = holm([pair.p_value for pair in pairs])
        undecided += all(verdict(pair.difference, p) == "undecided" for pair, p in zip(pairs, adjusted, strict=True))
    assert undecided / RACES >= 0.94


def test_a_clear_difference_is_found_in_most_races() -> None:
    generator = np.random.default_rng(6)
    found = 0
    for _ in range(100):
        first, second = simulated_race(generator, (3, 3), 1000, (0.02, 0.02))
        worse = second & (generator.random(second.shape) < 0.9)
        pair = compare_pair(first, worse)
        found += verdict(pair.difference, pair.p_value) == "a"
    assert found >= 95


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
    first, second = simulated_race(generator, (3, 3), 300, (0.1, 0.1))
    order = generator.permutation(300)
    shuffled = compare_pair(first[::-1][:, order], second[:, order])
    straight = compare_pair(first, second)
    assert shuffled.p_value == pytest.approx(straight.p_value)
    assert (shuffled.low, shuffled.high) == pytest.approx((straight.low, straight.high))


@pytest.mark.parametrize("seeds", [(1, 1), (1, 3), (3, 3), (2, 4)])
def test_exchanging_the_models_turns_the_sign(seeds: tuple[int, int]) -> None:
    first, second = simulated_race(np.random.default_rng(4), seeds, 300, (0.1, 0.1))
    there, back = compare_pair(first, second), compare_pair(second, first)
    assert (back.difference, back.low, back.high) == pytest.approx((-there.difference, -there.high, -there.low))
    assert back.p_value == pytest.approx(there.p_value)


def test_one_seed_each_has_the_p_value_of_mcnemars_exact_test() -> None:
    first, second = simulated_race(np.random.default_rng(7), (1, 1), 500, (0.0, 0.4))
    table = [[np.sum(f & s) for s in (second, ~second)] for f in (first, ~first)]
    assert compare_pair(first, second).p_value == pytest.approx(mcnemar(table, exact=True).pvalue)
    assert binomtest(int(table[0][1]), int(table[0][1] + table[1][0])).pvalue == compare_pair(first, second).p_value


def test_the_interval_of_several_seeds_reaches_zero_at_the_p_value() -> None:
    generator = np.random.default_rng(8)
    for _ in range(50):
        pair = compare_pair(*simulated_race(generator, (3, 3), 200, (0.2, 0.0)))
        assert (pair.p_value < 0.05) == (not pair.low <= 0 <= pair.high)


def test_identical_models_have_a_p_value_of_one() -> None:
    answers = np.random.default_rng(0).random((3, 100)) < 0.8
    for seeds in (1, 3):
        pair = compare_pair(answers[:seeds], answers[:seeds])
        assert (pair.difference, pair.p_value) == (0.0, 1.0)
        assert pair.low < 0 < pair.high


def test_a_single_seed_takes_the_spread_of_the_other_model() -> None:
    first, second = simulated_race(np.random.default_rng(9), (1, 4), 300, (0.3, 0.3))
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


def test_the_promised_number_of_seeds_settles_four_of_five_races() -> None:
    generator = np.random.default_rng(10)

    def race(seeds: int) -> tuple[Answers, Answers]:
        first, second = simulated_race(generator, (seeds, seeds), 2000, (0.15, 0.15))
        return first, second & (np.arange(2000) % 25 > 0)

    # The advice of one race varies with its luck; the median over races is what the variances imply.
    advice = [seeds_to_decide(*race(3)).seeds for _ in range(60)]
    needed = 3 + round(float(np.median([50 if seeds is None else seeds for seeds in advice])))
    decided = sum(compare_pair(*race(needed)).p_value < 0.05 for _ in range(100))
    print(f"{needed} seeds settle {decided}% of the races")
    assert 60 <= decided <= 97


def test_an_undecided_race_whose_variances_look_sufficient_is_advised_one_more_seed() -> None:
    # Seeds of very different steadiness leave the test one degree of freedom, and the estimate expects two.
    pictures = np.arange(400)
    first, second = np.stack([pictures < 360] * 2), np.stack([pictures < 328, pictures < 312])
    assert verdict(1, compare_pair(first, second).p_value) == "undecided"
    assert seeds_to_decide(first, second).seeds == 1


def test_no_advice_is_given_where_there_is_no_difference() -> None:
    answers = np.random.default_rng(0).random((3, 100)) < 0.8
    assert seeds_to_decide(answers, answers) == MoreWork(seeds=None, pictures=None)


def test_one_seed_each_says_nothing_about_seeds_but_something_about_pictures() -> None:
    generator = np.random.default_rng(1)
    first, second = simulated_race(generator, (1, 1), 400, (0, 0))
    second[0, :12] = ~first[0, :12] & second[0, :12]
    work = seeds_to_decide(first, second)
    assert work.seeds is None
    assert work.pictures is None or work.pictures > 0


def test_absurd_amounts_of_work_are_not_advised() -> None:
    first, second = simulated_race(np.random.default_rng(2), (3, 3), 2000, (0.3, 0.3))
    level = second.copy()
    level[:, :] = first
    level[0, np.flatnonzero(first[0])[:2]] = False
    assert seeds_to_decide(first, level).seeds is None


def wrong_on(pictures: int, *places: list[int]) -> NDArray[np.bool_]:
    correct = np.ones((len(places), pictures), bool)
    for seed, wrong in enumerate(places):
        correct[seed, wrong] = False
    return correct


def test_seeds_that_agree_by_chance_do_not_make_an_interval_of_no_width() -> None:
    # Both seeds are wrong on one picture, not the same one: their accuracies have no spread at all.
    estimate = mean_accuracy(wrong_on(36, [3], [5]))
    assert (estimate.low, estimate.high) == pytest.approx(wilson_interval(70 / 72, 72))


def test_seeds_that_agree_by_chance_do_not_decide_a_race() -> None:
    pair = compare_pair(wrong_on(100, [1, 2], [3, 4]), wrong_on(100, [5, 6, 7], [8, 9, 10]))
    assert pair.low < 0 < pair.high
    assert pair.p_value > 0.1
