"""Weights whose BatchNormalization was folded into the convolutions, made fit for training.

Such a file has mean 0 and variance 1 in every BatchNormalization. That is right for prediction; in training the
statistics of a batch take their place, and would rescale every layer.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray

from photofinish import backend
from photofinish.models import all_layers


def is_folded(model: keras.Model) -> bool:
    """Return whether every BatchNormalization has mean 0 and variance 1, as after folding (and before any training)."""
    layers = _normalisations(model)
    return bool(layers) and all(
        layer.scale
        and layer.center
        and (ops.convert_to_numpy(layer.moving_mean.value) == 0).all()
        and (ops.convert_to_numpy(layer.moving_variance.value) == 1).all()
        for layer in layers
    )


def unfold(
    model: keras.Model,
    prepare: Callable[[Any], Any],
    batches: Sequence[NDArray[np.uint8]],
    kept_as: str | None = None,
) -> None:
    """Give every BatchNormalization the statistics of its real inputs without changing what the network predicts.

    With the inputs' mean m and variance v in place of the old m0 and v0, `gamma * sqrt((v + e) / (v0 + e))` and
    `beta + gamma * (m - m0) / sqrt(v0 + e)` leave `gamma * (x - m0) / sqrt(v0 + e) + beta` as it was. The statistics
    are those of the network as it predicts, over all the pictures given.

    Args:
        model: A functional network; its BatchNormalizations are changed.
        prepare: Applied to each batch on the device before the model.
        batches: Training pictures, each (batch, height, width, 3), all of one shape.
        kept_as: What decides the network's programs besides shapes, in words, as for `backend.compiled`.
    """
    layers = _normalisations(model)
    probe = keras.Model(model.input, [layer.input for layer in layers])

    def step(images: Any) -> list[tuple[Any, Any]]:
        outputs = [ops.cast(x, "float32") for x in probe(prepare(images), training=False)]
        return [(ops.mean(x, axis=(0, 1, 2)), ops.mean(ops.square(x), axis=(0, 1, 2))) for x in outputs]

    with backend.no_gradient():
        kept_as = None if kept_as is None else f"statistics of {kept_as}"
        compiled = backend.compiled(step, probe.variables, assigns=False, kept_as=kept_as)
        sums = [[np.zeros(layer.moving_mean.shape), np.zeros(layer.moving_mean.shape)] for layer in layers]
        for images in batches:
            for total, statistics in zip(sums, compiled(images), strict=True):
                for place, statistic in enumerate(statistics):
                    total[place] += ops.convert_to_numpy(statistic)
    for layer, (first, second) in zip(layers, sums, strict=True):
        mean = first / len(batches)
        _exchange(layer, mean, np.maximum(second / len(batches) - mean**2, 0.0))


def _exchange(layer: keras.layers.BatchNormalization, mean: NDArray[Any], variance: NDArray[Any]) -> None:
    """Set a layer's statistics and adapt its scale and offset."""
    old_mean, old_variance, gamma, beta = (
        ops.convert_to_numpy(variable.value).astype(np.float64)
        for variable in (layer.moving_mean, layer.moving_variance, layer.gamma, layer.beta)
    )
    deviation = np.sqrt(old_variance + layer.epsilon)
    layer.beta.assign((beta + gamma * (mean - old_mean) / deviation).astype(np.float32))
    layer.gamma.assign((gamma * np.sqrt(variance + layer.epsilon) / deviation).astype(np.float32))
    layer.moving_mean.assign(mean.astype(np.float32))
    layer.moving_variance.assign(variance.astype(np.float32))


def _normalisations(model: keras.Model) -> list[keras.layers.BatchNormalization]:
    return [layer for layer in all_layers(model) if isinstance(layer, keras.layers.BatchNormalization)]
