"""Freezing the lower parts of a network, and training them at a smaller rate."""

from __future__ import annotations

import math
from collections.abc import Sequence

import keras

from photofinish.models import Anatomy


class Freezing:
    """Says from stage to stage which parts of a network are trained, and how much dropout they get.

    A frozen part computes as in prediction: BatchNormalization with its averages, which stay as they are, and nothing
    is dropped. Its features are those that the layers above will meet when the network is used.

    Args:
        anatomy: The network's layers; without parts all of it is always trained.
    """

    def __init__(self, anatomy: Anatomy) -> None:
        self.body = anatomy.body
        self.head_dropouts = anatomy.head_dropouts
        layers = [layer for part in self.body for layer in part]
        self.rates = {id(layer): layer.rate for layer in layers if isinstance(layer, keras.layers.Dropout)}
        self.trainable = {id(layer) for layer in layers if layer.trainable}

    def apply(self, trained_share: float, dropout: float) -> None:
        """Freeze all but the top of the network.

        Args:
            trained_share: Share of the parts that are trained, rounded up.
            dropout: Dropout in the head.
        """
        frozen = len(self.body) - math.ceil(trained_share * len(self.body) - 1e-9)
        for place, part in enumerate(self.body):
            for layer in part:
                # What its maker froze stays frozen.
                layer.trainable = place >= frozen and id(layer) in self.trainable
                if id(layer) in self.rates:
                    layer.rate = self.rates[id(layer)] if place >= frozen else 0.0
        for layer in self.head_dropouts:
            layer.rate = dropout


def rates_below(body: Sequence[Sequence[keras.layers.Layer]], decay: float) -> dict[int, float]:
    """Return the share of the learning rate that each variable below the head gets, by its `id`.

    The head has all of it, the part below `decay` of it, the next `decay` squared (Howard and Ruder 2018,
    arXiv:1801.06146, section 3.2, call it discriminative fine-tuning).

    Args:
        body: The layers below the head in parts, the lowest first.
        decay: 1 changes nothing.
    """
    if decay == 1:
        return {}
    return {
        id(variable): decay ** (len(body) - place)
        for place, part in enumerate(body)
        for layer in part
        for variable in layer.trainable_variables
    }
