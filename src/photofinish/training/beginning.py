"""A long training of a deep network begins segment by segment, while its one program is compiled behind it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras

from photofinish import backend
from photofinish.training.chained import compile_chained_step, links_and_spared
from photofinish.training.parts import Learner
from photofinish.training.stages import Conditions
from photofinish.training.step import whole_step

BEGINNING = 16
"""Steps of a stage that are taken segment by segment. A number, and not however many are taken until the program is
there: the two round differently, and the same seed is to give the same weights."""

WORTHWHILE = 25.0
"""Seconds that must be spared before the first step: EfficientNetV2-S and larger networks."""


def begins_chained(model: keras.Model) -> bool:
    """Return whether a long training of a network begins segment by segment.

    Args:
        model: The network.
    """
    if not backend.chains():
        return False
    _, spared = links_and_spared(model)
    return spared > WORTHWHILE


class StepWithBeginning:
    """The step of a stage: the first ones segment by segment, the others in one program.

    Args:
        learner: What is trained; what its model says is trainable now is.
        conditions: What stays the same in this stage.
        kept_as: Everything that decides the program besides the shapes of its arguments, in words.
        taken: Steps of the stage that were taken before, by another process.
    """

    def __init__(self, learner: Learner, conditions: Conditions, kept_as: str, taken: int) -> None:
        step, assigned = whole_step(learner, conditions)
        self._whole = backend.ProgramBehind(step, assigned, kept_as)
        self._taken = taken
        self._chained: Callable[..., Any] | None = None
        if taken < BEGINNING:
            self._chained = compile_chained_step(learner, conditions, kept_as)

    @property
    def waits_for_program(self) -> bool:
        """Whether the next step is the first in one program."""
        return self._chained is not None and self._taken == BEGINNING

    def is_ready_within(self, seconds: float) -> bool:
        """Wait so long for the one program; return whether it is there."""
        return self._whole.is_ready_within(seconds)

    def __call__(self, *arguments: Any) -> Any:
        """Take a step, as what `compile_step` returns does."""
        if self.waits_for_program:
            self._chained = None
        self._taken += 1
        if self._chained is None:
            return self._whole(*arguments)
        outputs = self._chained(*arguments)
        # After the first step: to have it soon is what this is for.
        self._whole.begin(*arguments)
        return outputs

    def close(self) -> None:
        """Give up a program that is not needed any more."""
        self._whole.close()
