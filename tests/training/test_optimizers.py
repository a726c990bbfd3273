"""Optimisers: the update each name promises, and weight decay where it belongs."""

from __future__ import annotations

from typing import Any, get_args

import keras
import numpy as np
import pytest

from photofinish.config import TrainingSettings
from photofinish.config.settings import OptimizerName
from photofinish.training.optimizers import OPTIMIZERS, build_optimizer

Array = np.ndarray[Any, Any]
RATE = 0.1


def variables() -> list[keras.Variable]:
    return [
        keras.Variable(np.full((2, 2), 2.0, np.float32), name="kernel"),
        keras.Variable(np.full((2,), 2.0, np.float32), name="bias"),
        keras.Variable(np.full((2,), 2.0, np.float32), name="gamma"),
    ]


def after(name: str, gradients: list[float], decay: float = 0.0) -> list[Array]:
    """Apply a few equal gradients to each variable."""
    changed = variables()
    settings = TrainingSettings(optimizer=name, learning_rate=RATE, weight_decay=decay)
    optimizer = build_optimizer(settings, changed)
    for gradient in gradients:
        optimizer.apply([np.full(v.shape, gradient, np.float32) for v in changed], changed)
    return [np.array(v.value) for v in changed]


def adam(gradients: list[float]) -> float:
    weight, first, second = 2.0, 0.0, 0.0
    for step, gradient in enumerate(gradients, start=1):
        first, second = 0.9 * first + 0.1 * gradient, 0.999 * second + 0.001 * gradient**2
        weight -= RATE * (first / (1 - 0.9**step)) / (np.sqrt(second / (1 - 0.999**step)) + 1e-7)
    return weight


def sgd(gradients: list[float]) -> float:
    weight, velocity = 2.0, 0.0
    for gradient in gradients:
        velocity = 0.9 * velocity - RATE * gradient
        weight += 0.9 * velocity - RATE * gradient
    return weight


def rmsprop(gradients: list[float]) -> float:
    weight, square, momentum = 2.0, 0.0, 0.0
    for gradient in gradients:
        square = 0.9 * square + 0.1 * gradient**2
        momentum = 0.9 * momentum + RATE * gradient / np.sqrt(square + 1e-3)
        weight -= momentum
    return weight


BY_HAND = {"adam": adam, "adamw": adam, "sgd": sgd, "rmsprop": rmsprop}


def test_every_optimiser_is_worked_out_by_hand() -> None:
    assert set(BY_HAND) == set(OPTIMIZERS) == set(get_args(OptimizerName))


@pytest.mark.parametrize("name", BY_HAND)
def test_updates_are_those_worked_out_by_hand(name: str) -> None:
    gradients = [0.5, -0.2, 0.7]
    for value in after(name, gradients):
        np.testing.assert_allclose(value, BY_HAND[name](gradients), rtol=1e-5)


@pytest.mark.parametrize("name", BY_HAND)
def test_weight_decay_shrinks_kernels_by_the_rate_and_leaves_biases_and_scales_alone(name: str) -> None:
    kernel, bias, gamma = after(name, [0.0], decay=0.5)
    np.testing.assert_allclose(kernel, 2 * (1 - RATE * 0.5), rtol=1e-6)
    assert (bias == 2).all()
    assert (gamma == 2).all()


def test_without_weight_decay_even_adamw_leaves_kernels_alone() -> None:
    assert all((value == 2).all() for value in after("adamw", [0.0]))
