from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from photofinish.evaluation.label_errors import find_label_errors

CLASSES = 6


def judged(
    count: int, wrong_share: float, noise: float, seed: int = 0
) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.bool_]]:
    """Labels of which some were changed, a judge's probabilities, and which were changed.

    The judge sees the true class through noise and never the label.
    """
    generator = np.random.default_rng(seed)
    true = generator.integers(0, CLASSES, count)
    logits = generator.normal(0, noise, (count, CLASSES))
    logits[np.arange(count), true] += 4
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    changed = np.zeros(count, bool)
    changed[generator.permutation(count)[: round(wrong_share * count)]] = True
    labels = np.where(changed, (true + generator.integers(1, CLASSES, count)) % CLASSES, true)
    return labels, probabilities, changed


@pytest.mark.parametrize(("noise", "precision", "recall"), [(0.5, 0.99, 0.90), (1.2, 0.85, 0.80), (2.0, 0.24, 0.83)])
def test_planted_errors_are_found_as_well_as_the_judge_knows_the_classes(
    noise: float, precision: float, recall: float
) -> None:
    labels, probabilities, changed = judged(5000, 0.05, noise)
    errors = find_label_errors(labels, probabilities)
    hits = changed[errors.suspects]
    assert hits.mean() >= precision
    assert hits.sum() / changed.sum() >= recall
    # The third judge is wrong about every fourth picture; at the top of the list there is little else all the same.
    assert hits[:50].mean() >= 0.95


def test_the_estimated_share_is_that_of_the_planted_errors_where_the_judge_is_good() -> None:
    labels, probabilities, changed = judged(5000, 0.08, 0.5)
    assert find_label_errors(labels, probabilities).estimated_share == pytest.approx(changed.mean(), abs=0.01)


def test_right_labels_are_not_suspected_by_a_good_judge() -> None:
    labels, probabilities, _ = judged(2000, 0.0, 0.5)
    assert len(find_label_errors(labels, probabilities).suspects) == 0


def test_the_joint_is_that_computed_by_hand() -> None:
    labels = np.array([0, 0, 0, 1, 1])
    cat = np.array([0.9, 0.8, 0.1, 0.3, 0.05])
    errors = find_label_errors(labels, np.stack([cat, 1 - cat], axis=1))
    # Thresholds 0.6 (mean of 0.9, 0.8, 0.1) and 0.825 (of 0.7, 0.95). Confident: two cats as cats, the third as a dog,
    # of the dogs the second only. Rows 2:1 and 0:1, scaled to 3 and 2 pictures of 5.
    assert errors.joint == pytest.approx(np.array([[0.4, 0.2], [0.0, 0.4]]))
    assert errors.estimated_share == pytest.approx(0.2)
    assert errors.suspects.tolist() == [2]
    assert errors.suggested.tolist() == [1]
    assert errors.self_confidence == pytest.approx([0.9, 0.8, 0.1, 0.7, 0.95])


def test_suspects_are_ranked_by_how_little_their_label_is_believed() -> None:
    labels, probabilities, _ = judged(3000, 0.1, 1.0)
    errors = find_label_errors(labels, probabilities)
    assert (np.diff(errors.self_confidence[errors.suspects]) >= 0).all()
    assert (errors.suggested != labels[errors.suspects]).all()
    assert (errors.suggested == probabilities[errors.suspects].argmax(axis=1)).all()


def test_the_order_of_pictures_and_the_numbers_of_classes_do_not_matter() -> None:
    labels, probabilities, _ = judged(800, 0.1, 1.0)
    places, renamed = np.random.default_rng(1).permutation(800), np.random.default_rng(2).permutation(CLASSES)
    moved = np.empty_like(probabilities)
    moved[:, renamed] = probabilities
    other = find_label_errors(renamed[labels][places], moved[places])
    assert places[other.suspects].tolist() == find_label_errors(labels, probabilities).suspects.tolist()


def test_a_class_that_no_label_names_is_never_suggested_by_counting() -> None:
    labels, probabilities, _ = judged(500, 0.05, 0.5)
    wider = np.concatenate([probabilities * 0.9, np.full((500, 1), 0.1)], axis=1)
    errors = find_label_errors(labels, wider)
    assert errors.joint[:, CLASSES].sum() == 0
    assert errors.joint.sum() == pytest.approx(1)
    assert len(errors.suspects) > 0


def test_a_class_that_the_judge_never_thinks_of_accuses_no_picture_of_another() -> None:
    labels, probabilities, _ = judged(1000, 0.02, 0.3)
    before = find_label_errors(labels, probabilities)
    # One picture of a class of its own, which no other fold has.
    with_one = np.concatenate([np.pad(probabilities, ((0, 0), (0, 1))), np.pad(probabilities[:1], ((0, 0), (0, 1)))])
    after = find_label_errors(np.append(labels, CLASSES), with_one)
    assert set(after.suspects.tolist()) - {1000} == set(before.suspects.tolist())


def test_a_judge_who_knows_nothing_accuses_no_more_than_it_contradicts() -> None:
    labels = np.arange(100) % 2
    even = np.full((100, 2), 0.5)
    assert len(find_label_errors(labels, even).suspects) == 0


@pytest.mark.parametrize(
    ("labels", "probabilities", "says"),
    [
        ([0, 1], [[0.5, 0.5]], "do not match"),
        ([], np.zeros((0, 2)), "do not match"),
        ([0, 2], [[0.5, 0.5], [0.5, 0.5]], "labels reach from 0 to 2"),
        ([0, -1], [[0.5, 0.5], [0.5, 0.5]], "labels reach from -1"),
        ([0, 1], [[0.5, 0.6], [0.5, 0.5]], "sum to 1"),
        ([0, 1], [[1.5, -0.5], [0.5, 0.5]], "none negative"),
        ([0, 1], [[np.nan, 0.5], [0.5, 0.5]], "finite"),
    ],
)
def test_what_are_no_labels_or_no_probabilities_is_refused(labels: object, probabilities: object, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        find_label_errors(np.array(labels, int), np.array(probabilities, float))
