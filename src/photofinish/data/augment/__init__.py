"""Augmentation: pure functions of (pictures, draws), computed on the device.

The draws are numbers made by NumPy for each picture from (seed, epoch, index). Every backend therefore sees the same
augmented pictures, whatever the batch and whatever was done before.

`policy` and `draws` do without Keras; what computes on pictures is imported when it is first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from photofinish import backend
from photofinish.data.augment.draws import DRAWS, augmentation_draws
from photofinish.data.augment.policy import Augmentation

if TYPE_CHECKING:
    from photofinish.data.augment.mixing import mix
    from photofinish.data.augment.pipeline import augment
    from photofinish.data.augment.resizing import resize

__all__ = ["DRAWS", "Augmentation", "augment", "augmentation_draws", "mix", "resize"]

_HOMES = {"augment": "pipeline", "mix": "mixing", "resize": "resizing"}


def __getattr__(name: str) -> Any:
    """Import what needs Keras when it is first used, on the backend that was chosen, or else on our default."""
    if name in _HOMES:
        backend.select()
        return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
    raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
