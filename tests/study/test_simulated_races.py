"""Races whose truth is known: how often intervals cover it, equal models stay undecided, and differences are found.

Each claim is tested with few draws, quickly, and once more with many behind `-m slow`. `benchmarks/coverage.py` goes
over a wider grid; `docs/statistics.md` has its figures.
"""

from __future__ import annotations

import itertools
import math
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from photofinish.study.statistics import compare_pair, holm, mean_accuracy, verdict

SLOW = pytest.mark.slow
QUICK, MANY = pytest.param(300, id="quick"), pytest.param(6000, id="many", marks=SLOW)
CIRCUMSTANCES = {
    "steady": {"spread": 0.0005, "pictures": 1000, "shared": 1.0, "own": 0.5},
    "ordinary": {"spread": 0.005, "pictures": 1000, "shared": 1.5, "own": 0.5},
    "unsteady": {"spread": 0.03, "pictures": 1000, "shared": 1.5, "own": 0.5},
    "alike": {"spread": 0.005, "pictures": 500, "shared": 3.0, "own": 0.2},
    "many pictures": {"spread": 0.005, "pictures": 4000, "shared": 1.5, "own": 0.5},
}


def luck(share: float, races: int) -> float:
    """Return by how much a counted share may miss its true value: four standard deviations."""
    return 4 * math.sqrt(share * (1 - share) / races)


@pytest.mark.parametrize("races", [QUICK, MANY])
@pytest.mark.parametrize(("seeds", "most"), [(1, 0.97), (2, 0.983), (3, 0.97), (5, 0.97)])
def test_the_interval_of_an_accuracy_covers_95_percent(
    simulated: ModuleType, seeds: int, most: float, races: int
) -> None:
    for name, circumstances in CIRCUMSTANCES.items():
        # One seed says nothing about seeds: its interval is of the trained network's accuracy.
        regime = simulated.Regime(0.88, **(circumstances | ({"spread": 0.0} if seeds == 1 else {})))
        generator = np.random.default_rng([seeds, races, len(name)])
        estimates = [mean_accuracy(regime.race(generator, (seeds,))[0]) for _ in range(races)]
        covered = sum(one.low <= regime.accuracy <= one.high for one in estimates) / races
        print(f"{seeds} seeds, {name}: {covered:.1%}")
        assert 0.935 - luck(0.935, races) <= covered <= most + luck(most, races), name


@pytest.mark.parametrize("races", [QUICK, MANY])
@pytest.mark.parametrize(("seeds", "most"), [(1, 0.97), (2, 0.986), (3, 0.972), (5, 0.97)])
def test_the_interval_of_a_difference_covers_95_percent_and_so_equal_models_stay_undecided(
    simulated: ModuleType, seeds: int, most: float, races: int
) -> None:
    for name, circumstances in CIRCUMSTANCES.items():
        regime = simulated.Regime(0.88, **(circumstances | ({"spread": 0.0} if seeds == 1 else {})))
        generator = np.random.default_rng([seeds, races, len(name), 1])
        pairs = [compare_pair(*regime.race(generator, (seeds, seeds))) for _ in range(races)]
        covered = sum(pair.low <= 0 <= pair.high for pair in pairs) / races
        undecided = sum(verdict(pair.difference, pair.p_value) == "undecided" for pair in pairs) / races
        print(f"{seeds} seeds, {name}: covered {covered:.1%}, undecided {undecided:.1%}")
        assert 0.95 - luck(0.95, races) <= covered <= most + luck(most, races), name
        assert undecided >= 0.95 - luck(0.95, races), name


@pytest.mark.parametrize("races", [QUICK, MANY])
@pytest.mark.parametrize("seeds", [(3, 3), (5, 2), (2, 6)])
def test_models_of_unequal_steadiness_and_unequal_seeds_stay_undecided_too(
    simulated: ModuleType, seeds: tuple[int, int], races: int
) -> None:
    regime = simulated.Regime(0.88, (0.003, 0.012), 1000)
    generator = np.random.default_rng([*seeds, races])
    undecided = sum(compare_pair(*regime.race(generator, seeds)).p_value >= 0.05 for _ in range(races)) / races
    print(f"{seeds} seeds: undecided {undecided:.1%}")
    # Welch's degrees of freedom are a little too many where one model is several times as unsteady as the other.
    assert undecided >= 0.943 - luck(0.943, races)


@pytest.mark.parametrize("races", [QUICK, MANY])
def test_three_equal_models_are_all_undecided_in_nineteen_of_twenty_races(simulated: ModuleType, races: int) -> None:
    regime = simulated.Regime(0.88, (0.005,) * 3, 1000)
    generator = np.random.default_rng(races)
    undecided = 0
    for _ in range(races):
        tests = [compare_pair(a, b) for a, b in itertools.combinations(regime.race(generator, (3, 3, 3)), 2)]
        adjusted = holm([test.p_value for test in tests])
        undecided += all(verdict(one.difference, p) == "undecided" for one, p in zip(tests, adjusted, strict=True))
    print(f"undecided {undecided / races:.1%}")
    assert undecided / races >= 0.95 - luck(0.95, races)


