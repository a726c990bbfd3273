"""Steps whose loss or gradient is not a finite number: never applied, and told with their pictures.

A step is judged inside the compiled program, where its outcome is still at hand: nothing that it would have spoilt is
written. The host learns of it from the sums that every step returns, later and at no cost, and from its place among
them exactly which step it was.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray

from photofinish import backend
from photofinish.errors import TrainingError
from photofinish.runs import NonFiniteStep

MOST_HALVINGS = 10
"""A thousandth of the rate is left then, and what still explodes is no matter of the rate."""

MOST_NAMED = 5
MATRIX = 2
# What a step's last sum says, 0 for one that was applied.
REASONS = {1: "the loss is nan", 2: "the loss is inf", 3: "a gradient is not a finite number"}

Kept = list[tuple[Any, Any]]


class Guard:
    """Keeps what a step changes, in case it must not.

    Attributes:
        scale: What is left of the learning rate, halved by every step that is not applied, or None where the first such
            step ends the training. It lives on the device, so that the next step has it, whenever the host looks.
    """

    def __init__(self, *, lowers_rate: bool) -> None:
        self.scale = keras.Variable(1.0, trainable=False, dtype="float32", name="rate_scale") if lowers_rate else None

    @property
    def variables(self) -> list[Any]:
        """What a compiled step assigns besides the network and its optimisers."""
        return [] if self.scale is None else [self.scale]

    def rate(self, rate: Any) -> Any:
        """Return what is left of a learning rate. Part of a compiled step."""
        return rate if self.scale is None else rate * self.scale.value

    def keep(self, variables: Sequence[Any]) -> Kept:
        """Remember the values of what changes before a step is judged. Part of a compiled step, before it does."""
        return [(variable, backend.value_now(variable)) for variable in variables]

    def settle(
        self, kept: Kept, update: Callable[[], None], updated: Sequence[Any], sums: Any, gradients: Sequence[Any]
    ) -> Any:
        """Make what the step changes final, or take it back. Part of a compiled step.

        It is decided once for all variables, not value by value: a choice between old and new in every place would
        need both, and took a quarter of a step of EfficientNetV2-B0 (32x32 pixels, batch 32, 2 cores).

        Args:
            kept: What `keep` returned.
            update: Changes everything else by the gradients.
            updated: The variables that `update` assigns.
            sums: Of losses, number right, number of pictures.
            gradients: Of the loss; None for a variable that it does not depend on.

        Returns:
            The sums, zeros where the step does not count, and the number of the reason in `REASONS`, or 0.
        """
        reason = self.reason(sums[0], [size_of(gradients)])
        is_finite = ops.equal(reason, 0)
        changed = self.keep([variable for variable, _ in kept])
        for variable, old in kept:
            variable.assign(old)

        def make_final() -> None:
            for variable, new in changed:
                variable.assign(new)
            update()

        backend.only_if(is_finite, make_final, [*(variable for variable, _ in kept), *updated])
        self.lower(reason)
        return told(sums, reason)

    def reason(self, loss: Any, sizes: Sequence[Any]) -> Any:
        """Judge a step: return the number of the reason in `REASONS` why it must not be applied, or 0.

        Args:
            loss: The step's.
            sizes: Of its gradients, from `size_of`.
        """
        is_sound = ops.isfinite(sum(sizes[1:], sizes[0]))
        of_loss = ops.where(ops.isnan(loss), 1.0, 2.0)
        return ops.cast(ops.where(ops.isfinite(loss), ops.where(is_sound, 0.0, 3.0), of_loss), "float32")

    def lower(self, reason: Any) -> None:
        """Halve what is left of the learning rate after a step that is not applied. Part of a compiled step."""
        if self.scale is not None:
            self.scale.assign(ops.where(ops.equal(reason, 0), self.scale.value, self.scale.value / 2))


def size_of(gradients: Sequence[Any]) -> Any:
    """Return a number that is finite exactly where all gradients are.

    The sum of absolute values is; that of squares overflows long before.

    Args:
        gradients: None for a variable that the loss does not depend on.
    """
    slopes = [ops.cast(slope, "float32") for slope in gradients if slope is not None]
    # A network has hundreds of vectors: a program for each would take longer to compile, and to begin, than to compute.
    vectors = [ops.reshape(slope, (-1,)) for slope in slopes if len(slope.shape) < MATRIX]
    large = [slope for slope in slopes if len(slope.shape) >= MATRIX]
    joined = [ops.concatenate(vectors)] if vectors else []
    return sum((ops.sum(ops.abs(slope)) for slope in (*large, *joined)), ops.zeros(()))


def told(sums: Any, reason: Any) -> Any:
    """Return what a step tells the host: its sums, zeros where it does not count, and the reason's number.

    Args:
        sums: Of losses, number right, number of pictures.
        reason: From `Guard.reason`.
    """
    counted = ops.where(ops.equal(reason, 0), sums, ops.zeros_like(sums))
    return ops.concatenate([counted, ops.reshape(reason, (1,))])


@dataclass(frozen=True, eq=False)
class Shown:
    """What an epoch shows.

    Attributes:
        epoch: 1 for the first.
        first_step: Steps taken before it.
        names: Of all pictures.
        places: Of the pictures in `names`, in the order in which they are shown.
        batch_size: Pictures in a step.
    """

    epoch: int
    first_step: int
    names: NDArray[np.str_]
    places: NDArray[np.int64]
    batch_size: int

    def not_applied(self, place: int, reason: int, rate: float) -> NonFiniteStep:
        """Say which step it was, and which pictures it saw.

        Args:
            place: Of the step in the epoch, 0 for the first.
            reason: Its number in `REASONS`.
            rate: The learning rate at which it would have been applied.
        """
        names = self.names[self.places[place * self.batch_size : (place + 1) * self.batch_size]]
        return NonFiniteStep(
            step=self.first_step + place + 1,
            epoch=self.epoch,
            reason=REASONS[reason],
            learning_rate=rate,
            pictures=tuple(map(str, names)),
        )


def require_few(steps: Sequence[NonFiniteStep], *, lowers_rate: bool) -> None:
    """Stop a training that was not asked to go on after such a step, or that does not get better.

    Args:
        steps: Those that were not applied so far.
        lowers_rate: Whether to go on at half the learning rate.

    Raises:
        TrainingError: It is to stop. The log has the names of all pictures of the last batch.
    """
    if not steps or (lowers_rate and len(steps) <= MOST_HALVINGS):
        return
    last = steps[MOST_HALVINGS if lowers_rate else 0]
    named = ", ".join(last.pictures[:MOST_NAMED])
    more = f", ... ({len(last.pictures)} in all, named in the log)" if len(last.pictures) > MOST_NAMED else ""
    where = f"{last.reason} at step {last.step}, in epoch {last.epoch}, learning rate {last.learning_rate:.3g}"
    if lowers_rate:
        remedy = f"the rate was halved {MOST_HALVINGS} times before: look at these pictures and at the model"
    else:
        remedy = (
            "try a smaller learning rate or some warm-up epochs, look at these pictures, or go on at half the rate "
            "with on_nonfinite=lower-rate"
        )
    error = TrainingError(f"{where}; its update was not applied. Its pictures: {named}{more}; {remedy}")
    error.add_note(f"pictures of step {last.step}: {', '.join(last.pictures)}")
    raise error
