"""What a linear classifier on given features makes of pictures it did not train on, for every picture of a set."""

from __future__ import annotations

import warnings
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Features = NDArray[np.float32]

PENALTY = 1000.0
"""Weight of the squared coefficients beside the sum of losses; features are standardised."""

MOST_TRAINED_ON = 50_000
_ITERATIONS = 100
_AT_ONCE = 1 << 14


def folds_of(labels: NDArray[np.integer], groups: NDArray[np.integer], folds: int, seed: int = 0) -> NDArray[np.int64]:
    """Divide pictures into folds, those of a group together, each class evenly.

    Duplicates in two folds would vouch for one another's labels.

    Args:
        labels: (examples,) class of each picture; that of a group is its first picture's.
        groups: (examples,) number of the group that each belongs to.
        folds: How many.
        seed: Decides which group goes where.

    Returns:
        (examples,) the number of each picture's fold.

    Examples:
        >>> folds_of(np.zeros(4, int), np.array([0, 1, 0, 2]), 3)
        array([1, 2, 1, 0])
    """
    _, first, group = np.unique(groups, return_index=True, return_inverse=True)
    order = np.random.default_rng(seed).permutation(len(first))
    # Sorted by class, and dealt out in turn.
    order = order[np.argsort(labels[first][order], kind="stable")]
    fold_of_group = np.empty(len(first), np.int64)
    fold_of_group[order] = np.arange(len(first)) % folds
    found: NDArray[np.int64] = fold_of_group[group]
    return found


def out_of_sample_probabilities(
    features: Features,
    labels: NDArray[np.integer],
    folds: NDArray[np.integer],
    classes: int,
    notify: Callable[[int, int], None] = lambda *_: None,
) -> NDArray[np.float64]:
    """Return each picture's class probabilities by a logistic regression on the pictures of the other folds.

    With more than 50,000 of these it is trained on 50,000 drawn from them.

    Args:
        features: (examples, channels), may be mapped into memory.
        labels: (examples,) index of each picture's class.
        folds: (examples,) number of each picture's fold; at least two.
        classes: How many classes there are. One that is absent from the other folds gets the probability 0.
        notify: Is told how many folds are done, and of how many.

    Returns:
        (examples, classes).
    """
    probabilities = np.zeros((len(labels), classes))
    numbers = np.unique(folds)
    for done, fold in enumerate(numbers, start=1):
        chosen = np.flatnonzero(folds != fold)
        if len(chosen) > MOST_TRAINED_ON:
            chosen = np.sort(np.random.default_rng(int(fold)).permutation(chosen)[:MOST_TRAINED_ON])
        held_out = np.flatnonzero(folds == fold)
        probabilities[held_out] = _predicted(features, labels, chosen, held_out, classes)
        notify(done, len(numbers))
    return probabilities


def _predicted(
    features: Features,
    labels: NDArray[np.integer],
    chosen: NDArray[np.int64],
    held_out: NDArray[np.int64],
    classes: int,
) -> NDArray[np.float64]:
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    seen = features[chosen]
    mean, deviation = seen.mean(axis=0), np.maximum(seen.std(axis=0), 1e-6)
    seen = (seen - mean) / deviation
    probabilities = np.zeros((len(held_out), classes))
    if len(np.unique(labels[chosen])) == 1:
        probabilities[:, labels[chosen[0]]] = 1
        return probabilities
    model = LogisticRegression(C=1 / PENALTY, max_iter=_ITERATIONS, tol=1e-3)
    with warnings.catch_warnings():
        # A hundred steps tell labels apart well enough.
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(seen, labels[chosen])
    for start in range(0, len(held_out), _AT_ONCE):
        part = held_out[start : start + _AT_ONCE]
        rows = slice(start, start + len(part))
        probabilities[rows, model.classes_] = model.predict_proba((features[part] - mean) / deviation)
    return probabilities
