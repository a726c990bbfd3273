"""What a recipe is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from photofinish.config.base import Settings
from photofinish.config.settings import DataSettings, TrainingSettings


class PublishedFigure(Settings):
    """A figure that somebody printed, to be set beside the measured one and never mixed with it.

    Attributes:
        model: The model it was printed for, by its name in the catalog.
        quantity: What it says it is; `train_seconds` are of all epochs.
        value: The figure: a share between 0 and 1, seconds, or a number of parameters.
        known: What the quantity is by the network's published architecture, where that settles it; None where only a
            measurement can.
    """

    model: str
    quantity: Literal["test_accuracy", "train_seconds", "parameters"]
    value: float
    known: float | None = None


class Published(Settings):
    """What a source claims.

    Attributes:
        source: Who printed the figures.
        figures: The figures.
        remarks: What else a reader of the source has to know, as sentences.
    """

    source: str
    figures: tuple[PublishedFigure, ...] = ()
    remarks: tuple[str, ...] = ()


class Recipe(Settings):
    """Models, pictures and training that belong together.

    Attributes:
        name: How it is asked for.
        claim: The docstring of the function that makes it.
        models: The models it races unless others are named.
        data: Which pictures.
        training: How to train.
        published: What its source claims, where the report is to answer that.
    """

    name: str
    claim: str
    models: tuple[str, ...]
    data: DataSettings
    training: TrainingSettings
    published: Published | None = None


def claim_of(function: Callable[[], Recipe]) -> str:
    """Return the docstring of the function that makes a recipe, without its indentation."""
    lines = (function.__doc__ or "").strip().splitlines()
    return "\n".join(line.strip() for line in lines)
