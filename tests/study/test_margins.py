"""The margin of a mean over few seeds and many pictures, held against integrals instead of draws."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import ndtr
from scipy.stats import chi2, norm, t, ttest_ind_from_stats

from photofinish.study.margins import (
    SMALLEST_P_VALUE,
    Variances,
    combined_student,
    squared_margin_of_seeds,
    student_value,
)

RATIOS = np.concatenate([[0.0], np.geomspace(1e-4, 1e6, 41)])
SCORES = np.linspace(-8, 8, 1001)
WEIGHTS = norm.pdf(SCORES) / norm.pdf(SCORES).sum()


def misses(freedom: int, level: float) -> np.ndarray:
    """Return how often the margin misses the truth, over its level, for each ratio of seeds' to pictures' variance."""
    spread = chi2.ppf(ndtr(SCORES), freedom) / freedom
    value = student_value(freedom, level)
    shares = []
    for ratio in RATIOS:
        squared = norm.ppf(level / 2) ** 2 + squared_margin_of_seeds(ratio * spread, value, freedom, 1.0, level)
        shares.append((WEIGHTS * 2 * ndtr(-np.sqrt(squared / (1 + ratio)))).sum() / level)
    return np.array(shares)


@pytest.mark.parametrize(("freedom", "most"), [(1, 0.983), (2, 0.967), (3, 0.960), (4, 0.956), (8, 0.952)])
def test_the_interval_covers_95_percent_whatever_the_seeds_and_the_pictures_contribute(
    freedom: int, most: float
) -> None:
    coverage = 1 - 0.05 * misses(freedom, 0.05)
    assert 0.9499 <= coverage.min() <= coverage.max() <= most


@pytest.mark.parametrize("freedom", [1, 2, 4, 8, 18])
@pytest.mark.parametrize("level", [0.2, 0.05 / 3, 0.005, 0.001])
def test_false_alarms_are_never_more_than_the_level_allows(freedom: int, level: float) -> None:
    assert misses(freedom, level).max() <= 1.001


@pytest.mark.parametrize("ratio", [1e-4, 1e4])
def test_both_ends_are_right_to_first_order(ratio: float) -> None:
    # Of a ratio of 1e-4 only the square is left as an error: the miss rate is 5% to more digits than the ratio has.
    spread = chi2.ppf(ndtr(SCORES), 3) / 3
    value = student_value(3, 0.05)
    squared = norm.ppf(0.025) ** 2 + squared_margin_of_seeds(ratio * spread, value, 3, 1.0, 0.05)
    share = (WEIGHTS * 2 * ndtr(-np.sqrt(squared / (1 + ratio)))).sum()
    assert share == pytest.approx(0.05, rel=1e-5)


def test_without_pictures_it_is_students_interval_and_without_seeds_the_normal_one() -> None:
    seeds_alone = Variances(((4.0, 2),), pictures=0.0, without_spread=0.0)
    assert seeds_alone.margin(0.05) == pytest.approx(2 * t.ppf(0.975, 2))
    assert seeds_alone.p_value(3.0) == pytest.approx(2 * t.sf(1.5, 2), rel=1e-6)
    pictures_alone = Variances(((0.0, 2),), pictures=4.0, without_spread=4.0)
    assert pictures_alone.margin(0.05) == pytest.approx(2 * norm.ppf(0.975))
    assert Variances((), 4.0, 4.0).p_value(3.0) == pytest.approx(2 * norm.sf(1.5), rel=1e-6)


@given(a=st.floats(1e-6, 1e6), b=st.floats(1e-6, 1e6), seeds=st.integers(2, 10))
def test_two_models_with_equal_seeds_have_welchs_test(a: float, b: float, seeds: int) -> None:
    own = Variances(((a / seeds, seeds - 1), (b / seeds, seeds - 1)), pictures=0.0, without_spread=0.0)
    distance = 1.3 * (a / seeds + b / seeds) ** 0.5
    welch = ttest_ind_from_stats(distance, a**0.5, seeds, 0.0, b**0.5, seeds, equal_var=False)
    assert own.p_value(distance) == pytest.approx(welch.pvalue, rel=1e-5)


def test_with_unequal_seeds_the_value_lies_between_those_of_both_models() -> None:
    for share in (0.0, 0.3, 1.0):
        value, freedom = combined_student((share, 1 - share), (1, 4), 0.05)
        assert float(value) == pytest.approx(share * t.ppf(0.975, 1) + (1 - share) * t.ppf(0.975, 4))
        assert 1 <= freedom <= 4


@given(
    seeds=st.floats(0, 1), pictures=st.floats(0, 1), noise=st.floats(1e-9, 1), freedom=st.integers(1, 9),
    distance=st.floats(1e-3, 2),
)  # fmt: skip
def test_more_variance_or_a_smaller_level_never_narrows_it(
    seeds: float, pictures: float, noise: float, freedom: int, distance: float
) -> None:
    own = Variances(((seeds, freedom),), pictures, pictures + noise)
    margins = [own.margin(level) for level in (0.9, 0.2, 0.05, 0.01, 1e-4)]
    assert margins == sorted(margins)
    more_seeds = Variances(((1.1 * seeds, freedom),), pictures, own.without_spread)
    more_pictures = Variances(own.seeds, 1.1 * pictures, 1.1 * pictures + noise)
    assert min(more.margin(0.05) for more in (more_seeds, more_pictures)) >= own.margin(0.05) * (1 - 1e-12)
    p_value = own.p_value(distance)
    assert SMALLEST_P_VALUE <= p_value <= 1
    assert (own.margin(0.05) < distance) == (p_value < 0.05)


def test_seeds_that_agree_by_chance_leave_half_the_margin_of_what_is_known_to_vary() -> None:
    agreed = Variances(((0.0, 1), (0.0, 1)), pictures=0.0, without_spread=4.0)
    assert agreed.margin(0.05) == pytest.approx(norm.ppf(0.975))


@pytest.mark.parametrize("freedoms", list(itertools.product((1, 3), (1, 2))))
def test_exchanging_the_models_changes_nothing(freedoms: tuple[int, int]) -> None:
    there = Variances(((0.2, freedoms[0]), (0.5, freedoms[1])), 0.1, 0.3)
    back = Variances(((0.5, freedoms[1]), (0.2, freedoms[0])), 0.1, 0.3)
    assert there.margin(0.02) == pytest.approx(back.margin(0.02))
