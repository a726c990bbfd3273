"""Figures of one model on one split, from its logits, with NumPy and SciPy alone.

Nothing here needs Keras, so that old results can be analysed anywhere.

Every figure counts every example once, does not depend on the order of the examples, and does not change
when a constant is added to all logits of an example.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import scipy
from numpy.typing import NDArray

from photofinish.runs import Predictions

CALIBRATION_BINS = 15


def accuracy(predictions: Predictions) -> float:
    """Return the share of examples whose highest logit is the true class, between 0 and 1.

    Raises:
        ValueError: There are no examples.

    Examples:
        >>> ids, labels = np.array(["a", "b"]), np.array([0, 1], np.int32)
        >>> accuracy(Predictions(ids, labels, np.array([[2, 1], [2, 1]], np.float32)))
        0.5
    """
    _require_examples(predictions)
    return float(predictions.correct.mean())


def wilson_interval(share: float, count: float, level: float = 0.95) -> tuple[float, float]:
    """Return Wilson's score interval of a share.

    It solves `|share - p| = z sqrt(p (1 - p) / count)` for p, so that it stays within 0 and 1 and has a
    width even where all examples were right.

    Args:
        share: Observed share, between 0 and 1.
        count: Independent examples behind it. It need not be whole: an effective number of examples is one.
        level: Confidence level, between 0 and 1.

    Returns:
        The lower and the upper end, both between 0 and 1.

    Raises:
        ValueError: `share` is not a share or `count` is not positive.

    Examples:
        >>> [round(end, 4) for end in wilson_interval(0.9, 100)]
        [0.8256, 0.9448]

    References:
        Wilson, "Probable inference, the law of succession, and statistical inference", JASA 22 (1927),
        209-212.
    """
    if not 0 <= share <= 1 or not count > 0:
        raise ValueError(f"share={share} must lie between 0 and 1 and count={count} must be positive")
    z_squared = float(scipy.special.ndtri((1 + level) / 2)) ** 2
    centre = (share + z_squared / (2 * count)) / (1 + z_squared / count)
    variance = share * (1 - share) / count + z_squared / (4 * count**2)
    margin = math.sqrt(z_squared * variance) / (1 + z_squared / count)
    return max(0.0, centre - margin), min(1.0, centre + margin)


def log_losses(predictions: Predictions) -> NDArray[np.float64]:
    """Return -log p(true class) of every example, in nats, shape (examples,).

    Raises:
        ValueError: There are no examples.
    """
    _require_examples(predictions)
    scores = scipy.special.log_softmax(predictions.logits.astype(np.float64), axis=1)
    return np.asarray(-scores[np.arange(len(predictions.labels)), predictions.labels])


def negative_log_likelihood(predictions: Predictions) -> float:
    """Return the mean of -log p(true class) over all examples, in nats; zero is perfect.

    Raises:
        ValueError: There are no examples.

    Examples:
        >>> ids, labels = np.array(["a"]), np.array([0], np.int32)
        >>> round(negative_log_likelihood(Predictions(ids, labels, np.zeros((1, 10), np.float32))), 4)
        2.3026
    """
    return float(log_losses(predictions).mean())


def squared_errors(predictions: Predictions) -> NDArray[np.float64]:
    """Return `sum over classes of (probability - 1 where true, else 0)^2` of every example, shape (examples,).

    Raises:
        ValueError: There are no examples.
    """
    _require_examples(predictions)
    distances = scipy.special.softmax(predictions.logits.astype(np.float64), axis=1)
    distances[np.arange(len(predictions.labels)), predictions.labels] -= 1
    return np.asarray(np.square(distances).sum(axis=1))


def brier_score(predictions: Predictions) -> float:
    """Return the mean squared distance between probabilities and truth, between 0 (perfect) and 2.

    This is Brier's own score, summed over all classes. For two classes it is twice what some libraries report.

    Raises:
        ValueError: There are no examples.

    Examples:
        >>> ids, labels = np.array(["a"]), np.array([0], np.int32)
        >>> round(brier_score(Predictions(ids, labels, np.zeros((1, 10), np.float32))), 4)
        0.9

    References:
        Brier, "Verification of forecasts expressed in terms of probability", Monthly Weather Review 78 (1950), 1-3.
    """
    return float(squared_errors(predictions).mean())


def expected_calibration_error(predictions: Predictions, bins: int = CALIBRATION_BINS) -> float:
    """Return how far confidence is from accuracy on average, between 0 (calibrated) and 1.

    The examples are put into `bins` bins of equal width by the probability of their predicted class; the
    result is `sum over bins of (examples in bin / examples) * |accuracy in bin - mean confidence in bin|`. A
    bin includes its upper end.

    Args:
        predictions: Logits and labels.
        bins: Number of bins over the confidences 0 to 1.

    Raises:
        ValueError: There are no examples.

    References:
        Guo, Pleiss, Sun and Weinberger, "On calibration of modern neural networks", ICML 2017, section 2.
    """
    confidence = confidences(predictions)
    surplus = np.bincount(bins_of(confidence, bins), weights=predictions.correct - confidence, minlength=bins)
    return float(np.abs(surplus).sum() / len(confidence))


def confidences(predictions: Predictions) -> NDArray[np.float64]:
    """Return the probability of the predicted class of every example, shape (examples,).

    Raises:
        ValueError: There are no examples.
    """
    _require_examples(predictions)
    return np.asarray(np.exp(scipy.special.log_softmax(predictions.logits.astype(np.float64), axis=1).max(axis=1)))


def bins_of(confidence: NDArray[np.float64], bins: int = CALIBRATION_BINS) -> NDArray[np.int64]:
    """Return the bin of equal width over 0 to 1 that each confidence lies in; a bin includes its upper end."""
    return np.clip(np.ceil(confidence * bins).astype(np.int64) - 1, 0, bins - 1)


def confusion_matrix(predictions: Predictions) -> NDArray[np.int64]:
    """Return how often each true class (row) was predicted as each class (column), shape (classes, classes).

    Raises:
        ValueError: There are no examples.
    """
    _require_examples(predictions)
    classes = predictions.logits.shape[1]
    cell = predictions.labels.astype(np.int64) * classes + predictions.predicted
    return np.bincount(cell, minlength=classes**2).reshape(classes, classes)


@dataclass(frozen=True)
class ClassMetrics:
    """One class of a confusion matrix; a share with nothing to divide by is None.

    Attributes:
        support: Examples of the class.
        precision: Share of the examples predicted as this class that belong to it.
        recall: Share of the examples of this class that were found.
        recall_low: Lower end of Wilson's 95% interval of the recall.
        recall_high: Upper end.
        f1: Harmonic mean of precision and recall; 0 when the class was never predicted rightly.
    """

    support: int
    precision: float | None
    recall: float | None
    recall_low: float | None
    recall_high: float | None
    f1: float | None


def class_metrics(confusions: NDArray[np.int64]) -> list[ClassMetrics]:
    """Return precision, recall and F1 of every class, in label order.

    Args:
        confusions: Counts, rows true and columns predicted, shape (classes, classes).

    Examples:
        >>> first, second = class_metrics(np.array([[8, 2], [0, 0]]))
        >>> first.precision, first.recall, second.precision, second.recall
        (1.0, 0.8, 0.0, None)
    """
    table = []
    for label, row in enumerate(confusions):
        right, support, predicted = int(row[label]), int(row.sum()), int(confusions[:, label].sum())
        low, high = wilson_interval(right / support, support) if support else (None, None)
        table.append(
            ClassMetrics(
                support=support,
                precision=right / predicted if predicted else None,
                recall=right / support if support else None,
                recall_low=low,
                recall_high=high,
                f1=2 * right / (support + predicted) if support + predicted else None,
            )
        )
    return table


def _require_examples(predictions: Predictions) -> None:
    if len(predictions.ids) == 0:
        raise ValueError("there are no examples to measure; the split is empty")
