"""Pictures that are no longer the same are named."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from photofinish.errors import StudyError
from photofinish.runs.listings import NOT_USED, ListedPictures, changed_pictures, copy_listing

NAMES = ("cat/1", "cat/2", "dog/1", "dog/2", "dog/3")


def listed(names: tuple[str, ...] = NAMES, **changes: dict[int, int]) -> ListedPictures:
    arrays = {
        "labels": np.array([0 if name < "dog" else 1 for name in names], np.int32),
        "parts": np.array([0, 0, 0, 2, NOT_USED][: len(names)], np.uint8),
        "digests": np.array([7 * NAMES.index(name) if name in NAMES else 99 for name in names], np.uint64),
    }
    for name, new in changes.items():
        for place, value in new.items():
            arrays[name][place] = value
    return ListedPictures(np.array(names), **arrays)


@pytest.mark.parametrize(
    ("now", "words"),
    [
        (listed(), ""),
        (listed(digests={1: 1}), "cat/2 has other content"),
        (listed(digests=dict.fromkeys(range(5), 1)), "cat/1, cat/2, dog/1 and 2 more have other content"),
        (listed(digests={4: 1}, parts={4: 0, 0: NOT_USED}), "dog/3 has other content"),
        (listed(NAMES[1:]), "cat/1 is missing"),
        (listed((*NAMES[:4], "dog/4")), "dog/3 is missing; dog/4 is new"),
        (listed(labels={0: 1, 1: 1}), "cat/1, cat/2 have other labels"),
        (listed(parts={3: 1}), "dog/2 is in another split"),
    ],
)  # fmt: skip
def test_what_differs_is_named_and_only_what_is_the_cause_of_the_rest(now: ListedPictures, words: str) -> None:
    assert listed().changes(now) == words


def test_a_listing_is_read_as_it_was_written_and_named_from_its_file(tmp_path: Path) -> None:
    before, now = tmp_path / "before.npz", tmp_path / "new" / "now.npz"
    listed().write(before)
    copy_listing(before, now)
    assert ListedPictures.read(now).changes(listed()) == ""
    listed(digests={0: 1}).write(now)
    assert changed_pictures(before, now) == "cat/1 has other content"
    copy_listing(tmp_path / "absent.npz", now)
    assert changed_pictures(before, now) != "", "a listing that is not there replaces none"


@pytest.mark.parametrize("harm", [lambda whole: whole[:-30], lambda _: b"", lambda _: b"no archive"])
def test_a_damaged_listing_names_nothing_and_stops_nobody(tmp_path: Path, harm: object) -> None:
    path = tmp_path / "listing.npz"
    listed().write(path)
    path.write_bytes(harm(path.read_bytes()))  # type: ignore[operator]  # one of those above
    with pytest.raises(StudyError, match="not a readable list of pictures"):
        ListedPictures.read(path)
    assert changed_pictures(path, path) == ""


def test_arrays_that_do_not_belong_together_are_refused() -> None:
    with pytest.raises(ValueError, match="do not match"):
        ListedPictures(np.array(NAMES), *(np.zeros(4, kind) for kind in (np.int32, np.uint8, np.uint64)))
    with pytest.raises(ValueError, match="digests are of type float64"):
        ListedPictures(np.array(NAMES), *(np.zeros(5, kind) for kind in (np.int32, np.uint8, np.float64)))
