"""One training step, compiled: of the whole batch at once, or in several passes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from photofinish import backend
from photofinish.training.parts import Learner, Parts, as_pictures
from photofinish.training.passes import StepInPasses
from photofinish.training.stages import Conditions


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
    if learner.settings.passes > 1:
        return StepInPasses(Parts(learner, conditions), learner.settings.passes, kept_as)
    step, assigned = whole_step(learner, conditions)
    return backend.compiled(step, assigned, kept_as=kept_as)


def whole_step(learner: Learner, conditions: Conditions) -> tuple[Callable[..., Any], list[Any]]:
    """Return the step of a whole batch, not yet compiled, and the variables that it assigns.

    Args:
        learner: As for `compile_step`.
        conditions: Likewise.
    """
    parts = Parts(learner, conditions)

    def step(images: Any, labels: Any, weights: Any, draws: Any, rate: Any, decay: Any) -> tuple[Any, Any]:
        kept = learner.guard.keep(parts.moving)
        seen, targets = parts.prepare(images, labels, draws)
        sums, gradients = parts.slopes(seen, targets, weights)
        with backend.no_gradient():
            sums = parts.settle(kept, sums, gradients, rate, decay)
        return sums, as_pictures(seen)

    return step, parts.assigned
