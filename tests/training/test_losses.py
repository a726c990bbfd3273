"""Cross-entropy against scikit-learn and Keras."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from scipy.special import softmax
from sklearn.metrics import log_loss

from photofinish.training.losses import cross_entropy, smoothed_targets

LOGITS = np.random.default_rng(0).normal(0, 3, (50, 7)).astype(np.float32)
LABELS = np.random.default_rng(1).integers(0, 7, 50)
ONEHOT = np.eye(7, dtype=np.float32)[LABELS]


def test_the_mean_over_pictures_is_scikit_learns_log_loss() -> None:
    found = np.asarray(cross_entropy(ONEHOT, LOGITS)).mean()
    assert found == pytest.approx(log_loss(LABELS, softmax(LOGITS, axis=1), labels=range(7)), rel=1e-5)


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.9])
def test_each_picture_has_keras_smoothed_loss(smoothing: float) -> None:
    expected = keras.losses.categorical_crossentropy(ONEHOT, LOGITS, from_logits=True, label_smoothing=smoothing)
    found = np.asarray(cross_entropy(smoothed_targets(LABELS, 7, smoothing), LOGITS))
    assert found.shape == (50,)
    np.testing.assert_allclose(found, np.asarray(expected), rtol=1e-5, atol=1e-6)


def test_large_logits_neither_overflow_nor_vanish() -> None:
    logits = np.array([[1e4, 0, -1e4]], np.float32)
    assert [float(cross_entropy(target[None], logits)[0]) for target in np.eye(3, dtype=np.float32)] == [0, 1e4, 2e4]


@pytest.mark.parametrize("dtype", [np.int32, np.int64, np.uint8])
def test_any_type_of_label_will_do(dtype: type) -> None:
    np.testing.assert_array_equal(np.asarray(smoothed_targets(LABELS.astype(dtype), 7)), ONEHOT)


def test_the_loss_of_a_blend_is_the_blend_of_the_losses() -> None:
    other = ONEHOT[::-1]
    found = np.asarray(cross_entropy(0.3 * ONEHOT + 0.7 * other, LOGITS))
    expected = 0.3 * np.asarray(cross_entropy(ONEHOT, LOGITS)) + 0.7 * np.asarray(cross_entropy(other, LOGITS))
    np.testing.assert_allclose(found, expected, rtol=1e-5)
