"""The models that can race, in one explicit table: what is known of them without building one."""

from __future__ import annotations

from dataclasses import dataclass

from photofinish.catalog import scaling
from photofinish.catalog.published import (
    WeightSet,
    efficientnetv2_weights,
    keras_scaling,
    mobilenetv2_weights,
    resnet50_weights,
)
from photofinish.catalog.scaling import Scaling
from photofinish.catalog.variants import VARIANTS
from photofinish.errors import SettingsError, nearest

MOBILENETV2_WIDTHS = (0.35, 0.5, 0.75, 1.0, 1.3, 1.4)
# The blocks of MobileNetV2 (Sandler et al. 2018, table 2) that share a number of channels, by keras' numbering.
_MOBILENETV2_STAGES = ((1, 2), (3, 5), (6, 9), (10, 12), (13, 15), (16, 16))


@dataclass(frozen=True)
class Architecture:
    """A network up to its last feature map.

    Attributes:
        name: Its name in the catalog.
        image_size: Size of picture at which its authors evaluate it.
        stages: For each stage a pattern that its layers' names begin with, and the name of its operator.
        scaling: How weights in Keras' layout expect pictures to be scaled.
        weights: Published weight sets by name.
    """

    name: str
    image_size: int
    stages: tuple[tuple[str, str], ...]
    scaling: Scaling
    weights: dict[str, WeightSet]


def efficientnetv2_name(variant: str) -> str:
    """Return the name in the catalog of a variant of EfficientNetV2."""
    return f"efficientnetv2-{variant}"


def mobilenetv2_name(width: float) -> str:
    """Return the name in the catalog of MobileNetV2 of a width."""
    return "mobilenetv2" if width == 1 else f"mobilenetv2-{width:g}"


def _efficientnetv2(name: str) -> Architecture:
    variant = VARIANTS[name]
    stages = [("stem_", "Conv, k3x3")]
    stages += [(rf"block{index}[a-z]+_", stage.operator) for index, stage in enumerate(variant.stages, start=1)]
    return Architecture(
        name=efficientnetv2_name(name),
        image_size=variant.image_size,
        stages=(*stages, ("top_", "Conv, k1x1")),
        scaling=keras_scaling(name),
        weights=efficientnetv2_weights(name),
    )


def _resnet50() -> Architecture:
    return Architecture(
        name="resnet50",
        image_size=224,
        stages=(
            ("conv1_", "Conv, k7x7"),
            ("pool1_", "Max pooling, k3x3"),
            *((f"conv{index}_block", "Bottleneck, k3x3") for index in range(2, 6)),
        ),
        scaling=scaling.CAFFE,
        weights=resnet50_weights(),
    )


def _mobilenetv2(width: float) -> Architecture:
    def blocks(first: int, last: int) -> str:
        return "block_(?:" + "|".join(str(number) for number in range(first, last + 1)) + ")_"

    return Architecture(
        name=mobilenetv2_name(width),
        image_size=224,
        stages=(
            ("Conv1|bn_Conv1", "Conv, k3x3"),
            ("expanded_conv_", "MBConv1, k3x3"),
            *((blocks(first, last), "MBConv6, k3x3") for first, last in _MOBILENETV2_STAGES),
            ("Conv_1|out_relu", "Conv, k1x1"),
        ),
        scaling=scaling.HALF,
        weights=mobilenetv2_weights(width),
    )


CATALOG: dict[str, Architecture] = {
    architecture.name: architecture
    for architecture in (
        *(_efficientnetv2(name) for name in VARIANTS),
        _resnet50(),
        *(_mobilenetv2(width) for width in MOBILENETV2_WIDTHS),
    )
}


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
