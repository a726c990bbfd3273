"""How often the intervals cover the truth, how often equal models are told apart, and how often a difference is found.

Command: `python benchmarks/coverage.py [--part PART] [--races 2000] [--study FOLDER]`, all parts unless some are named.

margins    By numerical integration, nothing drawn: the margin of `photofinish.study.margins` and others that were
           tried, over every ratio of the seeds' variance to the pictures'.
seeds      Likewise: the difference of two models of unequal steadiness and numbers of seeds, where pictures add
           nothing, with two rules for Student's value; and of models whose answers differ by noise alone, with several
           floors of the margin.
intervals  By simulated races (`simulated.py`): the intervals of accuracies and of differences, over a grid of regimes.
verdicts   By simulated races: equal models, two and three of them with Holm's correction; and a difference of 2 points
           on 10,000 pictures under the circumstances of two studies of ours.
studies    From finished studies, each named by --study: what models and seeds disagree on, how the seeds spread.
planner    By simulated races: whether what `photofinish plan` promises at 80% is found in 80%.

With --study nothing else is done. Writes `benchmarks/results/<date>-coverage-<part>.json` and prints tables for
`docs/statistics.md`.
"""

from __future__ import annotations

import argparse
import dataclasses
import itertools
import re
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from saving import save
from scipy.interpolate import PchipInterpolator
from scipy.special import ndtr, stdtrit
from scipy.stats import chi2
from simulated import SCRATCH, TUNED, Regime, found, variances_of

from photofinish.evaluation.metrics import accuracy
from photofinish.runs import StudyFolder
from photofinish.study.assumptions import measured_in
from photofinish.study.cells import read_cells, read_plan
from photofinish.study.margins import combined_student, normal_value, squared_margin_of_seeds, student_value
from photofinish.study.statistics import LEVEL, compare_pair, holm, mean_accuracy, verdict

RATIOS = np.concatenate([[0.0], np.geomspace(1e-4, 1e6, 61)])
Margin = Callable[[np.ndarray], np.ndarray]


def chi_squared(freedom: int, count: int = 3001) -> tuple[np.ndarray, np.ndarray]:
    """Return values of chi-squared over its degrees of freedom, far into both tails, and their weights."""
    scores = np.linspace(-8, 8, count)
    weights = np.exp(-(scores**2) / 2)
    return chi2.ppf(ndtr(scores), freedom) / freedom, weights / weights.sum()


def misses(margin: Margin, freedom: int) -> np.ndarray:
    """Return how often the margin misses the truth, for every ratio of the seeds' variance to the pictures' of 1."""
    values, weights = chi_squared(freedom)
    return np.array([(weights * 2 * ndtr(-margin(r * values) / np.sqrt(1 + r))).sum() for r in RATIOS])


def ours(freedom: int, level: float) -> Margin:
    """The margin of the package."""
    normal, student = normal_value(level), student_value(freedom, level)
    return lambda v: np.sqrt(normal**2 + squared_margin_of_seeds(v, student, freedom, 1.0, level))


def quadrature(freedom: int, level: float) -> Margin:
    """Both margins added in quadrature (Zou and Donner 2008), which the package did before."""
    normal, student = normal_value(level), student_value(freedom, level)
    return lambda v: np.sqrt(normal**2 + student**2 * v)


def weighted_mean(freedom: int, level: float) -> Margin:
    """Student's and the normal value averaged by the variances (Cochran 1964)."""
    normal, student = normal_value(level), student_value(freedom, level)
    return lambda v: (normal + student * v) / np.sqrt(1 + v)


def satterthwaite(freedom: int, level: float) -> Margin:
    """Student's value with the degrees of freedom of the sum (Welch 1947, Satterthwaite 1946)."""

    def margin(v: np.ndarray) -> np.ndarray:
        shares = np.maximum(v, 1e-12) / (1 + v)
        return -stdtrit(np.minimum(freedom / shares**2, 1e9), level / 2) * np.sqrt(1 + v)

    return margin


