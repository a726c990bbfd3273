"""Predicting every picture exactly once, in batches of one fixed shape."""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from photofinish import backend

LARGEST_BATCH = 256
MANY = 1 << 20
"""Pictures in a set so large that nothing but speed and memory limits a batch."""

PIXELS_PER_BATCH = 1 << 21
# On a processor, what a batch leaves between two layers should stay in the cache: EfficientNetV2-B0 predicts 56
# pictures of 224x224 pixels per second in batches of 8 and 42 in batches of 41 (`benchmarks/prediction_batch.py`).
PIXELS_PER_BATCH_ON_CPU, SMALLEST_BATCH_ON_CPU = 1 << 18, 8


@dataclass(frozen=True)
class Predicted:
    """Logits, or features, and how fast they came.

    Attributes:
        logits: (examples, classes) or (examples, channels), float32.
        batch_seconds: Seconds from one batch's logits to the next one's, without the predictor's very first batch,
            which compiles. Of a predictor that waits for each batch this is the latency of a call.
        seconds: Seconds of all batches, compilation included.
    """

    logits: NDArray[np.float32]
    batch_seconds: tuple[float, ...]
    seconds: float


class Predictor:
    """A compiled network that predicts arrays of pictures of any length.

    The last batch is filled up with the first pictures, whose logits are thrown away: one shape, one compilation,
    and every picture counts once. The next batch is gathered and handed to the device before the logits of one are
    read, so that the device is not kept waiting by the host.

    Args:
        model: Takes pictures of 0-255 to logits.
        prepare: Applied to each batch on the device before the model, for example resizing.
        image_size: Height and width the model sees, which limits the batch.
        examples: Number of pictures in the largest set to come, which limits the batch too.
        one_at_a_time: Begin no batch before the logits of the last one are there, to time each alone.
        kept_as: What decides the program besides shapes, in words, as for `backend.compiled`.

    Attributes:
        batch_size: Pictures in a batch.
        from_cache: Whether the program was found compiled in the persistent cache.
    """

    def __init__(
        self,
        model: keras.Model,
        prepare: Callable[[Any], Any],
        image_size: int,
        examples: int,
        *,
        one_at_a_time: bool = False,
        kept_as: str | None = None,
    ) -> None:
        self.batch_size = evaluation_batch_size(image_size, examples)
        self._in_flight = 1 if one_at_a_time else 2

        def step(images: Any) -> Any:
            return keras.ops.cast(model(prepare(images), training=False), "float32")

        kept_as = None if kept_as is None else f"prediction of {kept_as}"
        self._step = backend.compiled(step, model.variables, assigns=False, kept_as=kept_as)
        self._seconds: list[float] = []
        self.from_cache = False

    @property
    def compile_seconds(self) -> float:
        """Seconds that the first batch, which compiles, took beyond the median of the others; with no others 0."""
        return beyond_ordinary(self._seconds)

    def __call__(
        self,
        images: NDArray[np.uint8],
        indices: NDArray[np.int64],
        notify: Callable[[int, int], None] = lambda *_: None,
    ) -> Predicted:
        """Predict some of the pictures.

        Args:
            images: (examples, height, width, 3).
            indices: Which of them, in this order.
            notify: Is told how many are done, and of how many.
        """
        logits, ends = [], [time.perf_counter()]
        first = 0 if self._seconds else 1
        all_found = backend.watch_programs()
        with backend.no_gradient():
            for output in self._outputs(images, indices):
                ends.append(time.perf_counter())
                logits.append(output)
                notify(min(len(logits) * self.batch_size, len(indices)), len(indices))
        seconds = np.diff(ends).tolist()
        self._seconds += seconds
        self.from_cache |= all_found()
        return Predicted(np.concatenate(logits)[: len(indices)], tuple(seconds[first:]), sum(seconds))

    def _outputs(self, images: NDArray[np.uint8], indices: NDArray[np.int64]) -> Iterator[NDArray[np.float32]]:
        """Yield the logits of each batch while the device computes the next one."""
        dispatched: deque[Any] = deque()
        # The first batch of all compiles; alone, it tells what that took.
        in_flight = self._in_flight if self._seconds else 1
        for chosen in self._batches(indices):
            dispatched.append(self._step(images[chosen]))
            if len(dispatched) >= in_flight:
                yield keras.ops.convert_to_numpy(dispatched.popleft())
                in_flight = self._in_flight
        while dispatched:
            yield keras.ops.convert_to_numpy(dispatched.popleft())

    def _batches(self, indices: NDArray[np.int64]) -> Iterator[NDArray[np.int64]]:
        places = np.arange(-(-len(indices) // self.batch_size) * self.batch_size) % len(indices)
        yield from indices[places].reshape(-1, self.batch_size)


def beyond_ordinary(seconds: Sequence[float] | NDArray[np.float64]) -> float:
    """Return what the first of equal pieces of work took beyond the median of the others: what it cost to compile.

    Where there are no others it is not known, and 0.

    Examples:
        >>> beyond_ordinary([5.0, 1.0, 1.2, 0.8]), beyond_ordinary([5.0]), beyond_ordinary([1.0, 2.0])
        (4.0, 0.0, 0.0)
    """
    return max(0.0, float(seconds[0] - np.median(seconds[1:]))) if len(seconds) > 1 else 0.0


def evaluation_batch_size(image_size: int, examples: int, *, on_cpu: bool | None = None) -> int:
    """Return how many pictures to predict at once: what is quick, fits into memory and fills the last batch well.

    Args:
        image_size: Height and width in pixels.
        examples: Number of pictures in the largest set to come.
        on_cpu: Whether a processor computes; None asks the backend.

    Examples:
        >>> [evaluation_batch_size(size, 10_000, on_cpu=False) for size in (32, 224)], evaluation_batch_size(
        ...     32, 300, on_cpu=False
        ... )
        ([250, 41], 150)
        >>> [evaluation_batch_size(size, 10_000, on_cpu=True) for size in (32, 96, 224)]
        [250, 28, 8]
    """
    if on_cpu is None:
        on_cpu = backend.on_cpu()
    largest = PIXELS_PER_BATCH // image_size**2
    if on_cpu:
        largest = max(SMALLEST_BATCH_ON_CPU, PIXELS_PER_BATCH_ON_CPU // image_size**2)
    return math.ceil(examples / math.ceil(examples / max(1, min(LARGEST_BATCH, largest))))
