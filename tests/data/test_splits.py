from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from photofinish.config.settings import DataSettings
from photofinish.data.arrays import ArrayPictures
from photofinish.data.compact import Digests, Names
from photofinish.data.listing import PARTS, Listing, Part
from photofinish.data.splits import Splits, allot, fingerprint, make_splits
from photofinish.errors import DataError


def content(word: object) -> str:
    return hashlib.sha256(str(word).encode()).hexdigest()


def listing(
    labels: Sequence[int],
    contents: Sequence[str] | None = None,
    ids: Sequence[str] | None = None,
    parts: Sequence[Part] | None = None,
) -> Listing:
    count = len(labels)
    return Listing(
        name="made up",
        place="nowhere",
        classes=tuple(f"class{label}" for label in range(max(labels) + 1)),
        ids=Names(ids or [f"{index:04d}.png" for index in range(count)]),
        labels=np.array(labels, dtype=np.int32),
        contents=Digests.joined(map(bytes.fromhex, contents or [content(index) for index in range(count)])),
        parts=np.array([PARTS.index(part) for part in parts or ["train"] * count], np.uint8),
        pictures=ArrayPictures(np.zeros((count, 1, 1, 3), dtype=np.uint8)),
    )


def divided(train: int, validation: int, test: int) -> list[Part]:
    return [part for part, count in zip(PARTS, (train, validation, test), strict=True) for _ in range(count)]


def by_content(source: Listing, splits: Splits) -> dict[str, list[str]]:
    return {part: sorted(source.contents[i] for i in places.tolist()) for part, places in splits.items()}


def marked(source: Listing, splits: Splits) -> str:
    return fingerprint(source.classes, source.ids, source.labels, source.contents, splits)


def test_a_split_never_changes_between_versions() -> None:
    source = listing([0, 1] * 15)
    splits = make_splits(source, DataSettings(split_seed=3))
    assert {part: places.tolist() for part, places in splits.items()} == {
        "train": [1, 2, 3, 4, 5, 6, 9, 10, 11, 12, 13, 15, 16, 17, 18, 19, 20, 26, 28, 29],
        "validation": [8, 22, 23, 27],
        "test": [0, 7, 14, 21, 24, 25],
    }
    assert marked(source, splits) == "3527c3a5d8b11bc9b4acd4d6ec998ebf4a103cb5e3f65476deeda878d321ee53"


@settings(max_examples=60, deadline=None)
@given(
    counts=st.lists(st.integers(8, 40), min_size=2, max_size=5),
    duplicates=st.integers(0, 5),
    fraction=st.floats(0.05, 0.6),
    seed=st.integers(0, 100),
)
def test_splits_are_disjoint_complete_and_in_proportion(
    counts: list[int], duplicates: int, fraction: float, seed: int
) -> None:
    labels = [label for label, count in enumerate(counts) for _ in range(count)]
    contents = [content(max(0, index - duplicates)) for index in range(len(labels))]
    source = listing(labels, contents)
    splits = make_splits(source, DataSettings(validation_fraction=fraction, test_fraction=0.25, split_seed=seed))
    everything = np.concatenate(list(splits.values()))
    assert sorted(everything.tolist()) == list(range(len(labels)))
    for places in splits.values():
        assert places.tolist() == sorted(places.tolist())
    sides = [set(by_content(source, splits)[part]) for part in splits]
    assert sum(map(len, sides)) == len(set.union(*sides))
    tested = np.bincount(source.labels[splits["test"]], minlength=len(counts))
    for label, count in enumerate(counts):
        assert tested[label] >= 1
        assert abs(tested[label] - 0.25 * count) <= 1 + duplicates


@given(st.randoms(use_true_random=False))
def test_renaming_and_reordering_files_moves_no_picture(random: object) -> None:
    labels = [index % 3 for index in range(60)]
    contents = [content(index) for index in range(60)]
    original = listing(labels, contents)
    order = list(range(60))
    random.shuffle(order)  # type: ignore[attr-defined]  # Hypothesis' random
    shuffled = listing([labels[i] for i in order], [contents[i] for i in order], [f"renamed-{i}" for i in range(60)])
    chosen = DataSettings(limit_train=30, limit_test=9)
    assert by_content(original, make_splits(original, chosen)) == by_content(shuffled, make_splits(shuffled, chosen))


def test_an_added_picture_moves_hardly_any_other() -> None:
    small = listing([index % 2 for index in range(200)])
    large = listing([index % 2 for index in range(201)])
    before = by_content(small, make_splits(small, DataSettings()))
    after = by_content(large, make_splits(large, DataSettings()))
    moved = sum(len(set(before[part]) - set(after[part])) for part in before)
    assert moved <= 3


