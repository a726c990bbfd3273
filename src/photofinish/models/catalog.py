"""The models that can race, in one explicit table."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import keras

from photofinish.errors import SettingsError, nearest
from photofinish.models import scaling
from photofinish.models.efficientnetv2 import VARIANTS, features
from photofinish.models.scaling import Scaling

KERAS_FILES = "https://storage.googleapis.com/tensorflow/keras-applications"


@dataclass(frozen=True)
class WeightSet:
    """Published weights of a network without its classifier.

    Attributes:
        url: Where they are published.
        scaling: How they expect pictures to be scaled.
        md5: Checksum the publisher gives, or None where none is given.
    """

    url: str
    scaling: Scaling
    md5: str | None = None


@dataclass(frozen=True)
class Architecture:
    """A network up to its last feature map.

    Attributes:
        name: Its name in the catalog.
        features: Takes scaled pictures, symbolic, to the feature map.
        image_size: Size of picture at which its authors evaluate it.
        stages: For each stage a pattern that its layers' names begin with, and the name of its operator.
        weights: Published weight sets by name.
    """

    name: str
    features: Callable[[Any], Any]
    image_size: int
    stages: tuple[tuple[str, str], ...]
    weights: dict[str, WeightSet] = field(default_factory=dict)


# MD5 of the files without classifier, as keras.applications lists them.
_EFFICIENTNETV2_MD5 = {
    "b0": "893217f2bb855e2983157299931e43ff",
    "b1": "0e80663031ca32d657f9caa404b6ec37",
    "b2": "1dfe2e7a5d45b6632553a8961ea609eb",
    "b3": "f6abf7b5849ac99a89b50dd3fd532856",
    "s": "af0682fb74e8c54910f2d4393339c070",
    "m": "1b8dc055df72dde80d614482840fe342",
    "l": "b0b66b5c863aef5b46e8608fe1711615",
}


def _efficientnetv2(name: str) -> Architecture:
    variant = VARIANTS[name]
    stages = [("stem_", "Conv, k3x3")]
    stages += [(rf"block{index}[a-z]+_", stage.operator) for index, stage in enumerate(variant.stages, start=1)]
    weights = {}
    if name in _EFFICIENTNETV2_MD5:
        url = f"{KERAS_FILES}/efficientnet_v2/efficientnetv2-{name}_notop.h5"
        convention = scaling.IMAGENET if name.startswith("b") else scaling.BY_128
        weights["imagenet"] = WeightSet(url, convention, _EFFICIENTNETV2_MD5[name])
    return Architecture(
        name=f"efficientnetv2-{name}",
        features=functools.partial(features, variant=variant),
        image_size=variant.image_size,
        stages=(*stages, ("top_", "Conv, k1x1")),
        weights=weights,
    )


def _resnet50() -> Architecture:
    def resnet(images: Any) -> Any:
        return keras.applications.ResNet50(include_top=False, weights=None, input_tensor=images).output

    url = f"{KERAS_FILES}/resnet/resnet50_weights_tf_dim_ordering_tf_kernels_notop.h5"
    return Architecture(
        name="resnet50",
        features=resnet,
        image_size=224,
        stages=(
            ("conv1_", "Conv, k7x7"),
            ("pool1_", "Max pooling, k3x3"),
            *((f"conv{index}_block", "Bottleneck, k3x3") for index in range(2, 6)),
        ),
        weights={"imagenet": WeightSet(url, scaling.CAFFE, "4d473c1dd8becc155b73f8504c6f6626")},
    )


# The blocks of MobileNetV2 (Sandler et al. 2018, table 2) that share a number of channels, by keras' numbering.
_MOBILENETV2_STAGES = ((1, 2), (3, 5), (6, 9), (10, 12), (13, 15), (16, 16))


def _mobilenetv2(width: float) -> Architecture:
    def mobilenet(images: Any) -> Any:
        return keras.applications.MobileNetV2(include_top=False, weights=None, input_tensor=images, alpha=width).output

    def blocks(first: int, last: int) -> str:
        return "block_(?:" + "|".join(str(number) for number in range(first, last + 1)) + ")_"

    file = f"mobilenet_v2_weights_tf_dim_ordering_tf_kernels_{width}_224_no_top.h5"
    return Architecture(
        name="mobilenetv2" if width == 1 else f"mobilenetv2-{width:g}",
        features=mobilenet,
        image_size=224,
        stages=(
            ("Conv1|bn_Conv1", "Conv, k3x3"),
            ("expanded_conv_", "MBConv1, k3x3"),
            *((blocks(first, last), "MBConv6, k3x3") for first, last in _MOBILENETV2_STAGES),
            ("Conv_1|out_relu", "Conv, k1x1"),
        ),
        weights={"imagenet": WeightSet(f"{KERAS_FILES}/mobilenet_v2/{file}", scaling.HALF)},
    )


CATALOG: dict[str, Architecture] = {
    architecture.name: architecture
    for architecture in (
        *(_efficientnetv2(name) for name in VARIANTS),
        _resnet50(),
        *(_mobilenetv2(width) for width in (0.35, 0.5, 0.75, 1.0, 1.3, 1.4)),
    )
}


def is_custom(name: str) -> bool:
    """Return whether a model's name points to someone's own function."""
    return re.search(r"\.py:\w+$", name) is not None


def find(name: str) -> Architecture:
    """Return the architecture of that name.

    Raises:
        SettingsError: There is none; the nearest name is given.

    Examples:
        >>> find("efficientnetv2-l").image_size
        480
    """
    if name not in CATALOG:
        raise SettingsError(
            f"unknown model '{name}': {nearest(name, CATALOG)} (your own model: path/to/file.py:function)"
        )
    return CATALOG[name]
