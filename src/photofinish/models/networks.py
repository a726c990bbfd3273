"""What builds the networks of the catalog, up to their last feature maps."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import keras

from photofinish.catalog.architectures import MOBILENETV2_WIDTHS, efficientnetv2_name, mobilenetv2_name
from photofinish.catalog.variants import VARIANTS
from photofinish.models.efficientnetv2 import features
from photofinish.models.layers import StridePadding


def _resnet50(images: Any) -> Any:
    return keras.applications.ResNet50(include_top=False, weights=None, input_tensor=images).output


def _mobilenetv2(images: Any, width: float) -> Any:
    network = keras.applications.MobileNetV2(include_top=False, weights=None, input_tensor=images, alpha=width)
    for layer in network.layers:
        if isinstance(layer, keras.layers.ZeroPadding2D):
            # It adds no state: the class decides nothing but how many zeros there are.
            layer.__class__ = StridePadding
    return network.output


FEATURES: dict[str, Callable[[Any], Any]] = {
    **{efficientnetv2_name(name): functools.partial(features, variant=variant) for name, variant in VARIANTS.items()},
    "resnet50": _resnet50,
    **{mobilenetv2_name(width): functools.partial(_mobilenetv2, width=width) for width in MOBILENETV2_WIDTHS},
}
"""By name: takes scaled pictures, symbolic, to the feature map."""
