"""What a training step is made of: augment, mix, differentiate, update."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import keras
from keras import ops

from photofinish import backend
from photofinish.config import TrainingSettings
from photofinish.data.augment import augment, mix
from photofinish.training.losses import cross_entropy, smoothed_targets
from photofinish.training.moving_averages import WeightAverage
from photofinish.training.nonfinite import Guard, Kept
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

    def optimizers_of(self, variables: Sequence[Any]) -> list[tuple[keras.optimizers.Optimizer, list[Any]]]:
        """Return the optimisers of these variables, with those of them that each one has."""
        wanted = {id(variable) for variable in variables}
        shares = [(one, [variable for variable in its if id(variable) in wanted]) for one, its in self.optimizers]
        return [(one, its) for one, its in shares if its]

    def prepared(self, conditions: Conditions, images: Any, labels: Any, draws: Any) -> tuple[Any, Any]:
        """Augment and mix a batch; return what the network sees and the targets. Part of a compiled step."""
        targets = smoothed_targets(labels, self.classes, self.settings.label_smoothing)
        if self.settings.train == "head":
            return images, targets
        seen = augment(images, draws, conditions.augmentation, conditions.image_size)
        return mix(seen, targets, draws, conditions.augmentation)

    def judged(self, logits: Any, targets: Any, weights: Any) -> tuple[Any, Any]:
        """Return the loss of a batch and its sums: of losses, number right, number of pictures. Part of a step.

        The loss is divided by the batch size, not by the pictures that count: each weighs the same all through
        an epoch.
        """
        logits = ops.cast(logits, "float32")
        losses = cross_entropy(targets, logits) * weights
        right = ops.cast(ops.equal(ops.argmax(logits, axis=-1), ops.argmax(targets, axis=-1)), "float32")
        sums = ops.stack([ops.sum(losses), ops.sum(right * weights), ops.sum(weights)])
        return ops.sum(losses) / self.settings.batch_size, sums

    def update(
        self,
        optimizers: Sequence[tuple[keras.optimizers.Optimizer, Sequence[Any]]],
        gradients: Mapping[int, Any],
        rate: Any,
    ) -> None:
        """Let optimisers change variables, some of them by a share of the learning rate only. Part of a compiled step.

        Every update of every optimiser, weight decay included, is in proportion to the rate, so that going a share of
        the way is the same as a smaller rate.

        Args:
            optimizers: With their variables.
            gradients: By the `id` of a variable.
            rate: The learning rate.
        """
        for optimizer, variables in optimizers:
            optimizer.learning_rate = self.guard.rate(rate)
            slowed = [(one, self.rates[id(one)]) for one in variables if id(one) in self.rates]
            before = [backend.value_now(variable) for variable, _ in slowed]
            optimizer.apply([gradients[id(variable)] for variable in variables], list(variables))
            for (variable, share), old in zip(slowed, before, strict=True):
                variable.assign(old + share * (variable.value - old))


class Parts:
    """What a step is made of, to be traced into one program or into several.

    Args:
        learner: What is trained; what its model says is trainable now is.
        conditions: What stays the same in this stage.

    Attributes:
        variables: Those that are trained.
        untrained: The other variables of the model.
        moving: Averages of BatchNormalization, which a step that is not applied takes back. Generators go on, so that
            the next step draws anew.
        updated: What the update assigns.
        assigned: Everything that a step assigns.
    """

    def __init__(self, learner: Learner, conditions: Conditions) -> None:
        self.learner, self.conditions = learner, conditions
        model, average = learner.model, learner.average
        self.variables = model.trainable_variables
        trained = {id(variable) for variable in self.variables}
        self._optimizers = learner.optimizers_of(self.variables)
        states = [variable for optimizer, _ in self._optimizers for variable in optimizer.variables]
        averages = average.variables if average else []
        self.untrained = [one for one in model.variables if id(one) not in trained]
        self.moving = [one for one in self.untrained if "float" in str(one.dtype)]
        self.updated = [*self.variables, *states, *averages]
        self.assigned = [*model.variables, *states, *averages, *learner.guard.variables]

    def prepare(self, images: Any, labels: Any, draws: Any) -> tuple[Any, Any]:
        """Return a batch as the network sees it, and what it is to answer."""
        return self.learner.prepared(self.conditions, images, labels, draws)

    def slopes(self, seen: Any, targets: Any, weights: Any) -> tuple[Any, list[Any]]:
        """Return the sums and the gradients of pictures that pass through the network at once."""
        model, settings = self.learner.model, self.learner.settings

        def objective() -> tuple[Any, Any]:
            loss, sums = self.learner.judged(model(seen, training=True), targets, weights)
            return loss + sum(model.losses) / settings.passes, sums

        return backend.gradients(objective, self.variables)

    def settle(self, kept: Kept, sums: Any, gradients: Sequence[Any], rate: Any, decay: Any) -> Any:
        """Update everything, or take the step back where it was not finite; return what the host is told."""
        learner = self.learner
        by_variable = {id(variable): slope for variable, slope in zip(self.variables, gradients, strict=True)}

        def update() -> None:
            learner.update(self._optimizers, by_variable, rate)
            if learner.average:
                learner.average.update(decay)

        return learner.guard.settle(kept, update, self.updated, sums, gradients)


def as_pictures(seen: Any) -> Any:
    """Return the first pictures as they are stored; of features, whatever becomes of them is not looked at."""
    return ops.cast(ops.clip(ops.round(seen[:SHOWN]), 0, 255), "uint8")
