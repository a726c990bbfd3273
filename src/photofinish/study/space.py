"""How much disk a run takes."""

from __future__ import annotations

from photofinish.runs import DataRecord

# The weights themselves, and what Adam keeps of each: two moving averages.
WEIGHTS_IN_A_CHECKPOINT = 3
_BYTES_OF_A_LOGIT = 4


def bytes_of_a_run(data: DataRecord, weights: int, checkpoints: int) -> int:
    """Return about how many bytes a run writes at most.

    Args:
        data: The pictures: each of validation and test leaves its name, its label and its logits.
        weights: Bytes of the saved network.
        checkpoints: How many checkpoints lie on the disk at once.

    Examples:
        >>> data = DataRecord(
        ...     name="leaves", fingerprint="a" * 64, classes=("ash", "oak"), train=6, validation=2, test=3,
        ...     stored_size=(8, 8),
        ... )
        >>> bytes_of_a_run(data, 1000, 3)
        12040
    """
    predictions = (data.validation + data.test) * _BYTES_OF_A_LOGIT * len(data.classes)
    best = 2 if checkpoints else 0  # the weights of the best epoch, and those of the one before while they are written
    return weights * (1 + best + WEIGHTS_IN_A_CHECKPOINT * checkpoints) + predictions
