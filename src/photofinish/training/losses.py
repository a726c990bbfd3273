"""Losses per picture."""

from __future__ import annotations

from typing import Any

from keras import ops


def smoothed_targets(labels: Any, classes: int, label_smoothing: float = 0.0) -> Any:
    """Return what a network is to answer: `(1 - e) * onehot + e / classes` (Szegedy et al. 2016, section 7).

    Args:
        labels: True classes, (batch,), integers.
        classes: Number of classes.
        label_smoothing: e, the share spread evenly, between 0 and 1.

    Returns:
        (batch, classes), float32, each row adds up to 1.

    Examples:
        >>> ops.convert_to_numpy(smoothed_targets(ops.array([1]), 2, 0.5)).tolist()
        [[0.25, 0.75]]
    """
    targets = ops.one_hot(labels, classes, dtype="float32")
    return targets * (1 - label_smoothing) + label_smoothing / classes if label_smoothing else targets


def cross_entropy(targets: Any, logits: Any) -> Any:
    """Compute the cross-entropy of each picture, in nats.

    Args:
        targets: Probabilities of the classes, (batch, classes), float32.
        logits: Scores, (batch, classes), float32.

    Returns:
        (batch,).

    Examples:
        >>> loss = cross_entropy(ops.array([[1.0, 0.0]]), ops.array([[0.0, 0.0]]))
        >>> round(float(loss[0]), 4)  # two equally likely classes: log 2
        0.6931
    """
    return -ops.sum(targets * ops.log_softmax(logits, axis=-1), axis=-1)
