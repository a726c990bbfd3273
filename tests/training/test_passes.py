"""A step in several passes is the step of the whole batch, and is applied whole or not at all."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
from keras import ops

from photofinish.config import TrainingSettings
from photofinish.data import PreparedData, epoch_order
from photofinish.models import build_with_initial_values
from photofinish.runs import EpochRecord, unheard
from photofinish.training import train

Array = np.ndarray[Any, Any]
Few = Callable[[int], PreparedData]
SEED, BATCH = 3, 8


def network(*, norm: bool = False) -> keras.Model:
    def assemble() -> keras.Model:
        # Initial values follow from names.
        layers = keras.layers
        x = inputs = keras.Input((8, 8, 3))
        x = layers.Rescaling(1 / 128, -1)(x)
        # Infinity for a picture that is all white.
        x = x / (1 - ops.cast(ops.min(x, axis=(1, 2, 3), keepdims=True) > 0.99, "float32"))
        x = layers.Conv2D(6, 3, strides=2, kernel_regularizer=keras.regularizers.L2(0.01), name="conv")(x)
        if norm:
            x = layers.BatchNormalization(momentum=0.9, name="bn")(x)
        return keras.Model(inputs, layers.Dense(10, name="head")(layers.Flatten()(layers.ReLU()(x))))

    return build_with_initial_values(assemble, 0)


def trained(
    data: PreparedData, micro_batch_size: int | None, *, norm: bool = False, **changes: Any
) -> tuple[list[Array], list[EpochRecord], int]:
    model, records = network(norm=norm), list[EpochRecord]()
    asked = {"epochs": 2, "batch_size": BATCH, "micro_batch_size": micro_batch_size, "optimizer": "sgd"}
    settings = TrainingSettings.of({**asked, "learning_rate": 0.05, "reestimate_statistics": "never", **changes})
    outcome = train(model, data, 8, settings, SEED, record=records.append, notify=unheard)
    values = [np.array(ops.convert_to_numpy(one.value)) for one in model.variables]
    return values, records, len(outcome.nonfinite_steps)


@pytest.mark.parametrize("micro_batch_size", [4, 1])
def test_passes_give_the_weights_and_figures_of_the_whole_batch(few: Few, micro_batch_size: int) -> None:
    # The last batch has three pictures; mixing takes partners from the whole batch.
    data, changes = few(2 * BATCH + 3), {"label_smoothing": 0.1, "mixup": 0.4, "flip": True, "ema_decay": 0.9}
    whole, figures, _ = trained(data, None, **changes)
    parts, others, _ = trained(data, micro_batch_size, **changes)
    for one, other in zip(whole, parts, strict=True):
        np.testing.assert_allclose(other, one, rtol=1e-5, atol=1e-6)
    for epoch, other_epoch in zip(figures, others, strict=True):
        assert other_epoch.train_loss == pytest.approx(epoch.train_loss, rel=1e-5)
        assert other_epoch.train_accuracy == epoch.train_accuracy


def test_batch_normalization_sees_one_pass_at_a_time(few: Few) -> None:
    data = few(BATCH)
    whole, _, _ = trained(data, None, norm=True, epochs=1)
    parts, _, _ = trained(data, 4, norm=True, epochs=1)
    differences = [float(np.abs(one - other).max()) for one, other in zip(whole, parts, strict=True)]
    assert max(differences) > 1e-3


def test_one_pass_that_is_not_finite_takes_back_the_whole_step(few: Few) -> None:
    data = few(2 * BATCH)
    train_indices = data.splits["train"]
    images = np.array(data.images)
    # In the last pass of the second step: BatchNormalization's averages had moved in the passes before it.
    images[train_indices[epoch_order(2 * BATCH, SEED, 1)[2 * BATCH - 1]]] = 255
    marked = dataclasses.replace(data, images=images)
    changes = {"epochs": 1, "norm": True, "on_nonfinite": "lower-rate"}
    spoilt, (epoch,), count = trained(marked, 2, **changes)
    kept = epoch_order(2 * BATCH, SEED, 1)[:BATCH]
    assert count == 1
    assert all(np.isfinite(one).all() for one in spoilt)
    # As if there had been the first step alone: the same pictures in the same order.
    first = _first_step_alone(data, train_indices[kept])
    for one, other in zip(first, spoilt, strict=True):
        np.testing.assert_allclose(other, one, rtol=1e-6, atol=1e-7)
    assert np.isfinite(epoch.train_loss)


def _first_step_alone(data: PreparedData, indices: Array) -> list[Array]:
    order = epoch_order(BATCH, SEED, 1)
    placed = np.empty_like(indices)
    placed[order] = indices
    alone = dataclasses.replace(data, splits={**data.splits, "train": placed})
    values, _, _ = trained(alone, 2, norm=True, epochs=1)
    return values
