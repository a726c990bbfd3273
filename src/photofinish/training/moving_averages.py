"""BatchNormalization's averages estimated anew, and the moving average of all weights."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray

from photofinish import backend
from photofinish.models import all_layers

# Enough for the mean over batches to be steady, few enough to cost little.
REESTIMATION_EXAMPLES = 1024


class WeightAverage:
    """An exponential moving average of all weights, BatchNormalization's averages included.

    As in the official EfficientNet code the decay begins small: `min(decay, (1 + step) / (10 + step))`.

    Args:
        model: Its floating-point variables are averaged.
        decay: Share of the old average kept at each step.
    """

    def __init__(self, model: keras.Model, decay: float) -> None:
        self.decay = decay
        self.sources = [variable for variable in model.variables if "float" in str(variable.dtype)]
        self.variables = [
            keras.Variable(ops.convert_to_numpy(variable.value), trainable=False, name=f"average_{number}")
            for number, variable in enumerate(self.sources)
        ]

    def decay_at(self, step: int) -> float:
        """Return the decay of a step; the first is step 0."""
        return min(self.decay, (1 + step) / (10 + step))

    def of(self, variables: Sequence[Any]) -> list[tuple[Any, Any]]:
        """Return the averages of these variables, each with its variable; what is not averaged is left out."""
        wanted = {id(variable) for variable in variables}
        pairs = zip(self.variables, self.sources, strict=True)
        return [(average, source) for average, source in pairs if id(source) in wanted]

    def update(self, decay: Any, pairs: Iterable[tuple[Any, Any]] | None = None) -> None:
        """Move the averages towards the weights. Part of a compiled step.

        Args:
            decay: Share of the old average that is kept.
            pairs: Averages with their variables, from `of`; None moves all.
        """
        for average, source in zip(self.variables, self.sources, strict=True) if pairs is None else pairs:
            average.assign(average * decay + ops.cast(source.value, average.dtype) * (1 - decay))

    @contextlib.contextmanager
    def in_place(self) -> Iterator[None]:
        """Let the averages stand in for the weights."""
        self.swap()
        try:
            yield
        finally:
            self.swap()

    def swap(self) -> None:
        """Exchange averages and weights."""
        for average, source in zip(self.variables, self.sources, strict=True):
            kept = ops.convert_to_numpy(source.value).copy()
            source.assign(ops.convert_to_numpy(average.value).copy())
            average.assign(kept)


def reestimate_statistics(
    model: keras.Model,
    prepare: Callable[[Any], Any],
    batches: Iterable[NDArray[np.uint8]],
    notify: Callable[[int], None],
    kept_as: str | None = None,
) -> bool:
    """Replace BatchNormalization's moving averages by the mean over batches of training pictures.

    A short run ends before a moving average has converged; the network is then evaluated with statistics it never
    saw. Dropout and stochastic depth are off, so that the statistics are those of the network that is evaluated
    (Wu and Johnson 2021, "Rethinking Batch in BatchNorm", section 3.2, call the estimate PreciseBN).

    Args:
        model: The trained network.
        prepare: Applied to each batch on the device before the model.
        batches: Training pictures, each (batch, height, width, 3), all of one shape.
        notify: Is told how many batches are done.
        kept_as: As for `backend.compiled`.

    Returns:
        Whether the network has any such averages.
    """
    # A frozen layer computes with its averages in training too, and so needs no others.
    layers = [
        layer for layer in all_layers(model) if isinstance(layer, keras.layers.BatchNormalization) and layer.trainable
    ]
    if not layers:
        return False
    averages = [(average, layer.momentum) for layer in layers for average in (layer.moving_mean, layer.moving_variance)]
    sums: list[NDArray[np.float64]] = [np.zeros(average.shape) for average, _ in averages]

    def step(images: Any) -> list[Any]:
        for average, _ in averages:
            average.assign(ops.zeros_like(average.value))
        model(prepare(images), training=True)
        # From zero, one update leaves (1 - momentum) times the batch's own statistic.
        return [average.value / (1 - momentum) for average, momentum in averages]

    count = 0
    with _without_dropout(model), backend.no_gradient():
        compiled = backend.compiled(step, model.variables, kept_as=kept_as)
        for images in batches:
            for total, statistic in zip(sums, compiled(images), strict=True):
                np.add(total, ops.convert_to_numpy(statistic), out=total)
            count += 1
            notify(count)
    for (average, _), total in zip(averages, sums, strict=True):
        average.assign((total / count).astype("float32"))
    return True


@contextlib.contextmanager
def _without_dropout(model: keras.Model) -> Iterator[None]:
    """Switch off dropout and stochastic depth while a step is traced."""
    layers: Sequence[Any] = [layer for layer in all_layers(model) if isinstance(layer, keras.layers.Dropout)]
    rates = [layer.rate for layer in layers]
    for layer in layers:
        layer.rate = 0
    try:
        yield
    finally:
        for layer, rate in zip(layers, rates, strict=True):
            layer.rate = rate
