"""How far a model's confidence can be believed, and what one temperature mends, with NumPy and SciPy alone.

The probabilities of a network are mostly too sure of themselves. Dividing its logits by one number, the temperature,
changes no answer and brings confidence near to accuracy. The temperature is fitted on validation predictions and judged
on test predictions.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import scipy
from numpy.typing import NDArray

from photofinish.errors import StudyError
from photofinish.evaluation.metrics import (
    CALIBRATION_BINS,
    bins_of,
    brier_score,
    confidences,
    expected_calibration_error,
    negative_log_likelihood,
    wilson_interval,
)
from photofinish.runs import Predictions, RunFolder

LOWEST_TEMPERATURE, HIGHEST_TEMPERATURE = 1e-3, 1e3
"""Where no finite temperature is best the search ends here; logits of any usual scale stay far from both."""
CHANCE_DRAWS = 400


@dataclass(frozen=True)
class ReliabilityBin:
    """The answers whose confidence lies in one bin.

    Attributes:
        count: Answers in the bin, over all seeds.
        confidence: Their mean confidence.
        accuracy: Share of them that is right.
        low: Lower end of Wilson's 95% interval of the accuracy.
        high: Upper end.
    """

    count: int
    confidence: float
    accuracy: float
    low: float
    high: float


def reliability_bins(*seeds: Predictions, bins: int = CALIBRATION_BINS) -> list[ReliabilityBin | None]:
    """Return how often answers were right beside how sure the model was of them.

    The bins are those of `expected_calibration_error`. Several seeds answer the same pictures, so their answers are not
    independent: for the interval a picture counts once, however many seeds there are, which is too careful where the
    seeds differ.

    Args:
        seeds: Predictions of the same pictures by one or more seeds.
        bins: Number of bins of equal width over the confidences 0 to 1.

    Returns:
        The bins from the least confidence to the most; None for one without answers.

    Raises:
        ValueError: There are no examples.

    Examples:
        >>> ids, labels = np.array(["a", "b"]), np.array([0, 1], np.int32)
        >>> sure = reliability_bins(Predictions(ids, labels, np.array([[9, 0], [9, 0]], np.float32)))[-1]
        >>> sure.count, round(sure.confidence, 3), sure.accuracy
        (2, 1.0, 0.5)

    References:
        DeGroot and Fienberg, "The comparison and evaluation of forecasters", The Statistician 32 (1983), 12-22.
    """
    confidence = np.concatenate([confidences(one) for one in seeds])
    correct = np.concatenate([one.correct for one in seeds])
    bin_of = bins_of(confidence, bins)
    table: list[ReliabilityBin | None] = []
    for place in range(bins):
        members = bin_of == place
        count = int(members.sum())
        if not count:
            table.append(None)
            continue
        accuracy = float(correct[members].mean())
        low, high = wilson_interval(accuracy, count / len(seeds))
        table.append(ReliabilityBin(count, float(confidence[members].mean()), accuracy, low, high))
    return table


def calibration_error_by_chance(predictions: Predictions, bins: int = CALIBRATION_BINS) -> float:
    """Return the calibration error that 95% of perfectly calibrated models with these confidences stay below.

    With few pictures the error of a perfect model is far from zero, because the share of right answers in a bin varies
    by chance. Answers are drawn as right with the probability that the model gave them, 400 times from a fixed seed,
    and the 95th percentile of the errors is returned: a measured error below it is no evidence against the model.

    Args:
        predictions: Logits and labels; the labels do not matter.
        bins: Number of bins of equal width.

    Raises:
        ValueError: There are no examples.

    Examples:
        >>> few = Predictions(np.arange(20).astype(str), np.zeros(20, np.int32), np.tile(np.float32([1, 0]), (20, 1)))
        >>> 0.1 < calibration_error_by_chance(few) < 0.25
        True

    References:
        Vaicenavicius et al., "Evaluating model calibration in classification", AISTATS 2019, after
        Broecker and Smith, "Increasing the reliability of reliability diagrams", Weather and Forecasting 22 (2007).
    """
    # Sorted, so that the order of the examples does not decide who gets which draw.
    confidence = np.sort(confidences(predictions))
    starts = np.flatnonzero(np.diff(bins_of(confidence, bins), prepend=-1))
    generator = np.random.default_rng(0)
    errors = []
    for _ in range(CHANCE_DRAWS):
        right = generator.random(len(confidence)) < confidence
        errors.append(np.abs(np.add.reduceat(right - confidence, starts)).sum() / len(confidence))
    return float(np.quantile(errors, 0.95))


def fit_temperature(validation: Predictions) -> float:
    """Return the temperature by which a model's logits are to be divided, fitted on validation predictions.

    It minimises the negative log-likelihood, which is convex in 1 / temperature: its slope

        mean over examples of (expected logit under softmax(logits / temperature) - logit of the true class)

    rises with 1 / temperature, and its root is found by Brent's method within 0.001 to 1000. The likelihood on these
    predictions is never worse than with a temperature of 1.

    Where every example is right the likelihood improves without end as the temperature falls, and says nothing of how
    sure the model may be. The temperature then makes the mean confidence equal to the accuracy by Laplace's rule of
    succession, `(n + 1) / (n + 2)` for n examples, and is never above 1.

    Args:
        validation: Predictions of pictures that the model was not trained on.

    Raises:
        ValueError: There are no examples, or some logits are not finite.

    Examples:
        >>> ids, labels = np.arange(4).astype(str), np.array([0, 0, 0, 1], np.int32)
        >>> three_of_four = Predictions(ids, labels, np.tile(np.float32([4 * np.log(3), 0]), (4, 1)))
        >>> round(fit_temperature(three_of_four), 3)
        4.0

    References:
        Guo, Pleiss, Sun and Weinberger, "On calibration of modern neural networks", ICML 2017, section 4.2.
    """
    if len(validation.ids) == 0:
        raise ValueError("there are no examples to fit a temperature on; the validation split is empty")
    logits = validation.logits.astype(np.float64)
    if not np.isfinite(logits).all():
        raise ValueError("some logits are not finite numbers, so no temperature can be fitted")
    logits -= logits.max(axis=1, keepdims=True)
    of_true = logits[np.arange(len(logits)), validation.labels]

    def slope(log_inverse: float) -> float:
        # The highest logit is zero, so nothing overflows.
        powers = np.exp(math.exp(log_inverse) * logits)
        return float((np.einsum("ec,ec->e", powers, logits) / powers.sum(axis=1) - of_true).mean())

    if _is_separable(logits, of_true):
        return _temperature_of_the_infallible(logits)
    sharpest, flattest = -math.log(LOWEST_TEMPERATURE), -math.log(HIGHEST_TEMPERATURE)
    if slope(sharpest) <= 0:
        return LOWEST_TEMPERATURE
    if slope(flattest) >= 0:
        return HIGHEST_TEMPERATURE
    return math.exp(-scipy.optimize.brentq(slope, flattest, sharpest, xtol=1e-9))


def stored_temperature(folder: RunFolder) -> float | None:
    """Fit the temperature on a run's validation predictions.

    Args:
        folder: Of a finished run.

    Returns:
        The temperature, or None where these predictions were not kept.

    Raises:
        StudyError: They are damaged.
    """
    path = folder.predictions("validation")
    if not path.exists():
        return None
    try:
        return fit_temperature(Predictions.read(path))
    except ValueError as error:
        raise StudyError(f"{path}: {error}; run the same command again to replace it") from error


def is_at_bound(temperature: float) -> bool:
    """Say whether the search for a temperature ended at its bound, so that it is no measurement.

    Examples:
        >>> is_at_bound(HIGHEST_TEMPERATURE), is_at_bound(2.5)
        (True, False)
    """
    return not LOWEST_TEMPERATURE < temperature < HIGHEST_TEMPERATURE


def bound_in_words(temperature: float) -> str:
    """Say what a temperature at a bound of its search means, nothing of one between them.

    Examples:
        >>> bound_in_words(HIGHEST_TEMPERATURE)[:67]
        'the higher the temperature, the better the validation log loss: the'
    """
    if temperature >= HIGHEST_TEMPERATURE:
        return (
            "the higher the temperature, the better the validation log loss: the confidence says nothing about being "
            "right"
        )
    if temperature <= LOWEST_TEMPERATURE:
        return (
            "the lower the temperature, the better the validation log loss: hardly any answer is wrong, and the logits "
            "lie so close together that the confidence does not show it"
        )
    return ""


def _is_separable(logits: NDArray[np.float64], of_true: NDArray[np.float64]) -> bool:
    """Say whether no class beats the true one anywhere, so that no temperature is low enough for the likelihood."""
    return bool((of_true >= logits.max(axis=1)).all())


def _temperature_of_the_infallible(logits: NDArray[np.float64]) -> float:
    """Return the temperature at which mean confidence is what the number of examples can vouch for."""
    target = (len(logits) + 1) / (len(logits) + 2)

    def surplus(log_inverse: float) -> float:
        return float((1 / np.exp(math.exp(log_inverse) * logits).sum(axis=1)).mean()) - target

    sharpest = -math.log(LOWEST_TEMPERATURE)
    # Sure enough already, or never sure, because classes tie.
    if surplus(0.0) >= 0 or surplus(sharpest) <= 0:
        return 1.0
    return math.exp(-scipy.optimize.brentq(surplus, 0.0, sharpest, xtol=1e-9))


def with_temperature(predictions: Predictions, temperature: float) -> Predictions:
    """Return predictions whose logits are divided by a temperature; no answer changes.

    The logits become float64: two of them that differ in float32 differ still.

    Args:
        predictions: Logits and labels.
        temperature: Positive; above 1 makes the model less sure, below 1 surer.

    Raises:
        ValueError: The temperature is not positive and finite.
    """
    if not 0 < temperature < math.inf:
        raise ValueError(f"temperature={temperature} must be positive and finite")
    return Predictions(predictions.ids, predictions.labels, predictions.logits.astype(np.float64) / temperature)


@dataclass(frozen=True)
class CalibrationFigures:
    """How well the probabilities of one trained model fit the truth.

    Attributes:
        ece: Expected calibration error, 15 bins of equal width.
        ece_by_chance: What 95% of perfectly calibrated models stay below, see `calibration_error_by_chance`.
        nll: Negative log-likelihood in nats.
        brier: Brier score, between 0 and 2.
    """

    ece: float
    ece_by_chance: float
    nll: float
    brier: float

    @classmethod
    def of(cls, predictions: Predictions) -> CalibrationFigures:
        """Measure predictions as they are."""
        return cls(
            ece=expected_calibration_error(predictions),
            ece_by_chance=calibration_error_by_chance(predictions),
            nll=negative_log_likelihood(predictions),
            brier=brier_score(predictions),
        )