def generalised(freedom: int, level: float) -> Margin:
    """The generalised confidence interval (Burdick, Borror and Montgomery 2005): here that of Behrens and Fisher."""
    values, weights = chi_squared(freedom, 801)

    def one(v: float) -> float:
        deviation, low, high = np.sqrt(1 + v / values), np.log(1e-3), np.log(1e9)
        for _ in range(60):
            middle = (low + high) / 2
            beyond = (weights * 2 * ndtr(-np.exp(middle) / deviation)).sum() > level
            low, high = (middle, high) if beyond else (low, middle)
        return low

    at = np.linspace(np.log(1e-8), np.log(1e9), 140)
    curve = PchipInterpolator(at, [one(v) for v in np.exp(at)])
    return lambda v: np.exp(curve(np.clip(np.log(np.maximum(v, 1e-300)), at[0], at[-1])))


def steep(freedom: int, level: float) -> Margin:
    """A margin that turns from the normal to Student's more steeply, closer to 95% and not monotonic."""
    normal, student = normal_value(level) ** 2, student_value(freedom, level) ** 2
    turn = min(1.0, (1 + 4 / freedom) * normal / student)

    def margin(v: np.ndarray) -> np.ndarray:
        weight = 1 / (1 + (turn / np.maximum(v, 1e-12)) ** 3)
        return np.sqrt(normal * (1 + v) + (student - normal) * v * weight)

    return margin


def least(freedom: int, level: float) -> Margin:
    """The narrowest that never shrinks when a variance grows; it covers too little, and in one place too much."""
    normal, student = normal_value(level), student_value(freedom, level)
    return lambda v: np.maximum(normal, student * np.sqrt(v))


METHODS = {
    "ours": ours,
    "in quadrature": quadrature,
    "weighted mean of t and z": weighted_mean,
    "Welch-Satterthwaite": satterthwaite,
    "generalised interval": generalised,
    "steeper": steep,
    "narrowest that never shrinks": least,
}


def margins(_: int) -> list[dict[str, object]]:
    """Integrate over the spread of the seeds."""
    rows = []
    for level, freedom in itertools.product((0.05, 0.05 / 3, 0.005, 0.001), (1, 2, 4, 8)):
        for name, make in METHODS.items():
            margin = make(freedom, level)
            missed = misses(margin, freedom) / level
            rows.append(
                {
                    "level": level, "freedom": freedom, "method": name, "shrinks_by": shrinks_by(margin),
                    "least_coverage": 1 - level * missed.max(), "most_coverage": 1 - level * missed.min(),
                    "most_false_alarms_over_level": missed.max(),
                }
            )  # fmt: skip
    print("| degrees of freedom | " + " | ".join(METHODS) + " |")
    for freedom in (1, 2, 4, 8):
        own = [row for row in rows if row["level"] == LEVEL and row["freedom"] == freedom]
        cells = [f"{100 * row['least_coverage']:.1f} to {100 * row['most_coverage']:.1f}" for row in own]
        print(f"| {freedom} | " + " | ".join(cells) + " |")
    return rows


def shrinks_by(margin: Margin) -> float:
    """Return by which share the margin shrinks at most while the pictures' variance grows and the seeds' stays at 1."""
    pictures = np.geomspace(1e-4, 1e6, 2001)
    half_widths = np.sqrt(pictures) * margin(1 / pictures)
    return float(1 - (half_widths / np.maximum.accumulate(half_widths)).min())


