"""EfficientNetV2: one builder for all variants of the table.

The network of the paper (Tan and Le 2021, "EfficientNetV2: Smaller Models and Faster Training", arXiv:2104.00298,
tables 4 and 7) and of its official code. Layers carry the names that keras.applications made well known, so that
published weights fit.
"""

from __future__ import annotations

import itertools
from typing import Any

import keras

from photofinish.catalog.variants import Stage, Variant, block_letters
from photofinish.models.layers import DepthwiseConvolution, PointwiseConvolution, StochasticDepth

BATCH_NORMALIZATION = {"momentum": 0.9, "epsilon": 1e-3}
SQUEEZE_RATIO = 0.25
STOCHASTIC_DEPTH = 0.2
# Untruncated normal of variance 2 / fan out; Keras' own network truncates it.
CONVOLUTION_INITIALIZER = keras.initializers.VarianceScaling(2.0, "fan_out", "untruncated_normal")


def features(images: Any, variant: Variant) -> Any:
    """Build the network up to its last feature map.

    Args:
        images: Scaled pictures, symbolic, (batch, height, width, 3).
        variant: Which network.

    Returns:
        (batch, height / 32, width / 32, variant.head), symbolic.
    """
    x = _convolution(variant.stem, 3, 2, "stem_conv")(images)
    x = _normalised(x, "stem_bn", "stem_activation")
    numbers = itertools.count()
    for index, stage in enumerate(variant.stages, start=1):
        for letter, repeat in zip(block_letters(), range(stage.repeats), strict=False):
            # Survival of block i of n is 1 - 0.2 i / n, with n the number of blocks after scaling (section 3 of the
            # paper, official code); the first block always survives.
            rate = STOCHASTIC_DEPTH * next(numbers) / variant.blocks
            block = _fused_block if stage.kind == "fused" else _mbconv_block
            stride = stage.stride if repeat == 0 else 1
            x = block(x, stage, stride, rate, f"block{index}{letter}_")
    x = _convolution(variant.head, 1, 1, "top_conv")(x)
    return _normalised(x, "top_bn", "top_activation")


def _fused_block(inputs: Any, stage: Stage, stride: int, rate: float, prefix: str) -> Any:
    """Fused-MBConv: expansion and spatial convolution in one (figure 2 of the paper)."""
    x = inputs
    if stage.expansion > 1:
        x = _convolution(inputs.shape[-1] * stage.expansion, 3, stride, prefix + "expand_conv")(x)
        x = _normalised(x, prefix + "expand_bn", prefix + "expand_activation")
        x = _convolution(stage.channels, 1, 1, prefix + "project_conv")(x)
        x = _normalised(x, prefix + "project_bn")
    else:
        x = _convolution(stage.channels, 3, stride, prefix + "project_conv")(x)
        x = _normalised(x, prefix + "project_bn", prefix + "project_activation")
    return _with_residual(inputs, x, stride, rate, prefix)


def _mbconv_block(inputs: Any, stage: Stage, stride: int, rate: float, prefix: str) -> Any:
    """MBConv: expand, depthwise, squeeze-and-excitation, project."""
    hidden = inputs.shape[-1] * stage.expansion
    x = _convolution(hidden, 1, 1, prefix + "expand_conv")(inputs)
    x = _normalised(x, prefix + "expand_bn", prefix + "expand_activation")
    x = DepthwiseConvolution(
        3,
        strides=stride,
        padding="same",
        use_bias=False,
        depthwise_initializer=CONVOLUTION_INITIALIZER,
        name=prefix + "dwconv2",
    )(x)
    x = _normalised(x, prefix + "bn", prefix + "activation")
    x = _squeeze_and_excite(x, max(1, int(inputs.shape[-1] * SQUEEZE_RATIO)), prefix)
    x = _convolution(stage.channels, 1, 1, prefix + "project_conv")(x)
    x = _normalised(x, prefix + "project_bn")
    return _with_residual(inputs, x, stride, rate, prefix)


def _squeeze_and_excite(x: Any, reduced: int, prefix: str) -> Any:
    """Weigh channels by a function of their means (Hu et al. 2018)."""
    channels = x.shape[-1]
    weights = keras.layers.GlobalAveragePooling2D(keepdims=True, name=prefix + "se_squeeze")(x)
    weights = _convolution(reduced, 1, 1, prefix + "se_reduce", activation="silu", use_bias=True)(weights)
    weights = _convolution(channels, 1, 1, prefix + "se_expand", activation="sigmoid", use_bias=True)(weights)
    return keras.layers.Multiply(name=prefix + "se_excite")([x, weights])


def _with_residual(inputs: Any, x: Any, stride: int, rate: float, prefix: str) -> Any:
    """Add the input where shapes allow, dropping the branch for some pictures in training."""
    if stride != 1 or inputs.shape[-1] != x.shape[-1]:
        return x
    if rate > 0:
        x = StochasticDepth(rate, name=prefix + "drop")(x)
    return keras.layers.Add(name=prefix + "add")([x, inputs])


def _convolution(
    filters: int, size: int, stride: int, name: str, *, activation: str | None = None, use_bias: bool = False
) -> keras.layers.Layer:
    layer = PointwiseConvolution if size == stride == 1 else keras.layers.Conv2D
    return layer(
        filters,
        size,
        strides=stride,
        padding="same",
        use_bias=use_bias,
        activation=activation,
        kernel_initializer=CONVOLUTION_INITIALIZER,
        name=name,
    )


def _normalised(x: Any, name: str, activation_name: str | None = None) -> Any:
    """Apply BatchNormalization, and SiLU where an activation is named."""
    x = keras.layers.BatchNormalization(**BATCH_NORMALIZATION, name=name)(x)
    if activation_name is None:
        return x
    return keras.layers.Activation("silu", name=activation_name)(x)
