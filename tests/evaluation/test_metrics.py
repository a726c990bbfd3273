"""Every metric against scikit-learn or SciPy, and every metric through the same invariances."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import astuple

import numpy as np
import pytest
from scipy.stats import binomtest
from sklearn.metrics import accuracy_score, brier_score_loss, log_loss, precision_recall_fscore_support
from sklearn.metrics import confusion_matrix as reference_confusions

from photofinish.evaluation import calibration, metrics
from photofinish.runs import Predictions


def bins_as_table(predictions: Predictions) -> np.ndarray:
    return np.array([astuple(one) if one else (0.0,) * 5 for one in calibration.reliability_bins(predictions)])


METRICS: dict[str, Callable[[Predictions], object]] = {
    "accuracy": metrics.accuracy,
    "brier_score": metrics.brier_score,
    "calibration_error_by_chance": calibration.calibration_error_by_chance,
    "confusion_matrix": metrics.confusion_matrix,
    "expected_calibration_error": metrics.expected_calibration_error,
    "fit_temperature": calibration.fit_temperature,
    "negative_log_likelihood": metrics.negative_log_likelihood,
    "reliability_bins": bins_as_table,
}
"""Figures of all examples together."""

OF_EACH_EXAMPLE: dict[str, Callable[[Predictions], np.ndarray]] = {
    "confidences": metrics.confidences,
    "log_losses": metrics.log_losses,
    "squared_errors": metrics.squared_errors,
}
NOT_OF_PREDICTIONS = {
    "bound_in_words",
    "is_at_bound",
    "stored_temperature",
    "bins_of",
    "class_metrics",
    "wilson_interval",
    "with_temperature",
}
KEEPS_COUNTS = {"confusion_matrix", "reliability_bins"}
DEPENDS_ON_THE_NUMBER_OF_EXAMPLES = {"calibration_error_by_chance"}
KEEPS_CLASSES = {"confusion_matrix"}


def some_predictions(examples: int = 300, classes: int = 7, seed: int = 0) -> Predictions:
    generator = np.random.default_rng(seed)
    labels = generator.integers(0, classes, examples).astype(np.int32)
    logits = generator.normal(0, 2, (examples, classes))
    logits[np.arange(examples), labels] += 2
    return Predictions(np.array([f"{index:04}" for index in range(examples)]), labels, logits.astype(np.float32))


def probabilities(predictions: Predictions) -> np.ndarray:
    powers = np.exp(predictions.logits.astype(np.float64))
    return powers / powers.sum(axis=1, keepdims=True)


def taken(predictions: Predictions, places: np.ndarray) -> Predictions:
    return Predictions(predictions.ids[places], predictions.labels[places], predictions.logits[places])


def test_the_table_of_metrics_is_complete() -> None:
    public = {
        name
        for module in (metrics, calibration)
        for name, function in inspect.getmembers(module, inspect.isfunction)
        if function.__module__ == module.__name__ and not name.startswith("_")
    }
    assert public == set(METRICS) | set(OF_EACH_EXAMPLE) | NOT_OF_PREDICTIONS


@pytest.mark.parametrize("name", METRICS)
def test_the_order_of_the_examples_does_not_matter(name: str) -> None:
    predictions = some_predictions()
    order = np.random.default_rng(1).permutation(len(predictions.ids))
    # The temperature is a root that is found to 1e-9.
    np.testing.assert_allclose(METRICS[name](taken(predictions, order)), METRICS[name](predictions), rtol=1e-8)


@pytest.mark.parametrize("name", OF_EACH_EXAMPLE)
def test_the_figure_of_an_example_does_not_depend_on_the_others(name: str) -> None:
    predictions = some_predictions()
    some = np.random.default_rng(1).permutation(len(predictions.ids))[:50]
    together = OF_EACH_EXAMPLE[name](predictions)[some]
    np.testing.assert_allclose(OF_EACH_EXAMPLE[name](taken(predictions, some)), together, rtol=1e-12)


@pytest.mark.parametrize("name", [name for name in METRICS if name not in DEPENDS_ON_THE_NUMBER_OF_EXAMPLES])
def test_the_same_examples_twice_change_counts_and_intervals_alone(name: str) -> None:
    predictions = some_predictions()
    twice = taken(predictions, np.tile(np.arange(len(predictions.ids)), 2))
    once, doubled = np.array(METRICS[name](predictions)), np.array(METRICS[name](twice))
    if name == "reliability_bins":
        np.testing.assert_allclose(doubled[:, 0], 2 * once[:, 0])
        np.testing.assert_allclose(doubled[:, 1:3], once[:, 1:3])
    else:
        np.testing.assert_allclose(doubled, (1 + (name in KEEPS_COUNTS)) * once, rtol=1e-8)


@pytest.mark.parametrize("name", METRICS)
def test_the_order_of_the_classes_does_not_matter(name: str) -> None:
    predictions = some_predictions()
    order = np.random.default_rng(2).permutation(predictions.logits.shape[1])
    labels = np.argsort(order)[predictions.labels].astype(np.int32)
    renamed = Predictions(predictions.ids, labels, predictions.logits[:, order])
    expected = np.array(METRICS[name](predictions))
    if name in KEEPS_CLASSES:
        expected = expected[np.ix_(order, order)]
    np.testing.assert_allclose(METRICS[name](renamed), expected, rtol=1e-8)


@pytest.mark.parametrize("constant", [-1000.0, 50.0, 1e4])
@pytest.mark.parametrize("name", [*METRICS, *OF_EACH_EXAMPLE])
def test_a_constant_added_to_all_logits_changes_nothing(name: str, constant: float) -> None:
    metric = (METRICS | OF_EACH_EXAMPLE)[name]
    predictions = some_predictions()
    # Quarters are exact in float32 up to 2e6.
    rounded = Predictions(predictions.ids, predictions.labels, np.round(4 * predictions.logits) / 4)
    shifted = Predictions(rounded.ids, rounded.labels, rounded.logits + np.float32(constant))
    np.testing.assert_allclose(metric(shifted), metric(rounded), rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize("name", [*METRICS, *OF_EACH_EXAMPLE])
def test_a_metric_leaves_its_input_as_it_was(name: str) -> None:
    predictions, before = some_predictions(), some_predictions()
    (METRICS | OF_EACH_EXAMPLE)[name](predictions)
    assert (predictions.logits == before.logits).all()
    assert (predictions.labels == before.labels).all()


@pytest.mark.parametrize("name", [*METRICS, *OF_EACH_EXAMPLE])
def test_an_empty_split_is_refused(name: str) -> None:
    empty = Predictions(np.array([], dtype=np.str_), np.zeros(0, np.int32), np.zeros((0, 3), np.float32))
    with pytest.raises(ValueError, match="no examples"):
        (METRICS | OF_EACH_EXAMPLE)[name](empty)


@pytest.mark.parametrize("seed", range(3))
def test_metrics_equal_those_of_scikit_learn(seed: int) -> None:
    predictions = some_predictions(seed=seed)
    classes = range(predictions.logits.shape[1])
    confusions = reference_confusions(predictions.labels, predictions.predicted, labels=classes)
    likelihood = log_loss(predictions.labels, probabilities(predictions), labels=classes)
    assert metrics.accuracy(predictions) == accuracy_score(predictions.labels, predictions.predicted)
    assert metrics.negative_log_likelihood(predictions) == pytest.approx(likelihood, rel=1e-6)
    brier = brier_score_loss(predictions.labels, probabilities(predictions), labels=classes, scale_by_half=False)
    assert metrics.brier_score(predictions) == pytest.approx(brier, rel=1e-6)
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
    assert metrics.brier_score(predictions) == pytest.approx(2.0)
