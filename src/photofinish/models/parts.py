"""A network taken apart: the head, and below it the parts that are frozen or trained together."""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass

import keras

from photofinish.catalog import CATALOG
from photofinish.config.names import OWN
from photofinish.errors import SettingsError
from photofinish.models.building import HEAD_LAYERS, Entrant, all_layers

POOLING = "avg_pool"
# Someone's own network is cut into so many parts of about as many layers with weights each.
PARTS_OF_OWN = 6


@dataclass(frozen=True)
class Anatomy:
    """A network's layers by what becomes of them in training.

    Attributes:
        body: Below the head, in parts that are frozen or trained together, the lowest first; none where nothing is.
        head_dropouts: Dropout of the head that every entrant gets; none in a network with a head of its own.
    """

    body: Sequence[Sequence[keras.layers.Layer]] = ()
    head_dropouts: Sequence[keras.layers.Layer] = ()


def anatomy(entrant: Entrant, name: str, *, cut: bool) -> Anatomy:
    """Take a network apart.

    Args:
        entrant: The network.
        name: The model as it was asked for.
        cut: Whether the layers below the head are wanted in parts.

    Raises:
        SettingsError: They are, and the network has a head of its own.
    """
    dropouts = []
    if entrant.head != OWN:
        ours = [layer for layer in entrant.model.layers if layer.name in HEAD_LAYERS]
        dropouts = [layer for layer in ours if isinstance(layer, keras.layers.Dropout)]
    return Anatomy(parts(entrant, name) if cut else (), dropouts)


def split_head(entrant: Entrant) -> tuple[keras.Model, keras.Model]:
    """Return a network's two halves, which share its layers: pictures to pooled features, features to logits.

    Args:
        entrant: A network with the head that every entrant gets.

    Raises:
        SettingsError: It has a head of its own.
    """
    _require_head(entrant)
    model = entrant.model
    features = keras.Model(model.input, model.get_layer(POOLING).output, name=f"{model.name}-features")
    inputs = x = keras.Input(features.output_shape[1:], name="features")
    for layer in model.layers:
        if layer.name in HEAD_LAYERS - {POOLING}:
            x = layer(x)
    return features, keras.Model(inputs, x, name=f"{model.name}-head")


def parts(entrant: Entrant, name: str) -> list[list[keras.layers.Layer]]:
    """Return the layers below the head in parts, the lowest first.

    Args:
        entrant: A network with the head that every entrant gets.
        name: The model as it was asked for: the parts of one in the catalog are the stages that `describe` prints.

    Raises:
        SettingsError: It has a head of its own.
    """
    _require_head(entrant)
    head = {id(layer) for layer in entrant.model.layers if layer.name in HEAD_LAYERS}
    leaves = [layer for layer in all_layers(entrant.model) if not isinstance(layer, keras.Model)]
    body = [layer for layer in leaves if id(layer) not in head]
    if name not in CATALOG:
        return _equal_parts(body)
    patterns = [pattern for pattern, _ in CATALOG[name].stages]
    grouped = [[layer for layer in body if re.match(pattern, layer.name)] for pattern in patterns]
    return [part for part in grouped if any(layer.weights for layer in part)]


def _require_head(entrant: Entrant) -> None:
    if entrant.head == OWN:
        raise SettingsError(
            f"{entrant.model.name} ends in a head of its own, so that what to freeze is not known: let your function "
            "return the feature map, or train all of it at one rate (--train all, no --layer-decay)"
        )


def _equal_parts(layers: Sequence[keras.layers.Layer]) -> list[list[keras.layers.Layer]]:
    """Cut a sequence of layers where as many layers with weights lie in each part."""
    counts = list(itertools.accumulate(1 if layer.weights else 0 for layer in layers))
    total = counts[-1] if counts else 0
    if total == 0:
        return []
    number = min(PARTS_OF_OWN, total)
    places = [min(number - 1, max(0, count - 1) * number // total) for count in counts]
    return [[layer for layer, place in zip(layers, places, strict=True) if place == part] for part in range(number)]
