"""How much of an accuracy's spread comes from the seeds and how much from the pictures.

A model is trained K times and every time classifies the same N pictures. Let y[k, n] be 1 where seed k is
right on picture n, or the loss of seed k on it. With random seeds and random pictures,

    y[k, n] = accuracy + seed[k] + picture[n] + rest[k, n],
    Var(mean of y) = seed variance / K + picture variance / N + rest variance / (K N).

The mean squares of this two-way table estimate the three parts without bias (Searle, Casella and McCulloch,
"Variance Components", Wiley 1992, section 4.3).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class TwoWay:
    """The mean of a table of seeds x pictures and the variances around it.

    Attributes:
        seeds: Number of seeds K.
        pictures: Number of pictures N.
        mean: Accuracy, or mean loss, over all seeds and pictures.
        picture_means: Mean of each picture over the seeds, shape (pictures,).
        between_seeds: Sample variance of the seeds' means, or 0 for one seed. Its expectation is the
            seed variance + rest variance / N: it holds the rest already.
        rest: Variance left when seed and picture are taken out, or 0 for one seed.
    """

    seeds: int
    pictures: int
    mean: float
    picture_means: NDArray[np.float64]
    between_seeds: float
    rest: float

    @property
    def seed_part(self) -> float:
        """Variance of the mean that comes from the seeds, the rest included."""
        return self.between_seeds / self.seeds

    @property
    def rest_part(self) -> float:
        """Variance of the mean from the rest; `seed_part` and the picture means' variance both hold it."""
        return self.rest / (self.seeds * self.pictures)


def two_way(answers: NDArray[np.bool_] | NDArray[np.float64]) -> TwoWay:
    """Analyse a table of right and wrong answers, or of losses.

    Args:
        answers: Whether each seed was right on each picture, or its loss on it, shape (seeds, pictures).

    Raises:
        ValueError: The table is not two-dimensional or is empty.

    Examples:
        >>> table = two_way(np.array([[True, True, False, False], [True, True, True, False]]))
        >>> table.mean, table.between_seeds, round(table.rest, 4)
        (0.625, 0.03125, 0.125)
    """
    if answers.ndim != 2 or answers.size == 0:
        raise ValueError(f"expected a table of seeds x pictures that is not empty, not an array of {answers.shape}")
    seeds, pictures = answers.shape
    values = answers.astype(np.float64)
    mean, seed_means, picture_means = values.mean(), values.mean(axis=1), values.mean(axis=0)
    between_seeds = rest = 0.0
    if seeds > 1:
        between_seeds = float(seed_means.var(ddof=1))
    if seeds > 1 and pictures > 1:
        residuals = values - seed_means[:, None] - picture_means + mean
        rest = float(np.square(residuals).sum() / ((seeds - 1) * (pictures - 1)))
    return TwoWay(seeds, pictures, float(mean), picture_means, between_seeds, rest)
