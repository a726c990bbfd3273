"""One training step: augment, mix, differentiate, update."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import keras
from keras import ops

from photofinish import backend
from photofinish.config import TrainingSettings
from photofinish.data.augment import augment, mix
from photofinish.training.losses import cross_entropy, smoothed_targets
from photofinish.training.moving_averages import WeightAverage
from photofinish.training.nonfinite import Guard
from photofinish.training.stages import Conditions

# So many pictures of a batch are handed back as the network saw them.
SHOWN = 10


@dataclass(frozen=True)
class Learner:
    """What is trained, and with what.

    Attributes:
        model: From pictures of 0-255 (or features) to logits.
        optimizers: For what is trained from the same stage on one each, with its variables: an optimiser that counts
            steps, as Adam does, must not count those before.
        average: The moving average of the weights, or None.
        rates: For a variable's `id` the share of the learning rate it gets, where that is not 1.
        settings: How to train.
        classes: Number of classes.
        guard: Takes back a step whose loss or gradient is not finite.
    """

    model: keras.Model
    optimizers: Sequence[tuple[keras.optimizers.Optimizer, Sequence[Any]]]
    average: WeightAverage | None
    rates: Mapping[int, float]
    settings: TrainingSettings
    classes: int
    guard: Guard


def compile_step(learner: Learner, conditions: Conditions, kept_as: str | None = None) -> Callable[..., Any]:
    """Compile the step of a stage.

    Args:
        learner: What is trained; what its model says is trainable now is.
        conditions: What stays the same in this stage.
        kept_as: As for `backend.compiled`.

    Returns:
        A function of images (batch, height, width, 3) uint8 or features (batch, channels), labels (batch,), weights
        (batch,), draws (batch, DRAWS), the learning rate and the decay of the weights' average. It returns the sums
        (of losses, number right, number of pictures; why the step was not applied, or 0) and the first pictures as the
        network saw them.
    """
    model, average, settings = learner.model, learner.average, learner.settings
    variables = model.trainable_variables
    trained = {id(variable) for variable in variables}
    optimizers = [(one, its) for one, its in learner.optimizers if id(its[0]) in trained]

    states = [variable for optimizer, _ in optimizers for variable in optimizer.variables]
    averages = average.variables if average else []
    # Averages of BatchNormalization; generators go on, so that the next step draws anew.
    moving = [one for one in model.variables if "float" in str(one.dtype) and id(one) not in trained]
    guard = learner.guard

    def step(images: Any, labels: Any, weights: Any, draws: Any, rate: Any, decay: Any) -> tuple[Any, Any]:
        kept = guard.keep(moving)
        targets = smoothed_targets(labels, learner.classes, settings.label_smoothing)
        if settings.train == "head":
            seen = images
        else:
            seen = augment(images, draws, conditions.augmentation, conditions.image_size)
            seen, targets = mix(seen, targets, draws, conditions.augmentation)
        wanted = ops.argmax(targets, axis=-1)

        def objective() -> tuple[Any, Any]:
            logits = ops.cast(model(seen, training=True), "float32")
            losses = cross_entropy(targets, logits) * weights
            right = ops.cast(ops.equal(ops.argmax(logits, axis=-1), wanted), "float32")
            sums = ops.stack([ops.sum(losses), ops.sum(right * weights), ops.sum(weights)])
            # Divided by the batch size, not by the pictures that count: each weighs the same all through an epoch.
            return ops.sum(losses) / settings.batch_size + sum(model.losses), sums

        sums, gradients = backend.gradients(objective, variables)
        with backend.no_gradient():
            by_variable = {id(variable): slope for variable, slope in zip(variables, gradients, strict=True)}

            def update() -> None:
                for optimizer, its in optimizers:
                    optimizer.learning_rate = guard.rate(rate)
                    _apply(optimizer, [by_variable[id(variable)] for variable in its], its, learner.rates)
                if average:
                    average.update(decay)

            sums = guard.settle(kept, update, [*variables, *states, *averages], sums, gradients)
        return sums, _as_pictures(seen[:SHOWN])

    return backend.compiled(step, [*model.variables, *states, *averages, *guard.variables], kept_as=kept_as)


def _as_pictures(seen: Any) -> Any:
    """Return pictures as they are stored; of features, whatever becomes of them is not looked at."""
    return ops.cast(ops.clip(ops.round(seen), 0, 255), "uint8")


def _apply(
    optimizer: keras.optimizers.Optimizer,
    gradients: Sequence[Any],
    variables: Sequence[Any],
    rates: Mapping[int, float],
) -> None:
    """Update the variables, some of them by a share of the learning rate only.

    Every update of every optimiser, weight decay included, is in proportion to the rate, so that going a share of
    the way is the same as a smaller rate.
    """
    slowed = [(variable, rates[id(variable)]) for variable in variables if id(variable) in rates]
    before = [backend.value_now(variable) for variable, _ in slowed]
    optimizer.apply(list(gradients), list(variables))
    for (variable, share), old in zip(slowed, before, strict=True):
        variable.assign(old + share * (variable.value - old))
