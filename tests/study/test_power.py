"""Advice on more work, and the power of a test, at their edges. Simulated races test what is promised in between."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import ndtr
from scipy.stats import binom, norm
from statsmodels.stats.contingency_tables import mcnemar

from photofinish.study.power import DifferenceVariances, MoreWork, seeds_to_decide
from photofinish.study.statistics import compare_pair, verdict
from photofinish.study.variance import two_way

ORDINARY = DifferenceVariances.assumed(0.12, 0.1, 0.005)


def test_an_undecided_race_whose_variances_look_sufficient_is_advised_one_more_seed() -> None:
    # Seeds of very different steadiness leave the test one degree of freedom, and three seeds would do on average.
    pictures = np.arange(400)
    first, second = np.stack([pictures < 360] * 2), np.stack([pictures < 328, pictures < 312])
    assert verdict(1, compare_pair(first, second).p_value) == "undecided"
    assert seeds_to_decide(first, second).seeds == 1


def test_no_advice_is_given_where_there_is_no_difference() -> None:
    answers = np.random.default_rng(0).random((3, 100)) < 0.8
    assert seeds_to_decide(answers, answers) == MoreWork(seeds=None, pictures=None)


def test_one_seed_each_says_nothing_about_seeds_but_something_about_pictures() -> None:
    first = np.ones((1, 400), bool)
    first[0, :40] = False
    second = first.copy()
    second[0, 40:60], second[0, :12] = False, True
    work = seeds_to_decide(first, second)
    assert work.seeds is None
    assert work.pictures is not None
    # Where the test already decides on the average, nothing more is needed.
    power = DifferenceVariances.of(two_way(first), two_way(second)).power
    assert power(0.02, 1, 400) < 0.8 <= power(0.02, 1, 400 + work.pictures)
    assert power(0.02, 1, 400 + work.pictures - 40) < 0.8


def test_absurd_amounts_of_work_are_not_advised() -> None:
    generator = np.random.default_rng(2)
    first = generator.random((3, 2000)) < 0.9
    level = first.copy()
    level[0, np.flatnonzero(first[0])[:2]] = False
    assert seeds_to_decide(first, level).seeds is None


@pytest.mark.parametrize("seeds", [1, 2, 3, 5, 10])
def test_power_grows_with_the_difference_the_pictures_and_the_level(seeds: int) -> None:
    by_difference = [ORDINARY.power(difference, seeds, 4000) for difference in (0.0, 0.005, 0.01, 0.02, 0.05, 0.2)]
    by_pictures = [ORDINARY.power(0.02, seeds, pictures) for pictures in (500, 2000, 8000, 100_000)]
    by_level = [ORDINARY.power(0.02, seeds, 4000, level) for level in (0.001, 0.01, 0.05, 0.2)]
    for powers in (by_difference, by_pictures, by_level):
        assert powers == sorted(powers)
    # By chance one of two equal models is called better; of single seeds their luck is most of that chance.
    assert by_difference[0] <= (0.5 if seeds == 1 else 0.026)
    assert by_difference[-1] > 0.8


def test_power_grows_with_seeds_from_two_on_and_the_least_difference_falls() -> None:
    powers = [ORDINARY.power(0.015, seeds, 4000) for seeds in (2, 3, 4, 6, 10, 30)]
    least = [ORDINARY.least_difference(seeds, 4000) for seeds in (2, 3, 4, 6, 10, 30)]
    assert powers == sorted(powers)
    assert least == sorted(least, reverse=True)
    assert [ORDINARY.power(difference, seeds, 4000) for difference, seeds in zip(least[1:3], (3, 4), strict=True)] == (
        pytest.approx([0.8, 0.8], abs=1e-6)
    )


def test_many_seeds_have_the_power_of_the_normal_test() -> None:
    of_seeds, of_pictures, _ = ORDINARY.of_means(400, 4000)
    deviation = (sum(of_seeds) + of_pictures) ** 0.5
    expected = norm.sf(1.96 - 0.005 / deviation)
    assert ORDINARY.power(0.005, 400, 4000) == pytest.approx(expected, abs=0.005)


def test_the_power_of_single_seeds_without_luck_is_that_of_mcnemars_exact_test() -> None:
    """Summed over every table there can be, with statsmodels as the judge of each."""
    steady = DifferenceVariances((0.0, 0.0), pictures=0.3, rests=(0.0, 0.0))
    pictures, difference, level = 60, 0.2, 0.05
    share = 0.3 + difference**2
    chance = (1 + difference / share) / 2
    total = 0.0
    for discordant in range(pictures + 1):
        weight = binom.pmf(discordant, pictures, share)
        if weight < 1e-9:
            continue
        for wins in range(discordant // 2 + 1, discordant + 1):
            found = mcnemar([[0, wins], [discordant - wins, 0]], exact=True).pvalue <= level
            total += weight * binom.pmf(wins, discordant, chance) * found
    assert steady.power(difference, 1, pictures, level) == pytest.approx(total, abs=0.02)


def test_one_seed_each_calls_equal_models_different_the_more_the_seeds_spread() -> None:
    alarms = [DifferenceVariances.assumed(0.12, 0.1, spread).false_alarms(10_000) for spread in (0.0, 0.005, 0.02)]
    assert alarms[0] <= 0.05
    assert 0.3 < alarms[1] < 0.6
    assert alarms[2] > 0.7


def test_a_difference_that_cannot_be_found_is_said_to_be_one() -> None:
    assert DifferenceVariances.assumed(0.5, 0.4, 0.4).least_difference(2, 10) == 1.0


def test_a_model_with_a_single_seed_is_given_the_others_spread() -> None:
    generator = np.random.default_rng(5)
    many = generator.random((4, 500)) < generator.uniform(0.6, 1, 500)
    single = generator.random((1, 500)) < 0.85
    own = DifferenceVariances.of(two_way(single), two_way(many))
    assert own.seeds[0] == own.seeds[1]
    assert own.rests[0] == own.rests[1] == two_way(many).rest


def test_variances_are_those_that_the_answers_were_made_from() -> None:
    generator = np.random.default_rng(6)
    pictures = 40_000
    chances = generator.choice([0.6, 1.0], pictures)
    tables = [two_way(generator.random((5, pictures)) < chances) for _ in range(2)]
    own = DifferenceVariances.of(*tables)
    # Half of the pictures are answered by chance, with variance 0.6 * 0.4; both models find the same ones easy.
    assert own.rests == pytest.approx((0.12, 0.12), rel=0.03)
    assert own.pictures == pytest.approx(0, abs=0.002)
    assert own.seeds == pytest.approx((0, 0), abs=1e-5)


def test_with_unequal_numbers_of_seeds_the_advice_brings_both_to_numbers_that_decide() -> None:
    generator = np.random.default_rng(3)
    level = generator.normal(1.0, 1.0, 1000)
    first = generator.random((2, 1000)) < ndtr(level + 0.12 + generator.normal(0, 0.03, (2, 1)))
    second = generator.random((5, 1000)) < ndtr(level + generator.normal(0, 0.03, (5, 1)))
    more = seeds_to_decide(first, second).seeds
    assert more is not None
    assert more > 1
    variances, difference = DifferenceVariances.of(two_way(first), two_way(second)), abs(first.mean() - second.mean())
    # The first one then has two seeds and as many more.
    assert variances.power(difference, 2 + more, 1000, 0.05) >= 0.8
    assert variances.power(difference, 2 + more - 1, 1000, 0.05) < 0.8
