"""Sums over an epoch's pictures."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from keras import ops
from numpy.typing import NDArray


class Totals:
    """Sums over the pictures of an epoch, left on the device until they are asked for.

    Args:
        sums: What was summed before, of an epoch that goes on.
        steps: In how many steps.
    """

    def __init__(self, sums: NDArray[np.float64] | None = None, steps: int = 0) -> None:
        self._pending: list[Any] = []
        self._sums: NDArray[np.float64] = np.zeros(3) if sums is None else sums.copy()
        self._steps = steps
        self._not_applied: list[tuple[int, int]] = []

    def add(self, outputs: Any) -> None:
        """Add a step's sums: of losses, number right, number of pictures, and why it was not applied, or 0."""
        self._pending.append(outputs)

    @property
    def latest(self) -> Any:
        """The last step's sums where they are still on the device, or nothing."""
        return self._pending[-1:]

    @property
    def sums(self) -> NDArray[np.float64]:
        """The sums so far: of losses, number right, number of pictures."""
        for outputs in self._pending:
            *sums, reason = ops.convert_to_numpy(outputs)
            self._sums += sums
            if reason:
                self._not_applied.append((self._steps, int(reason)))
            self._steps += 1
        self._pending.clear()
        return self._sums

    def take_not_applied(self) -> list[tuple[int, int]]:
        """Return which steps were not applied since this was last asked: place in the epoch, number of the reason."""
        _ = self.sums
        taken, self._not_applied = self._not_applied, []
        return taken

    def _mean(self, place: int) -> float:
        sums = self.sums
        return float(sums[place] / sums[2]) if sums[2] else math.nan

    @property
    def loss(self) -> float:
        """Mean loss so far, nan before the first step that was applied."""
        return self._mean(0)

    @property
    def accuracy(self) -> float:
        """Accuracy so far, likewise."""
        return self._mean(1)
