"""Which labels are probably wrong, by confident learning, from labels and out-of-sample probabilities alone.

A picture is counted as truly of class j where its probability of j reaches the mean probability of j over the pictures
labelled j: classes that a model is less sure of ask for less. These counts, by label i and true class j, scaled to the
labels' own counts, estimate how many pictures of j are labelled i. So many, with the largest gap between the
probabilities of j and i, are suspected ("prune by noise rate"), and are ranked by how little the model believes their
label ("self-confidence").

Probabilities must come from a model that did not train on the picture: from cross-validation, or, as those of test
pictures do, from a division. They need not be calibrated. Where a model errs systematically, so does this.

References:
    Northcutt, Jiang and Chuang, "Confident learning: estimating uncertainty in dataset labels", Journal of Artificial
    Intelligence Research 70 (2021), 1373-1411, arXiv:1911.00068: equations 1 to 3, and the method it calls Prune by
    Noise Rate.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Probabilities = NDArray[np.floating]


@dataclass(frozen=True, eq=False)
class LabelErrors:
    """Labels under suspicion.

    Attributes:
        suspects: Places of the pictures whose label is suspected, the most suspicious first.
        suggested: The class that is more probable for each suspect, in the same order.
        self_confidence: (examples,) probability of each picture's own label.
        joint: (classes, classes) estimated share of pictures by label (row) and true class (column); sums to 1.
    """

    suspects: NDArray[np.int64]
    suggested: NDArray[np.int64]
    self_confidence: NDArray[np.float64]
    joint: NDArray[np.float64]

    @property
    def estimated_share(self) -> float:
        """Estimated share of wrong labels, between 0 and 1."""
        return float(max(0.0, 1 - np.trace(self.joint)))


def find_label_errors(labels: NDArray[np.integer], probabilities: Probabilities) -> LabelErrors:
    """Find labels that are probably wrong.

    A picture of whose label the model is surer than of every other class is never suspected, whatever its count asks
    for.

    Args:
        labels: (examples,) class of each picture, from 0.
        probabilities: (examples, classes) out-of-sample probabilities; each row sums to 1.

    Raises:
        ValueError: Shapes do not match, a label is no class, or probabilities are no probabilities.

    Examples:
        >>> labels = np.array([0, 0, 0, 1, 1, 1])
        >>> cat = np.array([0.9, 0.8, 0.1, 0.2, 0.1, 0.2])
        >>> errors = find_label_errors(labels, np.stack([cat, 1 - cat], axis=1))
        >>> errors.suspects, errors.suggested
        (array([2]), array([1]))
    """
    chosen, given = _checked(labels, probabilities)
    joint = _joint(chosen, given)
    own = given[np.arange(len(chosen)), chosen]
    suspected = np.zeros(len(chosen), bool)
    wanted = np.floor(joint * len(chosen) + 0.5).astype(np.int64)
    for label, other in zip(*np.nonzero(wanted * ~np.eye(len(joint), dtype=bool)), strict=True):
        members = np.flatnonzero(chosen == label)
        gap = given[members, other] - own[members]
        suspected[members[np.argsort(-gap, kind="stable")[: wanted[label, other]]]] = True
    best = given.argmax(axis=1)
    suspects = np.flatnonzero(suspected & (own < given.max(axis=1)))
    suspects = suspects[np.argsort(own[suspects], kind="stable")]
    return LabelErrors(suspects, best[suspects], own, joint)


def _checked(
    labels: NDArray[np.integer], probabilities: Probabilities
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    chosen, given = np.asarray(labels, np.int64), np.asarray(probabilities, np.float64)
    if chosen.ndim != 1 or given.ndim != 2 or len(chosen) != len(given) or len(chosen) == 0:
        raise ValueError(f"labels {chosen.shape} and probabilities {given.shape} do not match")
    if chosen.min() < 0 or chosen.max() >= given.shape[1]:
        raise ValueError(f"labels reach from {chosen.min()} to {chosen.max()}, classes from 0 to {given.shape[1] - 1}")
    if not np.isfinite(given).all() or (given < 0).any() or np.abs(given.sum(axis=1) - 1).max() > 1e-3:
        raise ValueError("probabilities must be finite, none negative, and sum to 1 in each row")
    return chosen, given


def _joint(labels: NDArray[np.int64], probabilities: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the estimated joint distribution of labels and true classes, equation 3."""
    classes = probabilities.shape[1]
    members = np.bincount(labels, minlength=classes)
    sums = np.zeros(classes)
    np.add.at(sums, labels, probabilities[np.arange(len(labels)), labels])
    # A class that no picture is labelled as, or that the judge never thinks of, cannot say how sure is sure enough.
    thresholds = np.divide(sums, members, out=np.full(classes, np.inf), where=sums > 0)
    confident = np.where(probabilities >= thresholds, probabilities, -1.0)
    counted = confident.max(axis=1) >= 0
    counts = np.zeros((classes, classes))
    np.add.at(counts, (labels[counted], confident.argmax(axis=1)[counted]), 1)
    # Of a class that no picture is confidently counted in, nothing speaks against its labels.
    counts[np.arange(classes), np.arange(classes)] += (counts.sum(axis=1) == 0) & (members > 0)
    rows = counts.sum(axis=1, keepdims=True)
    shares = np.divide(counts, rows, out=np.zeros_like(counts), where=rows > 0)
    scaled: NDArray[np.float64] = shares * members[:, None] / len(labels)
    return scaled
