"""Networks: EfficientNetV2 in full, the baselines it races, and anyone's own.

Importing this package imports Keras, on JAX unless `KERAS_BACKEND` or an earlier import says otherwise.
"""

from photofinish import backend
from photofinish.config import is_custom
from photofinish.config.names import OWN

backend.select()

from photofinish.models.api import EfficientNetV2, MobileNetV2, ResNet50  # noqa: E402  # the backend comes first
from photofinish.models.building import (  # noqa: E402
    HEAD_LAYERS,
    RANDOM,
    Entrant,
    Head,
    all_layers,
    build,
)
from photofinish.models.describe import (  # noqa: E402
    Description,
    StageRow,
    count_macs,
    count_parameters,
    count_trainable_parameters,
    describe,
)
from photofinish.models.initial_values import build_with_initial_values, generator  # noqa: E402
from photofinish.models.layers import StochasticDepth  # noqa: E402
from photofinish.models.parts import Anatomy, anatomy, parts, split_head  # noqa: E402

__all__ = [
    "HEAD_LAYERS",
    "OWN",
    "RANDOM",
    "Anatomy",
    "Description",
    "EfficientNetV2",
    "Entrant",
    "Head",
    "MobileNetV2",
    "ResNet50",
    "StageRow",
    "StochasticDepth",
    "all_layers",
    "anatomy",
    "build",
    "build_with_initial_values",
    "count_macs",
    "count_parameters",
    "count_trainable_parameters",
    "describe",
    "generator",
    "is_custom",
    "parts",
    "split_head",
]
