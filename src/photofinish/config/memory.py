"""Settings whose value may be asked for as `auto`: the largest that fits into memory."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from photofinish.errors import SettingsError

Probed = Literal["batch_size", "micro_batch_size"]
AUTO = "auto"
PROBED: tuple[Probed, ...] = ("batch_size", "micro_batch_size")
MOST_PICTURES = 1024
FEW_PICTURES = 8
"""Smaller numbers are tried only where these do not fit."""


def take_probed(changes: Mapping[str, Any]) -> tuple[dict[str, Any], Probed | None]:
    """Take the setting that is to be found out of others.

    Raises:
        SettingsError: Both are, or a batch whose parts are given.

    Examples:
        >>> take_probed({"batch_size": "auto", "epochs": 3})
        ({'epochs': 3}, 'batch_size')
    """
    asked = [name for name in PROBED if changes.get(name) == AUTO]
    if asked and asked[0] == "batch_size" and changes.get("micro_batch_size") is not None:
        raise SettingsError(
            "batch_size=auto looks for the largest batch that fits whole: leave micro_batch_size out, or give the "
            "batch a number and micro_batch_size=auto"
        )
    return {name: value for name, value in changes.items() if name not in asked}, asked[0] if asked else None


def sizes_to_try(probed: Probed, batch_size: int, pictures: int) -> list[int]:
    """Return the values to try, the smallest first.

    A batch is a power of two, at most 1,024 and at most all training pictures. A micro-batch divides the batch; each
    is at least twice the one before.

    Args:
        probed: What is looked for.
        batch_size: The batch that is to be kept, where micro-batches are looked for.
        pictures: Number of training pictures.

    Examples:
        >>> sizes_to_try("batch_size", 32, 100)
        [1, 2, 4, 8, 16, 32, 64]
        >>> sizes_to_try("micro_batch_size", 240, 100)
        [1, 3, 6, 15, 30, 60, 120, 240]
    """
    if probed == "batch_size":
        most = min(MOST_PICTURES, pictures)
        return [1 << power for power in range(most.bit_length()) if 1 << power <= most]
    sizes = [batch_size]
    while sizes[0] > 1:
        sizes.insert(0, next(one for one in range(sizes[0] // 2, 0, -1) if batch_size % one == 0))
    return sizes
