"""Losses per picture."""

from __future__ import annotations

from typing import Any

from keras import ops


def cross_entropy(labels: Any, logits: Any, label_smoothing: float = 0.0) -> Any:
    """Compute the cross-entropy of each picture, in nats.

    With smoothing e the target is `(1 - e) * onehot + e / classes` (Szegedy et al. 2016, section 7).

    Args:
        labels: True classes, (batch,), integers.
        logits: Scores, (batch, classes), float32.
        label_smoothing: Share of the target spread evenly, between 0 and 1.

    Returns:
        (batch,).

    Examples:
        >>> loss = cross_entropy(ops.array([0]), ops.array([[0.0, 0.0]]))
        >>> round(float(loss[0]), 4)  # two equally likely classes: log 2
        0.6931
    """
    classes = logits.shape[-1]
    targets = ops.one_hot(labels, classes, dtype="float32")
    if label_smoothing:
        targets = targets * (1 - label_smoothing) + label_smoothing / classes
    return -ops.sum(targets * ops.log_softmax(logits, axis=-1), axis=-1)
