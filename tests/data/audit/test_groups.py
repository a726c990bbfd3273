from __future__ import annotations

import numpy as np
import pytest

from photofinish.data.audit import groups
from photofinish.data.audit.duplicates import Pairs
from photofinish.data.audit.groups import Labelled, describe_duplicates, numbers_of_groups

TRAIN, VALIDATION, TEST = 0, 1, 2


def pairs(*ends: tuple[int, int]) -> Pairs:
    first, second = np.array(ends, np.int64).reshape(-1, 2).T
    count = len(first)
    steps = np.arange(count)
    return Pairs(
        first,
        second,
        (2 * steps).astype(np.uint8),
        np.float32(0.95) - np.float32(0.05) * steps.astype(np.float32),
        steps == 1,
    )


def pictures(parts: list[int], labels: list[int], contents: list[str] | None = None) -> Labelled:
    ids = [f"p{place}" for place in range(len(parts))]
    return Labelled(ids, np.array(labels, np.int32), np.array(parts, np.int8), ("cat", "dog"), contents)


def test_a_group_is_what_is_tied_together_through_others() -> None:
    original = np.array([0, 1, 0, 3, 4, 5])
    numbers = numbers_of_groups(original, pairs((1, 3), (3, 4)))
    assert numbers[0] == numbers[2]
    assert numbers[1] == numbers[3] == numbers[4]
    assert len(set(numbers.tolist())) == 3


def test_exact_and_near_groups_are_told_with_splits_classes_and_distances() -> None:
    whole = pictures([TRAIN, TRAIN, TEST, VALIDATION, TEST], [0, 1, 0, 1, 1], ["x", "y", "x", "z", "w"])
    found = describe_duplicates(whole, np.array([0, 1, 0, 3, 4]), pairs((1, 3), (3, 4)))
    assert (found.exact_groups, found.near_groups, found.repeated) == (1, 1, 3)
    assert (found.across_splits, found.disagreeing) == (2, 0)
    exact, near = found.groups
    assert (exact.kind, exact.same_bytes, exact.ids, exact.splits) == ("exact", True, ("p0", "p2"), ("train", "test"))
    assert (exact.distance, exact.similarity) == (0, 1.0)
    assert (near.kind, near.same_bytes, near.size, near.distance, near.mirrored) == ("near", False, 3, 2, True)
    assert near.similarity == pytest.approx(0.9)
    assert set(near.ids) == {"p1", "p3", "p4"}
    assert near.labels == ("dog", "dog", "dog")


def test_a_test_picture_is_leaked_by_a_copy_or_by_what_is_directly_near_it() -> None:
    whole = pictures([TRAIN, TEST, TEST, TEST, VALIDATION, TRAIN], [0, 0, 1, 0, 0, 0])
    # p1 copies p0; p2 is near p0; p3 is near p2 only; p4 is near p1, whose pixels are those of p0.
    found = describe_duplicates(whole, np.array([0, 0, 2, 3, 4, 5]), pairs((0, 2), (2, 3), (0, 4)))
    assert found.leaked_test == ("p1", "p2")
    assert found.leaked_validation == ("p4",)


def test_the_copy_that_came_first_may_be_the_one_outside_training() -> None:
    whole = pictures([TEST, TRAIN, TEST], [0, 0, 0])
    found = describe_duplicates(whole, np.array([0, 0, 2]), pairs((0, 2)))
    assert found.leaked_test == ("p0", "p2")


def test_groups_within_one_split_leak_nothing() -> None:
    whole = pictures([TRAIN, TRAIN, TEST, TEST], [0, 1, 0, 1])
    found = describe_duplicates(whole, np.array([0, 0, 2, 2]), Pairs.none())
    assert (found.leaked_test, found.leaked_validation) == ((), ())
    assert (found.across_splits, found.disagreeing) == (0, 2)


def test_disagreeing_groups_across_splits_come_first() -> None:
    whole = pictures([TRAIN, TRAIN, TRAIN, TEST, TRAIN, TEST], [0, 0, 0, 0, 0, 1])
    found = describe_duplicates(whole, np.array([0, 0, 2, 2, 4, 4]), Pairs.none())
    assert [group.ids[0] for group in found.groups] == ["p4", "p2", "p0"]


def test_long_lists_are_cut_and_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(groups, "MOST_GROUPS", 2)
    monkeypatch.setattr(groups, "MOST_LISTED", 3)
    count = 30
    parts = [TRAIN] * 9 + [TEST] + [TRAIN] * (count - 10)
    whole = pictures(parts, [0] * count)
    original = np.arange(count)
    original[:10] = 0
    original[10:20] = 10
    original[20:30] = 20
    found = describe_duplicates(whole, original, Pairs.none())
    assert (found.exact_groups, found.repeated, len(found.groups)) == (3, 27, 2)
    first = found.groups[0]
    assert (first.size, len(first.ids)) == (10, 3)
    # What is listed shows that the group reaches across splits.
    assert set(first.splits) == {"train", "test"}


def test_no_duplicates_are_none() -> None:
    found = describe_duplicates(pictures([TRAIN, TEST], [0, 1]), np.arange(2), Pairs.none())
    assert (found.exact_groups, found.near_groups, found.groups, found.leaked_test) == (0, 0, (), ())
