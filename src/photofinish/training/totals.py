"""Sums over an epoch's pictures."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from keras import ops
from numpy.typing import NDArray


class Totals:
    """Sums over the pictures of an epoch, left on the device until they are asked for.

    Attributes:
        not_applied: Of the steps that were not applied their place in the epoch, 0 for the first, and the number of the
            reason, as far as the sums have been read.
    """

    def __init__(self) -> None:
        self.not_applied: list[tuple[int, int]] = []
        self._pending: list[Any] = []
        self._read = 0
        self._sums: NDArray[np.float64] = np.zeros(3)

    def add(self, outputs: Any) -> None:
        """Add a step's sums: of losses, number right, number of pictures, and why it was not applied, or 0."""
        self._pending.append(outputs)

    def read(self) -> list[tuple[int, int]]:
        """Fetch from the device what has been added; return what of `not_applied` is new."""
        before = len(self.not_applied)
        for outputs in self._pending:
            *sums, reason = ops.convert_to_numpy(outputs)
            self._sums += sums
            if reason:
                self.not_applied.append((self._read, int(reason)))
            self._read += 1
        self._pending.clear()
        return self.not_applied[before:]

    def _mean(self, place: int) -> float:
        self.read()
        return float(self._sums[place] / self._sums[2]) if self._sums[2] else math.nan

    @property
    def loss(self) -> float:
        """Mean loss so far, nan before the first step that was applied."""
        return self._mean(0)

    @property
    def accuracy(self) -> float:
        """Accuracy so far, likewise."""
        return self._mean(1)
