"""Races whose truth is known: the answers of several models with several seeds on the same made-up pictures.

Seed k of model m is right on picture n with probability

    Phi(level[m] + shared[n] + own[m, n] + seed[m, k]),

independently of all else, where `shared` is how easy a picture is for every model, `own` how easy it is for one, and
`seed` how well a training went; all three are normal. The level is chosen so that the model's true accuracy, the mean
over all pictures and all seeds there could be, is exactly the one asked for. The tests use the same races.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

from photofinish.study.power import DifferenceVariances
from photofinish.study.statistics import compare_pair, verdict
from photofinish.study.variance import two_way

Answers = NDArray[np.bool_]

# Two studies of ours, each with five seeds of two models and 10,000 test pictures (docs/statistics.md): trained from
# random values, and tuned from ImageNet weights.
SCRATCH = {"accuracy": 0.32, "spread": (0.010, 0.0175), "pictures": 10_000, "shared": 1.0, "own": 0.4}
TUNED = {"accuracy": 0.75, "spread": (0.003, 0.003), "pictures": 10_000, "shared": 1.6, "own": 0.5}


@dataclass(frozen=True)
class Regime:
    """Circumstances of a race.

    Attributes:
        accuracy: True accuracy of every model, unless told otherwise.
        spread: Standard deviation of a seed's true accuracy, for one model or for each.
        pictures: Number of test pictures.
        shared: Spread of how easy a picture is for every model; the noise of a single answer is 1.
        own: Spread of how easy a picture is for one model and not for the others.
    """

    accuracy: float = 0.85
    spread: float | tuple[float, ...] = 0.005
    pictures: int = 1000
    shared: float = 1.5
    own: float = 0.5

    @property
    def noise(self) -> float:
        """Spread of what decides an answer when the seed is given."""
        return math.sqrt(1 + self.shared**2 + self.own**2)

    def spread_of(self, model: int, accuracy: float) -> float:
        """Return the standard deviation of `seed` that gives a model the wanted spread of accuracies."""
        spread = self.spread if isinstance(self.spread, float | int) else self.spread[model]
        slope = math.exp(-(float(ndtri(accuracy)) ** 2) / 2) / math.sqrt(2 * math.pi)
        return spread * self.noise / slope

    def race(
        self, generator: np.random.Generator, seeds: Sequence[int], accuracies: Sequence[float] | None = None
    ) -> list[Answers]:
        """Return whether each seed of each model was right on each picture, shape (seeds, pictures) each.

        Args:
            generator: Where the luck comes from.
            seeds: Number of seeds of each model.
            accuracies: True accuracy of each model; None gives all the regime's.
        """
        shared = generator.normal(0, self.shared, self.pictures)
        answers = []
        for model, count in enumerate(seeds):
            accuracy = self.accuracy if accuracies is None else accuracies[model]
            spread = self.spread_of(model, accuracy)
            level = float(ndtri(accuracy)) * math.hypot(self.noise, spread)
            ease = level + shared + generator.normal(0, self.own, self.pictures)
            chances = ndtr(ease + generator.normal(0, spread, (count, 1)))
            answers.append(generator.random((count, self.pictures)) < chances)
        return answers


def variances_of(regime: Regime, pictures: int = 200_000) -> DifferenceVariances:
    """Return the true variances of a difference between two models, to three digits: from very many pictures."""
    many = dataclasses.replace(regime, spread=0.0, pictures=pictures)
    a, b = (two_way(answers) for answers in many.race(np.random.default_rng(1), (4, 4)))
    estimated = DifferenceVariances.of(a, b)
    spreads = (regime.spread, regime.spread) if isinstance(regime.spread, float | int) else regime.spread
    return dataclasses.replace(estimated, seeds=(spreads[0] ** 2, spreads[1] ** 2))


def found(regime: Regime, generator: np.random.Generator, seeds: int, difference: float, races: int) -> float:
    """Return in which share of races a true difference is found, with its direction."""
    accuracies = (regime.accuracy + difference / 2, regime.accuracy - difference / 2)
    decided = 0
    for _ in range(races):
        pair = compare_pair(*regime.race(generator, (seeds, seeds), accuracies))
        decided += verdict(pair.difference, pair.p_value) == "a"
    return decided / races
