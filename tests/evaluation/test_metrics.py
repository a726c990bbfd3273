"""Every metric against scikit-learn or SciPy, and every metric through the same invariances."""

from __future__ import annotations

import inspect
from collections.abc import Callable

import numpy as np
import pytest
from scipy.stats import binomtest
from sklearn.metrics import accuracy_score, log_loss, precision_recall_fscore_support
from sklearn.metrics import confusion_matrix as reference_confusions

from photofinish.evaluation import metrics
from photofinish.runs import Predictions

METRICS: dict[str, Callable[[Predictions], object]] = {
    "accuracy": metrics.accuracy,
    "negative_log_likelihood": metrics.negative_log_likelihood,
    "expected_calibration_error": metrics.expected_calibration_error,
    "confusion_matrix": metrics.confusion_matrix,
}
NOT_OF_PREDICTIONS = {"wilson_interval", "class_metrics"}


def some_predictions(examples: int = 300, classes: int = 7, seed: int = 0) -> Predictions:
    generator = np.random.default_rng(seed)
    labels = generator.integers(0, classes, examples).astype(np.int32)
    logits = generator.normal(0, 2, (examples, classes))
    logits[np.arange(examples), labels] += 2
    return Predictions(np.array([f"{index:04}" for index in range(examples)]), labels, logits.astype(np.float32))


def probabilities(predictions: Predictions) -> np.ndarray:
    powers = np.exp(predictions.logits.astype(np.float64))
    return powers / powers.sum(axis=1, keepdims=True)


def test_the_table_of_metrics_is_complete() -> None:
    public = {
        name
        for name, function in inspect.getmembers(metrics, inspect.isfunction)
        if function.__module__ == metrics.__name__ and not name.startswith("_")
    }
    assert public == set(METRICS) | NOT_OF_PREDICTIONS


@pytest.mark.parametrize("name", METRICS)
def test_the_order_of_the_examples_does_not_matter(name: str) -> None:
    predictions = some_predictions()
    order = np.random.default_rng(1).permutation(len(predictions.ids))
    shuffled = Predictions(predictions.ids[order], predictions.labels[order], predictions.logits[order])
    np.testing.assert_allclose(METRICS[name](shuffled), METRICS[name](predictions), rtol=1e-12)


@pytest.mark.parametrize("constant", [-1000.0, 50.0, 1e4])
@pytest.mark.parametrize("name", METRICS)
def test_a_constant_added_to_all_logits_changes_nothing(name: str, constant: float) -> None:
    predictions = some_predictions()
    rounded = Predictions(predictions.ids, predictions.labels, np.round(predictions.logits, 1))
    shifted = Predictions(rounded.ids, rounded.labels, rounded.logits + np.float32(constant))
    # float32 logits near 1e4 are spaced 1e-3 apart.
    np.testing.assert_allclose(METRICS[name](shifted), METRICS[name](rounded), rtol=2e-3, atol=2e-3)


@pytest.mark.parametrize("name", METRICS)
def test_an_empty_split_is_refused(name: str) -> None:
    empty = Predictions(np.array([], dtype=np.str_), np.zeros(0, np.int32), np.zeros((0, 3), np.float32))
    with pytest.raises(ValueError, match="no examples"):
        METRICS[name](empty)


@pytest.mark.parametrize("seed", range(3))
def test_metrics_equal_those_of_scikit_learn(seed: int) -> None:
    predictions = some_predictions(seed=seed)
    classes = range(predictions.logits.shape[1])
    confusions = reference_confusions(predictions.labels, predictions.predicted, labels=classes)
    likelihood = log_loss(predictions.labels, probabilities(predictions), labels=classes)
    assert metrics.accuracy(predictions) == accuracy_score(predictions.labels, predictions.predicted)
    assert metrics.negative_log_likelihood(predictions) == pytest.approx(likelihood, rel=1e-6)
    np.testing.assert_array_equal(metrics.confusion_matrix(predictions), confusions)


def test_the_class_table_equals_that_of_scikit_learn() -> None:
    predictions = some_predictions()
    table = metrics.class_metrics(metrics.confusion_matrix(predictions))
    precision, recall, f1, support = precision_recall_fscore_support(predictions.labels, predictions.predicted)
    np.testing.assert_allclose([row.precision for row in table], precision)
    np.testing.assert_allclose([row.recall for row in table], recall)
    np.testing.assert_allclose([row.f1 for row in table], f1)
    assert [row.support for row in table] == support.tolist()


def test_a_class_without_examples_has_no_recall_instead_of_a_zero() -> None:
    absent, present = metrics.class_metrics(np.array([[0, 0], [0, 5]]))
    assert (absent.recall, absent.recall_low, absent.precision, absent.f1) == (None, None, None, None)
    assert present.recall == 1.0


@pytest.mark.parametrize(("right", "count"), [(0, 10), (1, 10), (90, 100), (100, 100), (9000, 10000)])
def test_wilsons_interval_equals_that_of_scipy(right: int, count: int) -> None:
    reference = binomtest(right, count).proportion_ci(method="wilson")
    assert metrics.wilson_interval(right / count, count) == pytest.approx((reference.low, reference.high), abs=1e-12)


@pytest.mark.parametrize(("share", "count"), [(1.1, 10), (-0.1, 10), (0.5, 0)])
def test_wilsons_interval_refuses_what_is_no_share(share: float, count: float) -> None:
    with pytest.raises(ValueError, match="share="):
        metrics.wilson_interval(share, count)


def test_calibration_error_equals_the_sum_over_bins_written_out() -> None:
    predictions = some_predictions()
    confidence = probabilities(predictions).max(axis=1)
    expected = 0.0
    for lower in range(15):
        members = (confidence > lower / 15) & (confidence <= (lower + 1) / 15)
        if members.any():
            gap = predictions.correct[members].mean() - confidence[members].mean()
            expected += members.mean() * abs(gap)
    assert metrics.expected_calibration_error(predictions) == pytest.approx(expected, abs=1e-6)


def test_a_sure_and_wrong_model_has_a_calibration_error_of_one() -> None:
    logits = np.tile(np.array([[100, 0]], np.float32), (4, 1))
    predictions = Predictions(np.array(list("abcd")), np.ones(4, np.int32), logits)
    assert metrics.expected_calibration_error(predictions) == pytest.approx(1.0)
    assert metrics.negative_log_likelihood(predictions) == pytest.approx(100.0)