def seeds(_: int) -> list[dict[str, object]]:
    """Integrate over the spreads of both models' seeds."""
    rules = {"Welch": welch, "Cochran": cochran}
    rows: list[dict[str, object]] = []
    for count, level in itertools.product(((2, 2), (3, 3), (5, 5), (2, 3), (2, 6), (3, 5)), (0.05, 0.005)):
        for (name, rule), ratio in itertools.product(rules.items(), (1e-4, 0.01, 0.04, 0.25, 1, 4, 25, 100, 1e4)):
            a, b, weights = both_spreads(count)
            value, _ = rule((a, ratio * b), (count[0] - 1, count[1] - 1), level)
            missed = 2 * ndtr(-value * np.sqrt((a + ratio * b) / (1 + ratio)))
            rows.append(
                {"seeds": count, "level": level, "rule": name, "ratio": ratio, "coverage": 1 - (weights * missed).sum()}
            )
    print("| seeds | level | " + " | ".join(rules) + " |")
    for count, level in dict.fromkeys((row["seeds"], row["level"]) for row in rows):
        own = [row for row in rows if (row["seeds"], row["level"]) == (count, level)]
        cells = []
        for name in rules:
            covered = [100 * float(row["coverage"]) for row in own if row["rule"] == name]
            cells.append(f"{min(covered):.1f} to {max(covered):.1f}")
        print(f"| {count} | {level} | " + " | ".join(cells) + " |")
    for count, share in itertools.product((2, 3, 5), (0.0, 0.25, 1.0)):
        a, b, weights = both_spreads((count, count))
        value, freedom = combined_student((a / 2, b / 2), (count - 1, count - 1), LEVEL)
        squared = squared_margin_of_seeds((a + b) / 2, value, freedom, 0.0, LEVEL)
        missed = 2 * ndtr(-np.sqrt(np.maximum(squared, share * normal_value(LEVEL) ** 2)))
        rows.append({"seeds": (count, count), "least_share": share, "coverage": 1 - (weights * missed).sum()})
        print(rows[-1])
    return rows


