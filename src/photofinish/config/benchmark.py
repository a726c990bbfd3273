"""What a benchmark measures."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from photofinish.config.base import Settings
from photofinish.config.settings import BackendName, PrecisionName

PartName = Literal["both", "training", "inference"]


class BenchmarkSettings(Settings):
    """How models are timed beside each other.

    Attributes:
        models: Names from the catalog, or `path/to/model.py:function`, each once.
        image_size: Height and width in pixels.
        batch_size: Pictures per training step. Inference has the batch that an evaluation would have.
        precision: As in training.
        classes: Number of classes.
        part: `training`, `inference`, or `both`.
        rounds: How often each model has its turn.
        turn_seconds: About how long a turn lasts; a slow model's turn is longer, since it has a least number of steps.
        backend: The library that Keras computes with.
    """

    models: Annotated[tuple[str, ...], Field(min_length=1)]
    image_size: Annotated[int, Field(ge=8, le=2048)] = 32
    batch_size: Annotated[int, Field(ge=1)] = 32
    precision: PrecisionName = "float32"
    classes: Annotated[int, Field(ge=2)] = 10
    part: PartName = "both"
    rounds: Annotated[int, Field(ge=1)] = 5
    turn_seconds: Annotated[float, Field(gt=0)] = 1.0
    backend: BackendName = "jax"