@pytest.mark.parametrize("races", [pytest.param(100, id="quick"), pytest.param(2000, id="many", marks=SLOW)])
def test_two_points_on_ten_thousand_pictures_are_found_in_nine_of_ten_races(simulated: ModuleType, races: int) -> None:
    # As in a study of ours of networks tuned from ImageNet weights (docs/statistics.md).
    regime = simulated.Regime(**simulated.TUNED)
    share = simulated.found(regime, np.random.default_rng(races), 5, 0.02, races)
    print(f"found {share:.1%}")
    assert share >= 0.9


POWER = {
    "steady": {"accuracy": 0.9, "spread": 0.002, "pictures": 2000},
    "unsteady": {"accuracy": 0.85, "spread": 0.01, "pictures": 1000, "shared": 1.0},
    "unequal": {"accuracy": 0.9, "spread": (0.002, 0.008), "pictures": 2000, "shared": 3.0, "own": 0.3},
}


@pytest.mark.parametrize("races", [pytest.param(400, id="quick"), pytest.param(4000, id="many", marks=SLOW)])
@pytest.mark.parametrize("seeds", [1, 2, 3, 5])
def test_the_difference_that_is_promised_is_found_in_four_of_five_races(
    simulated: ModuleType, seeds: int, races: int
) -> None:
    shares: dict[str, float] = {}
    for name, circumstances in POWER.items():
        regime: Any = simulated.Regime(**circumstances)
        promised = variances(simulated, name).least_difference(seeds, regime.pictures)
        if regime.accuracy + promised / 2 < 0.99:
            generator = np.random.default_rng([seeds, races, len(name)])
            shares[name] = simulated.found(regime, generator, seeds, promised, races)
    print(f"{seeds} seeds: {shares}")
    assert len(shares) > 1
    assert np.mean(list(shares.values())) == pytest.approx(0.8, abs=0.04)
    assert min(shares.values()) >= 0.76 - luck(0.8, races) / 2


@pytest.mark.parametrize(("models", "power"), [(2, (0.76, 0.84)), (3, (0.76, 0.93))])
def test_holms_correction_leaves_the_promised_power(
    simulated: ModuleType, models: int, power: tuple[float, float]
) -> None:
    # The first of three is ahead of both others by what is promised; once one is told apart, the other needs less.
    regime = simulated.Regime(**(POWER["unsteady"] | {"spread": (0.01,) * models}))
    promised = variances(simulated, "unsteady").least_difference(3, regime.pictures, 0.05 / math.comb(models, 2))
    accuracies = (regime.accuracy + promised / 2, *[regime.accuracy - promised / 2] * (models - 1))
    generator = np.random.default_rng(models)
    found = 0
    for _ in range(400):
        answers = regime.race(generator, (3,) * models, accuracies)
        tests = [compare_pair(a, b) for a, b in itertools.combinations(answers, 2)]
        found += verdict(tests[0].difference, holm([test.p_value for test in tests])[0]) == "a"
    assert power[0] <= found / 400 <= power[1]


@pytest.mark.parametrize("difference", [0.02, 0.03])
def test_the_number_of_seeds_that_is_promised_decides_at_about_the_promised_power(
    simulated: ModuleType, difference: float
) -> None:
    regime = simulated.Regime(**POWER["unsteady"])
    own = variances(simulated, "unsteady")
    needed = next(seeds for seeds in range(2, 60) if own.power(difference, seeds, regime.pictures) >= 0.8)
    generator = np.random.default_rng(needed)
    shares = [simulated.found(regime, generator, seeds, difference, 300) for seeds in (needed, max(2, needed - 3))]
    print(f"{needed} seeds decide {shares[0]:.0%}, three fewer {shares[1]:.0%}")
    assert 0.76 <= shares[0] <= 0.90
    assert shares[1] < 0.8


def test_the_number_of_pictures_that_is_promised_decides_at_about_the_promised_power(simulated: ModuleType) -> None:
    circumstances = POWER["steady"] | {"spread": 0.001}
    own = simulated.variances_of(simulated.Regime(**circumstances))
    needed = next(count for count in range(1000, 100_000, 250) if own.power(0.015, 3, count) >= 0.8)
    regime = simulated.Regime(**(circumstances | {"pictures": needed}))
    share = simulated.found(regime, np.random.default_rng(needed), 3, 0.015, 300)
    print(f"{needed} pictures decide {share:.0%}")
    assert 0.75 <= share <= 0.86


_known: dict[str, Any] = {}


def variances(simulated: ModuleType, name: str) -> Any:
    """Return the true variances of a regime; computing them takes longer than using them."""
    if name not in _known:
        _known[name] = simulated.variances_of(simulated.Regime(**POWER[name]))
    return _known[name]
