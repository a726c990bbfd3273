from __future__ import annotations

import numpy as np
import pytest

from photofinish.evaluation import out_of_sample
from photofinish.evaluation.label_errors import find_label_errors
from photofinish.evaluation.out_of_sample import folds_of, out_of_sample_probabilities


def blobs(count: int, classes: int = 3, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Features in which classes lie apart."""
    generator = np.random.default_rng(seed)
    labels = generator.integers(0, classes, count)
    centres = 3 * generator.normal(size=(classes, 20))
    return (centres[labels] + generator.normal(size=(count, 20))).astype(np.float32), labels


def test_groups_stay_together_and_classes_are_spread_evenly() -> None:
    generator = np.random.default_rng(0)
    groups = generator.integers(0, 300, 600)
    labels = groups % 4
    folds = folds_of(labels, groups, 5)
    assert all(len(set(folds[groups == group])) == 1 for group in set(groups))
    alone = folds_of(labels, np.arange(600), 5)
    for label in range(4):
        counts = np.bincount(alone[labels == label], minlength=5)
        assert counts.max() - counts.min() <= 1


def test_the_seed_decides_the_folds() -> None:
    labels, groups = np.zeros(50, int), np.arange(50)
    assert np.array_equal(folds_of(labels, groups, 5), folds_of(labels, groups, 5))
    assert not np.array_equal(folds_of(labels, groups, 5), folds_of(labels, groups, 5, seed=1))


def test_classes_that_lie_apart_are_predicted() -> None:
    features, labels = blobs(400)
    found = out_of_sample_probabilities(features, labels, folds_of(labels, np.arange(400), 5), 3)
    assert (found.argmax(axis=1) == labels).mean() > 0.97
    assert found.sum(axis=1) == pytest.approx(1)


def test_no_picture_helps_to_predict_itself() -> None:
    # Features that name each picture and nothing else: whoever trained on them would be right every time.
    labels = np.random.default_rng(0).integers(0, 2, 200)
    found = out_of_sample_probabilities(np.eye(200, dtype=np.float32), labels, folds_of(labels, np.arange(200), 4), 2)
    assert 0.3 < (found.argmax(axis=1) == labels).mean() < 0.65


def test_planted_label_errors_are_found_from_features() -> None:
    features, labels = blobs(1000)
    changed = np.random.default_rng(1).permutation(1000)[:40]
    given = labels.copy()
    given[changed] = (labels[changed] + 1) % 3
    found = out_of_sample_probabilities(features, given, folds_of(given, np.arange(1000), 5), 3)
    suspects = find_label_errors(given, found).suspects
    hits = len(set(suspects.tolist()) & set(changed.tolist()))
    assert hits / 40 > 0.95
    assert hits / len(suspects) > 0.9


def test_a_class_that_the_other_folds_lack_has_probability_zero() -> None:
    features, labels = blobs(60, classes=2)
    labels[0] = 2
    found = out_of_sample_probabilities(features, labels, folds_of(labels, np.arange(60), 3), 4)
    assert found[0, 2] == 0
    assert (found[:, 3] == 0).all()
    assert found.sum(axis=1) == pytest.approx(1)


def test_folds_that_see_one_class_only_predict_it() -> None:
    found = out_of_sample_probabilities(np.zeros((4, 3), np.float32), np.array([0, 0, 1, 1]), np.array([0, 0, 1, 1]), 2)
    assert found.tolist() == [[0, 1], [0, 1], [1, 0], [1, 0]]


def test_very_many_pictures_train_a_classifier_on_some_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(out_of_sample, "MOST_TRAINED_ON", 60)
    features, labels = blobs(600)
    done = []
    found = out_of_sample_probabilities(
        features, labels, folds_of(labels, np.arange(600), 3), 3, lambda *state: done.append(state)
    )
    assert 0.8 < (found.argmax(axis=1) == labels).mean() < 0.97
    assert done == [(1, 3), (2, 3), (3, 3)]
