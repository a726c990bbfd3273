"""Arrays in a file that are known by name and shape, and not read yet."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray


@dataclass(frozen=True)
class StoredArray:
    """An array in a file, not read yet.

    Attributes:
        shape: Its shape.
        read: Reads it.
    """

    shape: tuple[int, ...]
    read: Callable[[], NDArray[Any]]


# By `layer/variable`, or by the variable's path in a network of nested layers.
Arrays = Mapping[str, StoredArray]
