"""Classes that are confused with one another are found and put side by side."""

from __future__ import annotations

import numpy as np
import pytest

from photofinish.evaluation.class_groups import LARGEST_GROUP, class_groups, similarity

BLOCKS = ((3, 17, 40), (5, 6), (9, 30, 31, 39, 55))


def with_blocks(classes: int = 60, noise: int = 1) -> np.ndarray:
    """A confusion matrix whose classes are confused within blocks, the second block the most."""
    generator = np.random.default_rng(0)
    counts = generator.binomial(1, 0.02, (classes, classes)) * noise
    for block, count in zip(BLOCKS, (12, 45, 6), strict=True):
        counts[np.ix_(block, block)] += count
    np.fill_diagonal(counts, 100)
    return counts


def test_planted_blocks_are_found_the_one_with_most_mistakes_first() -> None:
    found = class_groups(with_blocks())
    assert [set(group) for group in found.groups[:3]] == [set(BLOCKS[2]), set(BLOCKS[1]), set(BLOCKS[0])]
    assert found.mistakes[:3] == tuple(sorted(found.mistakes[:3], reverse=True))
    within = with_blocks()[np.ix_(BLOCKS[1], BLOCKS[1])]
    assert found.mistakes[1] == within.sum() - np.trace(within)


@pytest.mark.parametrize("classes", [60, 250])
def test_the_order_holds_every_class_once_and_every_group_in_one_piece(classes: int) -> None:
    found = class_groups(with_blocks(classes))
    assert sorted(found.order) == list(range(classes))
    for group in found.groups:
        first = found.order.index(group[0])
        assert found.order[first : first + len(group)] == group
        assert 2 <= len(group) <= LARGEST_GROUP


def test_a_model_without_mistakes_has_no_groups() -> None:
    assert class_groups(np.eye(30, dtype=np.int64) * 50).groups == ()
    assert class_groups(np.array([[5]])).order == (0,)


def test_likeness_depends_on_shares_and_not_on_how_many_pictures_a_class_has() -> None:
    counts = np.array([[80, 20, 0], [5, 95, 0], [0, 0, 0]])
    expected = np.array([[0, 0.125, 0], [0.125, 0, 0], [0, 0, 0]])
    np.testing.assert_allclose(similarity(counts), expected)
    np.testing.assert_allclose(similarity(counts * np.array([[10], [1], [1]])), expected)


def test_a_group_of_too_many_alike_classes_is_split() -> None:
    counts = np.full((40, 40), 0)
    counts[:20, :20] = 5
    np.fill_diagonal(counts, 60)
    groups = class_groups(counts).groups
    grouped = [label for group in groups for label in group]
    assert len(groups) > 1
    assert len(grouped) > 10
    assert set(grouped) <= set(range(20))
    assert max(map(len, groups)) <= LARGEST_GROUP
