"""Optimisers by name."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import keras

from photofinish.config import TrainingSettings
from photofinish.models import build_with_initial_values

OPTIMIZERS: dict[str, Callable[..., keras.optimizers.Optimizer]] = {
    "adam": keras.optimizers.Adam,
    # The one that insists on a number.
    "adamw": lambda weight_decay, **options: keras.optimizers.AdamW(weight_decay=weight_decay or 0.0, **options),
    "sgd": lambda **options: keras.optimizers.SGD(momentum=0.9, nesterov=True, **options),
    # As the EfficientNet papers train: decay 0.9, momentum 0.9, epsilon 1e-3.
    "rmsprop": lambda **options: keras.optimizers.RMSprop(rho=0.9, momentum=0.9, epsilon=1e-3, **options),
}


def build_optimizer(settings: TrainingSettings, variables: Sequence[Any]) -> keras.optimizers.Optimizer:
    """Build the optimiser and its state.

    Args:
        settings: Its name, rate and weight decay.
        variables: The variables it is to change.
    """
    optimizer = OPTIMIZERS[settings.optimizer](
        learning_rate=settings.learning_rate, weight_decay=settings.weight_decay or None
    )
    if settings.weight_decay:
        optimizer.exclude_from_weight_decay(var_list=[variable for variable in variables if not is_kernel(variable)])

    def build() -> keras.optimizers.Optimizer:
        optimizer.build(variables)
        return optimizer

    return build_with_initial_values(build, seed=None)


def is_kernel(variable: Any) -> bool:
    """Return whether weight decay applies: to kernels, not to biases and BatchNormalization's scales and offsets."""
    return len(variable.shape) > 1


def states_of(optimizer: keras.optimizers.Optimizer, variables: Sequence[Any]) -> list[Any]:
    """Return what a built optimiser keeps for these of its variables, in their order: momenta and the like.

    Keras says only what it keeps in all; the lists with one place for each variable are found among its attributes.
    """
    known = optimizer._trainable_variables  # noqa: SLF001  # Keras has no public way from a variable to its state
    places = {id(variable): place for place, variable in enumerate(known)}
    kept = {id(variable) for variable in optimizer.variables}
    lists = [
        value
        for value in vars(optimizer).values()
        if isinstance(value, list) and len(value) == len(known) and all(id(one) in kept for one in value)
    ]
    return [one[places[id(variable)]] for variable in variables for one in lists]
