"""Which classes are confused with one another: an order that puts them side by side, and the groups they form."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy
from numpy.typing import NDArray

LARGEST_GROUP = 8
"""As many names as can be read beside one another."""
MARKEDLY = 3.0
"""How many times as often as usual the classes of a group are confused, so that single mistakes form none."""
MOST_ORDERED_OPTIMALLY = 200
"""The optimal order of the branches takes time that grows with the third power of their number."""


@dataclass(frozen=True)
class ClassGroups:
    """Classes in an order and in groups.

    Attributes:
        order: All classes, those that are confused side by side.
        groups: Runs of that order whose classes are confused with one another more than three times as often as classes
            are on average, at most eight in each; the group within which most mistakes happen comes first.
        mistakes: How many mistakes happen within each group.
    """

    order: tuple[int, ...]
    groups: tuple[tuple[int, ...], ...]
    mistakes: tuple[int, ...]


def similarity(confusions: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return how often two classes are taken for one another, between 0 and 1, shape (classes, classes).

    It is the mean of two shares: of the first class's pictures taken for the second and the other way round, so that it
    does not depend on how many pictures a class has. The diagonal is zero.

    Args:
        confusions: Counts, rows true and columns predicted, shape (classes, classes).

    Examples:
        >>> similarity(np.array([[6, 4], [1, 9]]))
        array([[0.  , 0.25],
               [0.25, 0.  ]])
    """
    shares = confusions / np.maximum(1, confusions.sum(axis=1, keepdims=True))
    np.fill_diagonal(shares, 0.0)
    return np.asarray((shares + shares.T) / 2)


def class_groups(confusions: NDArray[np.int64]) -> ClassGroups:
    """Put classes that are confused with one another side by side, by average linkage of their similarity.

    Args:
        confusions: Counts, rows true and columns predicted, shape (classes, classes).

    Examples:
        >>> class_groups(np.array([[8, 0, 0, 2], [0, 9, 0, 0], [0, 0, 9, 0], [3, 0, 0, 7]])).groups
        ((0, 3),)

    References:
        Bar-Joseph, Gifford and Jaakkola, "Fast optimal leaf ordering for hierarchical clustering", Bioinformatics 17
        (2001), S22-S29, for the order of the branches.
    """
    alike = similarity(confusions)
    classes = len(alike)
    if classes < 2:
        return ClassGroups(tuple(range(classes)), (), ())
    distances = scipy.spatial.distance.squareform(1 - alike - np.eye(classes), checks=False)
    tree = scipy.cluster.hierarchy.linkage(distances, "average")
    if classes <= MOST_ORDERED_OPTIMALLY:
        tree = scipy.cluster.hierarchy.optimal_leaf_ordering(tree, distances)
    order = tuple(scipy.cluster.hierarchy.leaves_list(tree).tolist())
    usual = float(alike.sum()) / (classes * (classes - 1))
    found = [(_mistakes_within(confusions, group), group) for group in _branches(tree, 1 - MARKEDLY * usual)]
    found = sorted((one for one in found if one[0]), key=lambda one: (-one[0], order.index(one[1][0])))
    return ClassGroups(order, tuple(group for _, group in found), tuple(count for count, _ in found))


def _branches(tree: NDArray[np.float64], farthest: float) -> list[tuple[int, ...]]:
    """Return the largest branches of at most eight leaves that join nearer than `farthest`, as the tree has them."""
    branches = []
    waiting = [scipy.cluster.hierarchy.to_tree(tree)]
    while waiting:
        node = waiting.pop()
        if node.is_leaf():
            continue
        if node.count <= LARGEST_GROUP and node.dist < farthest:
            branches.append(tuple(node.pre_order()))
        else:
            waiting += [node.right, node.left]
    return branches


def _mistakes_within(confusions: NDArray[np.int64], group: tuple[int, ...]) -> int:
    within = confusions[np.ix_(group, group)]
    return int(within.sum() - np.trace(within))
