"""Race image classifiers on your own pictures and get a verdict you can trust.

Examples:
    >>> import photofinish as pf
    >>> study = pf.compare(["efficientnetv2-b0", "resnet50"], data="cifar10", seeds=3)  # doctest: +SKIP
    >>> model = pf.models.EfficientNetV2("l", classes=10, weights="imagenet")  # doctest: +SKIP
"""

from __future__ import annotations

import importlib
import importlib.metadata
from typing import TYPE_CHECKING, Any

from photofinish.errors import PhotofinishError

if TYPE_CHECKING:
    from photofinish import models
    from photofinish.api import Study, benchmark, compare, join, load, plan, train
    from photofinish.config import RECIPES
    from photofinish.study.forecast import Forecast

__version__ = importlib.metadata.version("photofinish")
__all__ = [
    "RECIPES",
    "Forecast",
    "PhotofinishError",
    "Study",
    "benchmark",
    "compare",
    "join",
    "load",
    "models",
    "plan",
    "resume",
    "train",
]

# Imported when first used: `import photofinish` takes no time, and Keras is not imported before it is needed.
_HOMES = {
    "RECIPES": "photofinish.config",
    "Forecast": "photofinish.study.forecast",
    "Study": "photofinish.api",
    "benchmark": "photofinish.api",
    "compare": "photofinish.api",
    "join": "photofinish.api",
    "load": "photofinish.api",
    "plan": "photofinish.api",
    "resume": "photofinish.api",
    "train": "photofinish.api",
}


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used."""
    if name == "models":
        return importlib.import_module("photofinish.models")
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'photofinish' has no attribute '{name}'")


def __dir__() -> list[str]:
    """List the public names."""
    return sorted([*__all__, "__version__"])
