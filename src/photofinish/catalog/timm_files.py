"""EfficientNetV2 as timm lays it out: names, order of axes, and how it expects pictures to be scaled.

timm's `tf_` models are the official networks with TensorFlow's padding; its others pad otherwise and compute another
function of the same weights.
"""

from __future__ import annotations

import functools
import itertools
import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from photofinish.catalog import scaling
from photofinish.catalog.published import IMAGENET21K_CLASSES
from photofinish.catalog.scaling import Scaling
from photofinish.catalog.stored import Arrays, StoredArray
from photofinish.catalog.variants import block_letters
from photofinish.errors import WeightsError
from photofinish.storage import read_json

CONFIGURATION = "config.json"
MARK = "conv_stem.weight"

_NORMALIZATION = {"weight": "gamma", "bias": "beta", "running_mean": "moving_mean", "running_var": "moving_variance"}
_OUTSIDE = {
    "conv_stem": "stem_conv",
    "bn1": "stem_bn",
    "conv_head": "top_conv",
    "bn2": "top_bn",
    "classifier": "predictions",
}
# By the layer that gives the kind of block away.
_BLOCKS = {
    "conv": {"conv": "project_conv", "bn1": "project_bn"},
    "conv_exp": {"conv_exp": "expand_conv", "bn1": "expand_bn", "conv_pwl": "project_conv", "bn2": "project_bn"},
    "conv_dw": {
        "conv_pw": "expand_conv",
        "bn1": "expand_bn",
        "conv_dw": "dwconv2",
        "bn2": "bn",
        "se.conv_reduce": "se_reduce",
        "se.conv_expand": "se_expand",
        "conv_pwl": "project_conv",
        "bn3": "project_bn",
    },
}
_LETTERS = tuple(itertools.islice(block_letters(), 100))
# Convolutions are (out, in, height, width) there and (height, width, in, out) here; a depthwise one (channels, 1,
# height, width) there and (height, width, channels, 1) here.
_AXES = {"convolution": (2, 3, 1, 0), "depthwise": (2, 3, 0, 1), "dense": (1, 0)}


def from_timm(arrays: Arrays) -> Arrays:
    """Give arrays of timm the names and the order of axes that ours have.

    A name that no EfficientNetV2 has is kept, so that whoever fills a network reports it.

    Examples:
        >>> stored = StoredArray((32, 3, 3, 3), lambda: np.zeros((32, 3, 3, 3)))
        >>> {name: array.shape for name, array in from_timm({"conv_stem.weight": stored}).items()}
        {'stem_conv/kernel': (3, 3, 3, 32)}
    """
    kinds = _kinds_of_blocks(arrays)
    found: dict[str, StoredArray] = {}
    for name, stored in arrays.items():
        if not name.endswith(".num_batches_tracked"):
            ours = _our_layer(name, kinds)
            found |= {name: stored} if ours is None else dict([_converted(*ours, name, stored)])
    return found


def timm_scaling(path: Path, arrays: Arrays, variant: str) -> Scaling:
    """Return how a file of timm expects pictures to be scaled.

    Its `config.json` says so, if it lies beside the file. Otherwise it follows from what timm publishes: mean and
    deviation 0.5 for S to XL and for everything trained on ImageNet-21k (as 21,843 classes, or the name of the file or
    its folder, show), those of ImageNet for the other B variants.

    Args:
        path: The file.
        arrays: Its arrays, by our names.
        variant: `b0` to `xl`.

    Raises:
        WeightsError: `config.json` describes another network, or cannot be understood.
    """
    beside = path.with_name(CONFIGURATION)
    if beside.is_file():
        stated = _stated_scaling(beside)
        if stated is not None:
            return stated
    classifier = arrays.get("predictions/kernel")
    from_21k = classifier is not None and classifier.shape[-1:] == (IMAGENET21K_CLASSES,)
    from_21k |= any("in21k" in part for part in (path.name, path.parent.name))
    return scaling.IMAGENET if variant.startswith("b") and not from_21k else scaling.HALF


def _stated_scaling(path: Path) -> Scaling | None:
    content = read_json(path)
    if not isinstance(content, dict) or not isinstance(content.get("pretrained_cfg"), dict):
        return None
    name = content.get("architecture")
    if isinstance(name, str) and not name.startswith("tf_efficientnetv2_"):
        raise WeightsError(
            f"{path} says that the weights beside it are of {name!r}; only timm's tf_efficientnetv2 models, "
            "which pad as TensorFlow does, are the networks here"
        )
    stated = content["pretrained_cfg"]
    mean, deviation = stated.get("mean"), stated.get("std")
    if not (_are_three_numbers(mean) and _are_three_numbers(deviation) and min(deviation) > 0):
        raise WeightsError(f"{path} has no usable mean and std in its pretrained_cfg; mend or remove it")
    return _known(tuple(255 * one for one in mean), tuple(255 * one for one in deviation))


def _are_three_numbers(value: Any) -> bool:
    return (
        isinstance(value, list)
        and len(value) == 3
        and all(isinstance(one, int | float) and not isinstance(one, bool) and math.isfinite(one) for one in value)
    )


def _known(mean: tuple[float, ...], deviation: tuple[float, ...]) -> Scaling:
    for known in (scaling.IMAGENET, scaling.HALF):
        if np.allclose(mean, known.mean) and np.allclose(deviation, known.deviation):
            return known
    shown = (", ".join(f"{one:g}" for one in values) for values in (mean, deviation))
    return Scaling.of({"description": "mean {}, deviation {}".format(*shown), "mean": mean, "deviation": deviation})


def _kinds_of_blocks(names: Mapping[str, Any]) -> dict[str, str]:
    """Return the kind of each block: the same name means another layer in another kind."""
    kinds = {}
    for name in names:
        found = re.fullmatch(r"(blocks\.\d\.[1-9]?\d\.)(conv|conv_exp|conv_dw)\.weight", name)
        if found:
            kinds[found.group(1)] = found.group(2)
    return kinds


def _our_layer(name: str, kinds: Mapping[str, str]) -> tuple[str, str] | None:
    """Return our layer's name, and timm's name of its variable."""
    layer, _, variable = name.rpartition(".")
    if layer in _OUTSIDE:
        return _OUTSIDE[layer], variable
    found = re.fullmatch(r"(blocks\.(\d)\.([1-9]?\d)\.)([a-z0-9_.]+)", layer)
    if not found or found.group(1) not in kinds:
        return None
    ours = _BLOCKS[kinds[found.group(1)]].get(found.group(4))
    stage, block = int(found.group(2)) + 1, _LETTERS[int(found.group(3))]
    return None if ours is None else (f"block{stage}{block}_{ours}", variable)


def _converted(layer: str, variable: str, name: str, stored: StoredArray) -> tuple[str, StoredArray]:
    """Return our name of an array, and the array with our order of axes."""
    if layer.endswith("bn"):
        return (f"{layer}/{_NORMALIZATION[variable]}", stored) if variable in _NORMALIZATION else (name, stored)
    if variable == "bias":
        return f"{layer}/bias", stored
    kind = "dense" if layer == "predictions" else "depthwise" if layer.endswith("dwconv2") else "convolution"
    axes = _AXES[kind]
    if variable != "weight" or len(stored.shape) != len(axes):
        return name, stored
    shape = tuple(stored.shape[axis] for axis in axes)
    return f"{layer}/kernel", StoredArray(shape, functools.partial(_transposed, stored, axes))


def _transposed(stored: StoredArray, axes: tuple[int, ...]) -> NDArray[Any]:
    return np.ascontiguousarray(stored.read().transpose(axes))
