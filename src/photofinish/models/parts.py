"""A network taken apart: the head, and below it the parts that are frozen or trained together."""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence

import keras

from photofinish.errors import SettingsError
from photofinish.models.building import HEAD_LAYERS, all_layers
from photofinish.models.catalog import CATALOG

POOLING = "avg_pool"
# Someone's own network is cut into so many parts of about as many layers with weights each.
PARTS_OF_OWN = 6


def require_head(model: keras.Model) -> None:
    """Refuse to take apart a network that brought its own head.

    Raises:
        SettingsError: It did.
    """
    if POOLING not in {layer.name for layer in model.layers}:
        raise SettingsError(
            f"{model.name} ends in a head of its own, so that what to freeze is not known: "
            "let your function return the feature map, or use --train all"
        )


def split_head(model: keras.Model) -> tuple[keras.Model, keras.Model]:
    """Return a network's two halves, which share its layers: pictures to pooled features, features to logits.

    Args:
        model: A network with the head that every entrant gets.

    Raises:
        SettingsError: It has another.
    """
    require_head(model)
    features = keras.Model(model.input, model.get_layer(POOLING).output, name=f"{model.name}-features")
    inputs = x = keras.Input(features.output_shape[1:], name="features")
    for layer in model.layers:
        if layer.name in HEAD_LAYERS - {POOLING}:
            x = layer(x)
    return features, keras.Model(inputs, x, name=f"{model.name}-head")


def parts(model: keras.Model, name: str) -> list[list[keras.layers.Layer]]:
    """Return the layers below the head in parts, the lowest first.

    Args:
        model: A network with the head that every entrant gets.
        name: The model as it was asked for: the parts of one in the catalog are the stages that `describe` prints.

    Raises:
        SettingsError: It has another head.
    """
    require_head(model)
    leaves = [layer for layer in all_layers(model) if not isinstance(layer, keras.Model)]
    body = [layer for layer in leaves if layer.name not in HEAD_LAYERS]
    if name not in CATALOG:
        return _equal_parts(body)
    patterns = [pattern for pattern, _ in CATALOG[name].stages]
    grouped = [[layer for layer in body if re.match(pattern, layer.name)] for pattern in patterns]
    return [part for part in grouped if any(layer.weights for layer in part)]


def _equal_parts(layers: Sequence[keras.layers.Layer]) -> list[list[keras.layers.Layer]]:
    """Cut a sequence of layers where as many layers with weights lie in each part."""
    counts = list(itertools.accumulate(1 if layer.weights else 0 for layer in layers))
    total = counts[-1] if counts else 0
    if total == 0:
        return []
    number = min(PARTS_OF_OWN, total)
    places = [min(number - 1, max(0, count - 1) * number // total) for count in counts]
    return [[layer for layer, place in zip(layers, places, strict=True) if place == part] for part in range(number)]
