"""Temperatures are found, mend what they should and spoil nothing; bins count every answer."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.optimize import minimize_scalar
from scipy.special import softmax

from photofinish.evaluation.calibration import (
    HIGHEST_TEMPERATURE,
    LOWEST_TEMPERATURE,
    CalibrationFigures,
    calibration_error_by_chance,
    fit_temperature,
    reliability_bins,
    with_temperature,
)
from photofinish.evaluation.metrics import (
    confidences,
    expected_calibration_error,
    negative_log_likelihood,
    wilson_interval,
)
from photofinish.runs import Predictions


def calibrated(examples: int, seed: int, classes: int = 5, spread: float = 2.0) -> Predictions:
    """Labels drawn with the very probabilities that the logits give."""
    generator = np.random.default_rng(seed)
    logits = generator.normal(0, spread, (examples, classes))
    shares = softmax(logits, axis=1).cumsum(axis=1)
    labels = (generator.random(examples)[:, None] > shares[:, :-1]).sum(axis=1)
    return of(labels, logits)


def of(labels: object, logits: object) -> Predictions:
    array = np.asarray(logits)
    return Predictions(np.arange(len(array)).astype(np.str_), np.asarray(labels, np.int32), array)


@pytest.mark.parametrize("temperature", [0.2, 1.0, 2.5, 40.0])
def test_a_known_temperature_is_recovered(temperature: float) -> None:
    truth = calibrated(4000, seed=round(10 * temperature))
    probabilities = softmax(truth.logits, axis=1)
    mean = (probabilities * truth.logits).sum(axis=1)
    information = ((probabilities * truth.logits**2).sum(axis=1) - mean**2).sum()
    # The estimate of 1 / temperature is asymptotically normal with the inverse of Fisher's information as its variance,
    # here 2 per cent; four standard deviations are missed once in 16,000 times.
    tolerance = 4 / math.sqrt(information)
    assert tolerance < 0.08
    found = fit_temperature(with_temperature(truth, 1 / temperature))
    assert found == pytest.approx(temperature, rel=tolerance)


@pytest.mark.parametrize("seed", range(5))
def test_the_temperature_is_where_a_general_minimiser_finds_it(seed: int) -> None:
    predictions = with_temperature(calibrated(300, seed), 0.3)
    least = minimize_scalar(
        lambda logarithm: negative_log_likelihood(with_temperature(predictions, math.exp(logarithm))),
        bounds=(-5, 5), method="bounded", options={"xatol": 1e-8},
    )  # fmt: skip
    assert fit_temperature(predictions) == pytest.approx(math.exp(least.x), rel=1e-5)


@pytest.mark.parametrize("scale", [1e-6, 0.1, 1.0, 30.0, 1e5])
@pytest.mark.parametrize("examples", [1, 2, 7, 60])
def test_a_temperature_never_worsens_the_likelihood_it_was_fitted_on(scale: float, examples: int) -> None:
    generator = np.random.default_rng(examples)
    for help_of_the_truth in (-4.0, 0.0, 1.0, 8.0):
        labels = generator.integers(0, 4, examples)
        logits = generator.normal(0, 1, (examples, 4))
        logits[np.arange(examples), labels] += help_of_the_truth
        predictions = of(labels, (scale * logits).astype(np.float32))
        temperature = fit_temperature(predictions)
        assert LOWEST_TEMPERATURE <= temperature <= HIGHEST_TEMPERATURE
        before, after = (
            negative_log_likelihood(predictions),
            negative_log_likelihood(with_temperature(predictions, temperature)),
        )
        assert after <= before * (1 + 1e-12)


def test_a_model_without_mistakes_becomes_as_sure_as_its_number_of_examples_allows() -> None:
    labels = np.arange(98) % 3
    unsure = of(labels, 2.0 * np.eye(3)[labels])
    temperature = fit_temperature(unsure)
    assert 0.1 < temperature < 1
    assert confidences(with_temperature(unsure, temperature)).mean() == pytest.approx(99 / 100)


@pytest.mark.parametrize("logits", [50.0 * np.eye(2), np.zeros((2, 2)), np.array([[3.0, 3.0], [3.0, 3.0]])])
def test_a_temperature_of_one_stays_where_nothing_speaks_for_another(logits: np.ndarray) -> None:
    assert fit_temperature(of([0, 1], logits)) == 1.0


def test_a_model_that_is_worse_than_guessing_becomes_as_unsure_as_can_be() -> None:
    wrong = of([0] * 20, np.tile([0.0, 3.0], (20, 1)))
    assert fit_temperature(wrong) == HIGHEST_TEMPERATURE
    assert negative_log_likelihood(with_temperature(wrong, HIGHEST_TEMPERATURE)) == pytest.approx(math.log(2), abs=0.01)


def test_over_confident_predictions_have_a_smaller_error_after_scaling() -> None:
    validation, test = (with_temperature(calibrated(2000, seed), 1 / 3) for seed in (1, 2))
    before = CalibrationFigures.of(test)
    after = CalibrationFigures.of(with_temperature(test, fit_temperature(validation)))
    assert before.ece > 2 * before.ece_by_chance
    assert after.ece < after.ece_by_chance
    assert after.nll < before.nll
    assert after.brier < before.brier


def test_a_temperature_changes_no_answer_not_even_by_rounding() -> None:
    # Neighbours in float32; float32 could not tell half of the quotients apart.
    higher = np.nextafter(np.float32(8), np.float32(0))
    close = of([0], np.array([[np.nextafter(higher, np.float32(0)), higher]]))
    assert close.logits.dtype == np.float32
    for temperature in np.random.default_rng(0).uniform(0.01, 100, 200):
        assert with_temperature(close, temperature).predicted[0] == 1


@pytest.mark.parametrize("temperature", [0.0, -1.0, math.inf, math.nan])
def test_what_is_no_temperature_is_refused(temperature: float) -> None:
    with pytest.raises(ValueError, match="must be positive and finite"):
        with_temperature(calibrated(3, 0), temperature)


def test_logits_that_are_no_numbers_give_no_temperature() -> None:
    with pytest.raises(ValueError, match="not finite"):
        fit_temperature(of([0, 1], [[0.0, math.nan], [1.0, 2.0]]))


@pytest.mark.parametrize("count", [1, 10, 15, 40])
def test_bins_hold_every_answer_once_and_give_the_calibration_error(count: int) -> None:
    predictions = calibrated(500, 3)
    filled = [one for one in reliability_bins(predictions, bins=count) if one]
    assert sum(one.count for one in filled) == 500
    assert sum(one.count * one.confidence for one in filled) == pytest.approx(confidences(predictions).sum())
    assert sum(one.count * one.accuracy for one in filled) == pytest.approx(predictions.correct.sum())
    gaps = sum(one.count * abs(one.accuracy - one.confidence) for one in filled) / 500
    assert gaps == pytest.approx(expected_calibration_error(predictions, count))
    assert all((one.low, one.high) == wilson_interval(one.accuracy, one.count) for one in filled)


def test_a_seed_counted_twice_makes_no_bin_surer() -> None:
    predictions = calibrated(200, 4)
    for once, twice in zip(reliability_bins(predictions), reliability_bins(predictions, predictions), strict=True):
        assert (once is None) == (twice is None)
        if once and twice:
            assert twice.count == 2 * once.count
            assert (twice.low, twice.high) == pytest.approx((once.low, once.high))


def test_calibrated_models_exceed_the_error_by_chance_one_time_in_twenty() -> None:
    races = [calibrated(150, seed) for seed in range(200)]
    above = sum(expected_calibration_error(one) > calibration_error_by_chance(one) for one in races)
    # Of 200 races 10 are expected; the binomial distribution puts fewer than 2 or more than 21 below 1 in 1,000.
    assert 2 <= above <= 21
