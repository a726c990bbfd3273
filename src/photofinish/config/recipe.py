"""What a recipe is."""

from __future__ import annotations

from collections.abc import Callable

from photofinish.config.base import Settings
from photofinish.config.settings import DataSettings, TrainingSettings


class Recipe(Settings):
    """Models, pictures and training that belong together.

    Attributes:
        name: How it is asked for.
        claim: The docstring of the function that makes it.
        models: The models it races unless others are named.
        data: Which pictures.
        training: How to train.
    """

    name: str
    claim: str
    models: tuple[str, ...]
    data: DataSettings
    training: TrainingSettings


def claim_of(function: Callable[[], Recipe]) -> str:
    """Return the docstring of the function that makes a recipe, without its indentation."""
    lines = (function.__doc__ or "").strip().splitlines()
    return "\n".join(line.strip() for line in lines)
