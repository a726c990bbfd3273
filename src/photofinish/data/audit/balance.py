"""How evenly the classes are filled."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from photofinish.data.listing import PARTS
from photofinish.runs.audits import ClassCount


def class_counts(
    classes: Sequence[str], labels: NDArray[np.int32], parts: NDArray[np.int8]
) -> tuple[tuple[ClassCount, ...], dict[str, float | None]]:
    """Count the pictures of each class in each split.

    Args:
        classes: Class names.
        labels: (pictures,) index into `classes`.
        parts: (pictures,) index into `PARTS`.

    Returns:
        The counts, and for each split that has pictures those of the largest class over those of the smallest, or None
        where a class has none.

    Examples:
        >>> parts = np.zeros(5, np.int8)
        >>> class_counts(("cat", "dog"), np.array([0, 0, 0, 0, 1], np.int32), parts)[1]
        {'train': 4.0}
    """
    table = np.zeros((len(classes), len(PARTS)), np.int64)
    np.add.at(table, (labels, parts), 1)
    counts = tuple(
        ClassCount(name=name, train=train, validation=validation, test=test)
        for name, (train, validation, test) in zip(classes, table.tolist(), strict=True)
    )
    ratios: dict[str, float | None] = {
        part: float(column.max() / column.min()) if column.min() else None
        for part, column in zip(PARTS, table.T, strict=True)
        if column.any()
    }
    return counts, ratios
