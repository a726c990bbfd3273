"""Doing something with every picture, by several threads, in order, and in little memory."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from photofinish.data.decode import UnreadablePictureError
from photofinish.data.listing import Pictures

Result = TypeVar("Result")
Size = tuple[int, int]

_CHUNK = 64
_TINY = 64
_MOST_THREADS = 16


def in_order(
    function: Callable[[int], Result], places: NDArray[np.int64], *, threads: int, window: int
) -> Iterator[tuple[int, Result]]:
    """Yield each place with what a function makes of it.

    Args:
        function: Is called by several threads at once.
        places: What it is called with.
        threads: How many threads.
        window: How many results may wait at the same time, whatever the number of places.
    """

    def of_each(chosen: Sequence[int]) -> list[Result]:
        return [function(place) for place in chosen]

    window = max(threads, window)
    chunk = max(1, min(_CHUNK, window // threads))
    with ThreadPoolExecutor(threads) as pool:
        for start in range(0, len(places), window):
            chosen = places[start : start + window].tolist()
            chunks = [chosen[i : i + chunk] for i in range(0, len(chosen), chunk)]
            for part, results in zip(chunks, pool.map(of_each, chunks), strict=True):
                yield from zip(part, results, strict=True)


def first_size(pictures: Pictures, places: NDArray[np.int64]) -> Size | None:
    """Return height and width of the first picture that decodes."""
    for place in places:
        try:
            height, width, _ = pictures.picture(int(place), None).shape
        except UnreadablePictureError:
            continue
        return height, width
    return None


def threads_for(size: Size | None) -> int:
    """Return how many threads to decode pictures with, given the size of one of them.

    A tiny picture takes less time to decode than threads take to hand the interpreter's lock around.
    """
    return 1 if size is not None and max(size) <= _TINY else min(_MOST_THREADS, os.cpu_count() or 1)
