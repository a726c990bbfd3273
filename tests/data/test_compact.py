"""Names and digests in one piece behave as the lists that they stand for."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from photofinish.data.compact import Digests, Names

texts = st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=12), max_size=20)


@given(texts)
def test_names_are_those_that_were_given(names: list[str]) -> None:
    compact = Names(names)
    assert list(compact) == names
    assert len(compact) == len(names)
    assert list(compact[1:-1]) == names[1:-1]
    assert list(compact[::-2]) == names[::-2]
    assert [compact[place] for place in range(-len(names), 0)] == names
    with pytest.raises(IndexError):
        compact[len(names)]


@given(texts)
def test_chosen_names_are_what_numpy_makes_of_a_list(names: list[str]) -> None:
    places = np.arange(len(names))[::-1]
    found, expected = Names(names).chosen(places), np.array([names[place] for place in places], str)
    assert found.dtype == expected.dtype
    assert np.array_equal(found, expected)


def test_digests_read_and_sort_as_their_hexadecimal_form() -> None:
    texts = [hashlib.sha256(bytes([number])).hexdigest() for number in range(50)] + ["00" * 32, "ff" * 32]
    digests = Digests.joined(map(bytes.fromhex, texts))
    assert list(digests) == texts
    assert list(digests[3:5]) == texts[3:5]
    assert [digests[place] for place in np.argsort(digests.sortable())] == sorted(texts)
    assert len(Digests.joined([])) == 0