def both_spreads(count: tuple[int, int]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return values of both models' spread over its expectation on a grid, and their weights."""
    (a, of_a), (b, of_b) = (chi_squared(number - 1, 401) for number in count)
    return a[:, None], b[None, :], of_a[:, None] * of_b[None, :]


def welch(variances: tuple[np.ndarray, np.ndarray], freedoms: tuple[int, int], level: float) -> tuple[np.ndarray, None]:
    """Student's value with Welch's degrees of freedom."""
    (a, b), total = variances, variances[0] + variances[1]
    shares = a / total, b / total
    freedom = 1 / (shares[0] ** 2 / freedoms[0] + shares[1] ** 2 / freedoms[1])
    return student_value(freedom, level), None


def cochran(
    variances: tuple[np.ndarray, np.ndarray], freedoms: tuple[int, int], level: float
) -> tuple[np.ndarray, None]:
    """Both models' values, averaged by the variances."""
    a, b = variances
    values = [student_value(freedom, level) for freedom in freedoms]
    return (a * values[0] + b * values[1]) / (a + b), None


REGIMES = [
    Regime(accuracy, spread, pictures, shared, own)
    for accuracy, pictures, spread, (shared, own) in itertools.product(
        (0.7, 0.9, 0.97), (400, 2000, 10_000), (0.0005, 0.003, 0.01, 0.03), ((1.0, 0.5), (3.0, 0.3))
    )
    if spread < (1 - accuracy) / 2
]


def generator_for(*what: object) -> np.random.Generator:
    """Return a generator of random numbers that depends on nothing but what it is for."""
    return np.random.default_rng(zlib.crc32(repr(what).encode()))


def intervals(races: int) -> list[dict[str, object]]:
    """Count how often the intervals cover the truth, over the grid and with models of unequal steadiness."""
    unequal = [
        dataclasses.replace(Regime(0.9, (s, 4 * s), n, 1.5, 0.5)) for s in (0.002, 0.005) for n in (1000, 10_000)
    ]
    rows = []
    for regime, seeds in itertools.product([*REGIMES, *unequal], (1, 2, 3, 5)):
        generator = generator_for(regime, seeds)
        # One seed says nothing about seeds: there the accuracy of the trained network is what is covered.
        fixed = dataclasses.replace(regime, spread=0.0) if seeds == 1 else regime
        # Large test sets take long, and every race of theirs says as much.
        count = max(300, int(races * min(1.0, 2000 / regime.pictures)))
        mean = pair = 0
        for _ in range(count):
            a, b = fixed.race(generator, (seeds, seeds))
            estimate, compared = mean_accuracy(a), compare_pair(a, b)
            mean += estimate.low <= regime.accuracy <= estimate.high
            pair += compared.low <= 0 <= compared.high
        row = {**dataclasses.asdict(regime), "seeds": seeds, "races": count}
        rows.append(row | {"mean": mean / count, "pair": pair / count})
    print("| seeds | accuracy: mean, lowest, highest | difference: mean, lowest, highest |")
    for seeds in (1, 2, 3, 5):
        cells = []
        for what in ("mean", "pair"):
            own = np.array([row[what] for row in rows if row["seeds"] == seeds])
            cells.append(f"{100 * own.mean():.1f}, {100 * own.min():.1f}, {100 * own.max():.1f}")
        print(f"| {seeds} | {cells[0]} | {cells[1]} |")
    return rows


def verdicts(races: int) -> list[dict[str, object]]:
    """Count verdicts between equal models, and between models that differ by 2 points."""
    rows = []
    for name, regime in (("from random values", Regime(**SCRATCH)), ("tuned", Regime(**TUNED))):
        for seeds, models in itertools.product((2, 3, 5, 10), (2, 3)):
            generator = generator_for(name, seeds, models)
            spread = tuple(np.resize(regime.spread, models))
            own = dataclasses.replace(regime, spread=spread)
            count = max(300, races // 4)
            undecided = sum(not any(decided(own.race(generator, [seeds] * models))) for _ in range(count))
            row = {"regime": name, "seeds": seeds, "models": models, "races": count, "undecided": undecided / count}
            if models == 2:
                row["found_2_points"] = found(own, generator, seeds, 0.02, count)
                row["least_difference"] = variances_of(own).least_difference(seeds, own.pictures)
            rows.append(row)
            print(row)
    return rows


def decided(answers: list[np.ndarray]) -> list[bool]:
    """Return which pairs of models are told apart, after Holm's correction."""
    tests = [compare_pair(a, b) for a, b in itertools.combinations(answers, 2)]
    adjusted = holm([test.p_value for test in tests])
    return [verdict(test.difference, p) != "undecided" for test, p in zip(tests, adjusted, strict=True)]


def planner(races: int) -> list[dict[str, object]]:
    """Count how often a difference is found that the planner promises to be found in 80% of races."""
    rows = []
    regimes = {
        "steady": Regime(0.9, 0.002, 4000, 1.5, 0.5),
        "unsteady": Regime(0.85, 0.01, 1000, 1.0, 0.5),
        "unequal": Regime(0.9, (0.002, 0.01), 4000, 3.0, 0.3),
        "small": Regime(0.9, 0.005, 400, 1.5, 0.5),
    }
    for (name, regime), seeds in itertools.product(regimes.items(), (1, 2, 3, 5)):
        difference = variances_of(regime).least_difference(seeds, regime.pictures)
        if regime.accuracy + difference / 2 > 0.99:
            continue
        share = found(regime, generator_for(name, seeds), seeds, difference, races)
        rows.append({"regime": name, "seeds": seeds, "races": races, "promised": difference, "found": share})
        print(rows[-1])
    return rows


def studies(paths: Sequence[Path]) -> list[dict[str, object]]:
    """Return what finished studies say of a race to come, and the accuracy of every seed."""
    rows = []
    for path in paths:
        folder = StudyFolder(path)
        plan = read_plan(folder)
        _, finished = read_cells(folder, plan)
        accuracies: dict[str, list[float]] = {}
        for one in finished:
            accuracies.setdefault(one.cell.model, []).append(accuracy(one.test))
        measured = {name: figure.value for name, figure in measured_in(path.name, finished, ()).items()}
        rows.append(
            {
                "data": plan.data.name, "train": plan.data.train, "test": plan.data.test,
                # Where things lay on one machine is nobody's business.
                "commands": [re.sub(r"(?:/[\w.-]+)+/", "", command) for command in plan.commands],
                "accuracies": accuracies, **measured,
            }
        )  # fmt: skip
        print(rows[-1])
    return rows


PARTS = {"margins": margins, "seeds": seeds, "intervals": intervals, "verdicts": verdicts, "planner": planner}


def main() -> None:
    """Run the parts asked for and write them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--part", choices=PARTS, action="append")
    parser.add_argument("--races", type=int, default=2000)
    parser.add_argument("--study", type=Path, action="append")
    arguments = parser.parse_args()
    if arguments.study:
        print(save("coverage-studies", {"rows": studies(arguments.study)}))
        return
    for name in arguments.part or PARTS:
        print(save(f"coverage-{name}", {"rows": PARTS[name](arguments.races)}))


if __name__ == "__main__":
    main()
