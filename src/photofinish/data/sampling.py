"""Which pictures each step sees: a function of (seed, epoch) and of nothing else.

Resuming therefore needs no iterator state beyond two integers, and every model of a comparison meets the
pictures in the same order.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

# The high half of Philox' counter keeps this stream apart from others that are keyed by the same seed.
_ORDER_STREAM = int.from_bytes(b"order", "big")


@dataclass(frozen=True, eq=False)
class Batch:
    """The examples of one step.

    Attributes:
        indices: (batch,) places in the order's index space.
        weights: (batch,) 1 for an example that counts, 0 for one that only fills the shape.
    """

    indices: NDArray[np.int64]
    weights: NDArray[np.float32]


def epoch_order(examples: int, seed: int, epoch: int) -> NDArray[np.int64]:
    """Return the order of an epoch, a permutation of `0..examples-1`.

    Philox' raw 64-bit words are sorted, because NumPy promises that raw words never change between versions,
    which it does not for `permutation`.

    Args:
        examples: Number of training examples.
        seed: The cell's seed.
        epoch: Number of the epoch.

    Examples:
        >>> epoch_order(8, seed=0, epoch=1)
        array([3, 7, 2, 6, 4, 5, 0, 1])
    """
    key = np.array([seed, epoch], dtype=np.uint64)
    counter = np.array([0, 0, 0, _ORDER_STREAM], dtype=np.uint64)
    words = np.random.Philox(key=key, counter=counter).random_raw(examples)
    return np.argsort(words, kind="stable").astype(np.int64)


def batches(order: NDArray[np.int64], batch_size: int) -> Iterator[Batch]:
    """Cut an order into batches of one fixed shape.

    The last batch is filled with examples from the beginning of the order, again and again where the order is
    shorter than a batch. They weigh 0, so that each example counts exactly once, and are real pictures, so
    that BatchNormalization's statistics are not disturbed by blank ones.

    Args:
        order: (examples,) what to visit, at least one.
        batch_size: Examples per batch.

    Yields:
        Batches of shape (batch_size,).

    Raises:
        ValueError: There is nothing to visit or the batch has no room.

    Examples:
        >>> for batch in batches(np.array([4, 2, 7]), 2):
        ...     print(batch.indices, batch.weights)
        [4 2] [1. 1.]
        [7 4] [1. 0.]
    """
    if len(order) == 0 or batch_size < 1:
        raise ValueError(f"cannot cut {len(order)} examples into batches of {batch_size}")
    for start in range(0, len(order), batch_size):
        places = np.arange(start, start + batch_size)
        weights = (places < len(order)).astype(np.float32)
        yield Batch(order[places % len(order)], weights)
