"""What a model's name says without looking at the model."""

from __future__ import annotations

import re

OWN = "the model's own"
"""Of weights and head, where someone's own function decides them."""


def is_custom(name: str) -> bool:
    """Return whether a model's name points to someone's own function.

    Examples:
        >>> is_custom("nets/mine.py:build"), is_custom("efficientnetv2-b0")
        (True, False)
    """
    return re.search(r"\.py:\w+$", name) is not None
