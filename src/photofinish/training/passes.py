"""A training step whose batch goes through the network in equal parts, in the memory that one of them takes.

One program prepares the batch, because pictures are mixed with those of all of it; one is run for each part and adds up
its gradients; one updates. A loop inside one program would do the same, but XLA computes the gradients of convolutions
inside a loop without its fast kernels on processors, some thirty times slower (`benchmarks/micro_batches.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from photofinish import backend
from photofinish.training.parts import Parts, as_pictures


class StepInPasses:
    """A step as `compile_step` returns it.

    Args:
        parts: What the step is made of.
        passes: How many parts the batch is divided into.
        kept_as: As for `backend.compiled`.
    """

    def __init__(self, parts: Parts, passes: int, kept_as: str | None) -> None:
        self._parts, self._passes = parts, passes
        # Nothing in these outlives a step, so that no checkpoint needs them.
        self._totals = [_variable_like(one) for one in parts.variables]
        self._sums = keras.Variable(ops.zeros(3), trainable=False)
        self._before = [_variable_like(one) for one in parts.moving]

        def compiled(step: Callable[..., Any], variables: Sequence[Any]) -> Callable[..., Any]:
            kept = None if kept_as is None else f"{step.__name__} of {kept_as}"
            return backend.compiled(step, [*variables, *self._totals, self._sums], kept_as=kept)

        self._begin_compiled = compiled(self._begin, [*parts.moving, *self._before])
        self._add_compiled = compiled(self._add, parts.learner.model.variables)
        self._finish_compiled = compiled(self._finish, [*parts.assigned, *self._before])

    def __call__(self, images: Any, labels: Any, weights: Any, draws: Any, rate: Any, decay: Any) -> tuple[Any, Any]:
        """Take the step."""
        shown, *divided = self._begin_compiled(images, labels, weights, draws)
        for place in range(self._passes):
            self._add_compiled(np.int32(place), *divided)
        return self._finish_compiled(rate, decay), shown

    def _begin(self, images: Any, labels: Any, weights: Any, draws: Any) -> tuple[Any, ...]:
        """Prepare the whole batch, and divide it: each array is (passes, pictures, ...)."""
        with backend.no_gradient():
            for total in (*self._totals, self._sums):
                total.assign(ops.zeros_like(total.value))
            for kept, variable in zip(self._before, self._parts.moving, strict=True):
                kept.assign(backend.value_now(variable))
            seen, targets = self._parts.prepare(images, labels, draws)
            shape = (self._passes, weights.shape[0] // self._passes)
            divided = (ops.reshape(one, (*shape, *one.shape[1:])) for one in (seen, targets, weights))
            return as_pictures(seen), *divided

    def _add(self, place: Any, *divided: Any) -> Any:
        """Add the gradients of one part to those of the parts before it."""
        sums, gradients = self._parts.slopes(*(one[place] for one in divided))
        with backend.no_gradient():
            for total, gradient in zip(self._totals, gradients, strict=True):
                if gradient is not None:
                    total.assign(total.value + gradient)
            self._sums.assign(self._sums.value + sums)
        return sums

    def _finish(self, rate: Any, decay: Any) -> Any:
        """Update by the sum of all gradients, or take everything back where one was not finite."""
        before = (one.value for one in self._before)
        kept = list(zip(self._parts.moving, before, strict=True))
        with backend.no_gradient():
            return self._parts.settle(kept, self._sums.value, [one.value for one in self._totals], rate, decay)


def _variable_like(variable: Any) -> keras.Variable:
    return keras.Variable(ops.zeros(variable.shape, variable.dtype), dtype=variable.dtype, trainable=False)
