r"""The margin of error of a mean that varies with few seeds and with many pictures.

The variance of such a mean has two parts. V comes from the seeds and is estimated with few degrees of freedom f, of
which Student's t takes account; c comes from the pictures and is known as good as exactly. Which margin h(V, c) covers
the truth with 95%, whatever V and c really are, is the question of Behrens and Fisher with infinitely many degrees of
freedom on one side. It has no exact answer. Ours is

    h^2 = z^2 (c + V) + (t^2 - z^2) V^2 / (V + k c),
    k = (z^2 - b) / (t^2 - z^2),    b = (f - 1) t^2 / (t^2 + f)

with the normal value z and Student's value t. It is made to be right to first order at both ends. Where c is far above
V it is z^2 (c + V), the first terms of Welch's series; where V is far above c it is t^2 V + b c, and b is the mean of
Z^2 where Z^2 = t^2 V / E[V], the one value with which a little of c changes no coverage. Between the ends, by numerical
integration (`tests/study/test_margins.py` repeats it):

- the interval never covers too little, at any level down to 0.1%, whatever the ratio of V to c; a 95% interval covers
  at most 98.2% with one degree of freedom, 96.7% with two, 95.6% with four;
- it never shrinks when either variance grows. With one degree of freedom no such interval covers less than 97.7% at its
  worst ratio: it can be no narrower than Student's for V alone and the normal one for c alone.

What was tried instead is told in `docs/statistics.md`.

References:
    Welch, "The generalization of 'Student's' problem when several different population variances are involved",
    Biometrika 34 (1947), 28-35: degrees of freedom of a sum of variances, and the series.
    Cochran, "Approximate significance levels of the Behrens-Fisher test", Biometrics 20 (1964), 191-195: the mean of
    Student's values, weighted by the variances.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy

SMALLEST_P_VALUE = 1e-12
TINY = float(np.finfo(float).tiny)
LEAST_SHARE = 0.25
"""Of the variance that a mean would have if all seeds were equally good: no margin goes by less, see `Variances`."""


def normal_value(level: float) -> float:
    """Return the two-sided critical value of the normal distribution."""
    return -float(scipy.special.ndtri(level / 2))


def student_value(freedom: Any, level: float) -> Any:
    """Return the two-sided critical value of Student's t; numbers or arrays."""
    return -scipy.special.stdtrit(freedom, level / 2)


def squared_margin_of_seeds(variance: Any, value: Any, freedom: Any, pictures: Any, level: float) -> Any:
    """Return what the seeds add to the square of a margin; see the module. Numbers or arrays.

    Args:
        variance: V, the variance of the mean that comes from the seeds, as estimated.
        value: t, Student's critical value for it.
        freedom: f, its degrees of freedom.
        pictures: c, the variance that comes from the pictures.
        level: How often the interval may miss the truth.

    Examples:
        >>> alone = squared_margin_of_seeds(1.0, student_value(2, 0.05), 2, 0.0, 0.05)
        >>> round(float(alone) ** 0.5, 3)
        4.303
        >>> beside_many = squared_margin_of_seeds(1.0, student_value(2, 0.05), 2, 1e6, 0.05)
        >>> round(float(beside_many) ** 0.5, 3)
        1.96
    """
    normal, student = normal_value(level) ** 2, value**2
    excess = student - normal
    # Written so that nothing is divided by the excess, which is nothing where the freedom is large or the level is 1.
    damping = np.maximum(normal - (freedom - 1) * student / np.maximum(student + freedom, TINY), 0.0) * pictures
    grown = (excess * variance) ** 2 / np.maximum(excess * variance + damping, TINY)
    return normal * variance + grown


def combined_student(variances: tuple[Any, Any], freedoms: tuple[int, int], level: float) -> tuple[Any, Any]:
    """Return Student's critical value for the sum of two estimated variances, and degrees of freedom for it.

    With equal numbers of seeds Welch's: from as many as one model has, where it alone is unsteady, to as many as both
    have. With unequal ones these are too many when the model with fewer seeds is the unsteady one, and a model whose
    seeds failed usually is; then it is Cochran's mean of both values, weighted by the variances.

    Args:
        variances: Of both models' means; numbers or arrays.
        freedoms: Their degrees of freedom, at least 1.
        level: How often the interval may miss the truth.

    Examples:
        >>> value, freedom = combined_student((1.0, 1.0), (2, 2), 0.05)
        >>> round(float(value), 3), float(freedom)
        (2.776, 4.0)
    """
    a, b = variances
    total = np.maximum(a + b, TINY)
    if freedoms[0] == freedoms[1]:
        share = np.clip(a / total, 0.0, 1.0)
        freedom = freedoms[0] / (share**2 + (1 - share) ** 2)
        return student_value(freedom, level), freedom
    share = np.clip(a / total, 0.0, 1.0)
    values = [student_value(freedom, level) for freedom in freedoms]
    freedom = 1 / (share / freedoms[0] + (1 - share) / freedoms[1])
    return share * values[0] + (1 - share) * values[1], freedom


@dataclass(frozen=True)
class Variances:
    """What the uncertainty of a mean, or of a difference of two means, is made of.

    Attributes:
        seeds: For each model whose spread between seeds was estimated the variance that it gives the mean, and its
            degrees of freedom; one entry, two, or none.
        pictures: Variance that comes from the pictures.
        without_spread: Variance that the mean would have if all seeds of a model were equally good: that of the
            pictures and of the noise of single answers. Seeds of equal accuracy by chance do not make it nothing, so
            that no margin goes by less than a quarter of it. (All of it would be too much: with two seeds the interval
            would then cover 99%.)
    """

    seeds: tuple[tuple[float, int], ...]
    pictures: float
    without_spread: float

    def squared_seed_margin(self, level: float) -> float:
        """Return what the seeds add to the square of the margin."""
        if not self.seeds:
            return 0.0
        total = sum(variance for variance, _ in self.seeds)
        if len(self.seeds) == 1:
            freedom: Any = self.seeds[0][1]
            value = student_value(freedom, level)
        else:
            (a, of_a), (b, of_b) = self.seeds
            value, freedom = combined_student((a, b), (of_a, of_b), level)
        return float(squared_margin_of_seeds(total, value, freedom, self.pictures, level))

    def margin(self, level: float) -> float:
        """Return half the width of the interval that misses the truth with probability `level`."""
        normal = normal_value(level) ** 2
        squared = normal * self.pictures + self.squared_seed_margin(level)
        return math.sqrt(max(squared, normal * LEAST_SHARE * self.without_spread))

    def p_value(self, distance: float) -> float:
        """Return the level at which the interval around an estimate just reaches a value.

        Args:
            distance: How far the value is from the estimate, at least 0.
        """
        if distance == 0:
            return 1.0
        if self.margin(SMALLEST_P_VALUE) <= distance:
            return SMALLEST_P_VALUE

        def beyond(logarithm: float) -> float:
            return self.margin(math.exp(logarithm)) - distance

        return math.exp(scipy.optimize.brentq(beyond, math.log(SMALLEST_P_VALUE), 0.0))
