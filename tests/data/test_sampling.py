from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from photofinish.data import batches, epoch_order


def test_the_order_of_an_epoch_never_changes_between_versions() -> None:
    assert epoch_order(10, seed=7, epoch=3).tolist() == [6, 9, 5, 0, 8, 4, 7, 2, 3, 1]
    assert epoch_order(50_000, seed=0, epoch=1)[:5].tolist() == [46686, 23218, 40691, 40550, 48005]


@given(st.integers(1, 300), st.integers(0, 2**32 - 1), st.integers(0, 10_000))
def test_an_order_is_a_permutation(examples: int, seed: int, epoch: int) -> None:
    assert sorted(epoch_order(examples, seed, epoch).tolist()) == list(range(examples))


def test_seeds_and_epochs_give_different_orders() -> None:
    orders = {tuple(epoch_order(20, seed, epoch).tolist()) for seed in range(5) for epoch in range(5)}
    assert len(orders) == 25


def test_every_place_is_equally_likely_to_come_first() -> None:
    firsts = [int(epoch_order(4, seed, epoch)[0]) for seed in range(40) for epoch in range(50)]
    counts = np.bincount(firsts)
    # Chi-squared with 3 degrees of freedom exceeds 16.3 once in a thousand sets of seeds; these seeds are
    # fixed.
    assert ((counts - 500) ** 2 / 500).sum() < 16.3


@given(st.integers(1, 100), st.integers(1, 130))
def test_every_example_counts_exactly_once_whatever_the_batch_size(examples: int, batch_size: int) -> None:
    order = epoch_order(examples, 0, 0)
    seen = list(batches(order, batch_size))
    assert all(len(batch.indices) == len(batch.weights) == batch_size for batch in seen)
    counted = np.concatenate([batch.indices[batch.weights == 1] for batch in seen])
    assert counted.tolist() == order.tolist()
    assert sum(batch.weights.sum() for batch in seen) == examples
    assert all(batch.weights.dtype == np.float32 for batch in seen)


def test_padding_repeats_the_beginning_of_the_order() -> None:
    (batch,) = batches(np.array([5, 9]), 5)
    assert batch.indices.tolist() == [5, 9, 5, 9, 5]
    assert batch.weights.tolist() == [1, 1, 0, 0, 0]


@pytest.mark.parametrize(("examples", "batch_size"), [(0, 4), (4, 0)])
def test_nothing_to_cut_is_an_error(examples: int, batch_size: int) -> None:
    with pytest.raises(ValueError, match="cannot cut"):
        list(batches(np.arange(examples), batch_size))
