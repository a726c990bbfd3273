"""Sums over an epoch's pictures."""

from __future__ import annotations

from typing import Any

import numpy as np
from keras import ops
from numpy.typing import NDArray


class Totals:
    """Sums over the pictures of an epoch, left on the device until they are asked for."""

    def __init__(self) -> None:
        self._pending: list[Any] = []
        self._sums: NDArray[np.float64] = np.zeros(3)

    def add(self, outputs: Any) -> None:
        """Add a step's sums: of losses, number right, number of pictures."""
        self._pending.append(outputs)

    def _mean(self, place: int) -> float:
        for outputs in self._pending:
            self._sums += ops.convert_to_numpy(outputs)
        self._pending.clear()
        return float(self._sums[place] / self._sums[2])

    @property
    def loss(self) -> float:
        """Mean loss so far."""
        return self._mean(0)

    @property
    def accuracy(self) -> float:
        """Accuracy so far."""
        return self._mean(1)