def test_identical_pictures_with_different_labels_stay_on_one_side() -> None:
    labels = [0] * 20 + [1] * 20
    contents = [content(index % 20) for index in range(20)] + [content(index) for index in range(100, 120)]
    contents[20:23] = contents[0:3]
    source = listing(labels, contents)
    for seed in range(20):
        sides = by_content(source, make_splits(source, DataSettings(split_seed=seed)))
        for shared in contents[0:3]:
            assert sorted(side.count(shared) for side in sides.values()) == [0, 0, 2]


def test_the_sources_own_parts_are_kept() -> None:
    parts = divided(10, 4, 6)
    source = listing([index % 2 for index in range(20)], parts=parts)
    splits = make_splits(source, DataSettings())
    assert [len(splits[part]) for part in ("train", "validation", "test")] == [10, 4, 6]
    limited = make_splits(source, DataSettings(limit_train=6, limit_test=2))
    assert [len(limited[part]) for part in ("train", "validation", "test")] == [6, 4, 2]


def test_without_a_test_part_the_validation_part_is_kept_and_test_is_taken_from_training() -> None:
    parts = divided(20, 4, 0)
    splits = make_splits(listing([index % 2 for index in range(24)], parts=parts), DataSettings())
    assert splits["validation"].tolist() == [20, 21, 22, 23]
    assert [len(splits["train"]), len(splits["test"])] == [16, 4]


def test_a_limit_applies_before_validation_is_set_aside() -> None:
    parts = divided(100, 0, 20)
    source = listing([index % 2 for index in range(120)], parts=parts)
    splits = make_splits(source, DataSettings(limit_train=50))
    assert [len(splits[part]) for part in ("train", "validation", "test")] == [40, 10, 20]


def test_the_first_pictures_are_taken_in_the_order_of_the_source() -> None:
    parts = divided(100, 0, 20)
    source = listing([index % 2 for index in range(120)], parts=parts)
    splits = make_splits(source, DataSettings(limit_train=40, limit_test=6, limit_mode="first"))
    assert sorted([*splits["train"].tolist(), *splits["validation"].tolist()]) == list(range(40))
    assert splits["test"].tolist() == list(range(100, 106))


def test_a_stratified_limit_keeps_class_shares_to_within_one_picture() -> None:
    labels = [0] * 500 + [1] * 300 + [2] * 200
    splits = make_splits(listing(labels, parts=["train"] * 1000), DataSettings(limit_train=101))
    kept = np.bincount(np.array(labels)[np.concatenate([splits["train"], splits["validation"]])])
    assert np.abs(kept - 101 * np.array([0.5, 0.3, 0.2])).max() <= 1


@given(st.lists(st.integers(2, 500), min_size=1, max_size=20), st.floats(0, 1), st.integers(1, 2))
def test_shares_add_up_and_fit(counts: list[int], share: float, least: int) -> None:
    sizes = np.array(counts)
    limit = max(least * len(counts), int(share * sizes.sum()))
    shares = allot(sizes, limit, least)
    assert shares.sum() == limit
    assert (shares <= sizes).all()
    assert (shares >= least).all()


@pytest.mark.parametrize(
    ("labels", "changes", "message"),
    [
        ([0, 0, 0, 1], {}, "class 'class1' has too few pictures: 1 different ones, 3 needed"),
        (
            [0, 1] * 20,
            {"limit_train": 3},
            "limit_train=3 is too few for the 2 classes of made up; set it to 4",
        ),
        ([0, 1] * 20, {"limit_test": 1}, "limit_test=1 is too few"),
        ([0] * 30 + [1] * 30, {"limit_train": 20, "limit_mode": "first"}, "class 'class1'"),
    ],
)
def test_what_cannot_be_divided_is_refused_by_name(labels: list[int], changes: dict[str, object], message: str) -> None:
    with pytest.raises(DataError, match=message):
        make_splits(listing(labels), DataSettings.of(changes))


def test_identical_pictures_alone_cannot_be_divided() -> None:
    contents = [content("same")] * 10 + [content(index) for index in range(10)]
    with pytest.raises(DataError, match="1 different ones"):
        make_splits(listing([0] * 10 + [1] * 10, contents), DataSettings())


def test_the_fingerprint_sees_content_label_name_and_split_and_not_the_order() -> None:
    labels = [index % 2 for index in range(20)]
    source = listing(labels)
    splits = make_splits(source, DataSettings())
    same = marked(source, splits)
    assert marked(source, {**splits, "test": splits["test"][::-1]}) == same
    changed = [content("changed"), *source.contents[1:]]
    others = [
        marked(listing(labels, changed), splits),
        marked(listing([1, *labels[1:]]), splits),
        marked(listing(labels, ids=["renamed", *source.ids[1:]]), splits),
        marked(source, make_splits(source, DataSettings(split_seed=1))),
    ]
    assert len({same, *others}) == 5
