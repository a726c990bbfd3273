"""What a network is made of, stage by stage: layers, output size, parameters, multiply-accumulates."""

from __future__ import annotations

import itertools
import math
import re
from dataclasses import dataclass
from typing import Any

import keras

from photofinish.models.building import HEAD_LAYERS, Head, all_layers, build
from photofinish.models.catalog import CATALOG, is_custom

HEAD_OPERATOR = "Pooling, dense"
# Every element of their output is a sum over a window of the kernel. Attention and transposed convolutions differ.
COUNTED = (
    keras.layers.Conv1D,
    keras.layers.Conv2D,
    keras.layers.Conv3D,
    keras.layers.Dense,
    keras.layers.DepthwiseConv2D,
)


@dataclass(frozen=True)
class StageRow:
    """A run of layers that belong together.

    Attributes:
        operator: What it is built of.
        stride: Factor by which it reduces height and width.
        channels: Output channels.
        layers: Number of blocks, or 1 where the stage is not repeated.
        output_size: Height and width of its output in pixels.
        parameters: Parameters of its layers.
        macs: Multiply-accumulates for one picture.
    """

    operator: str
    stride: int
    channels: int
    layers: int
    output_size: tuple[int, int]
    parameters: int
    macs: int


@dataclass(frozen=True)
class Description:
    """A network at one image size.

    Attributes:
        name: The model.
        image_size: Height and width of its pictures in pixels.
        classes: Number of classes.
        stages: Its rows.
        parameters: All parameters.
        trainable_parameters: Those an optimiser changes.
        macs: Multiply-accumulates for one picture, or None where they cannot be counted.
    """

    name: str
    image_size: int
    classes: int
    stages: tuple[StageRow, ...]
    parameters: int
    trainable_parameters: int
    macs: int | None


def describe(name: str, *, image_size: int | None = None, classes: int = 1000) -> Description:
    """Describe a model from the catalog, or someone's own.

    Args:
        name: A name from the catalog, or `path/to/model.py:function`.
        image_size: Height and width in pixels; None takes the size at which its authors evaluate it.
        classes: Number of classes.

    Examples:
        >>> description = describe("efficientnetv2-b0")
        >>> description.parameters, round(description.macs / 1e9, 2)
        (7200312, 0.72)
    """
    size = image_size or (224 if is_custom(name) or name not in CATALOG else CATALOG[name].image_size)
    model = build(name, Head(classes), image_size=size, seed=None).model
    rules = () if is_custom(name) else CATALOG[name].stages
    return Description(
        name=name,
        image_size=size,
        classes=classes,
        stages=tuple(_rows(model, rules, size)),
        parameters=count_parameters(model),
        trainable_parameters=sum(math.prod(variable.shape) for variable in model.trainable_variables),
        macs=count_macs(model),
    )


def count_parameters(model: keras.Model) -> int:
    """Return the number of parameters, BatchNormalization's averages included and generators' state not."""
    return sum(math.prod(weight.shape) for weight in model.weights)


def parameters_of(layer: keras.layers.Layer) -> list[Any]:
    """Return a layer's own weights, without those of layers inside it and the state of random generators."""
    inside = {id(weight) for part in layer._flatten_layers(include_self=False) for weight in part.weights}  # noqa: SLF001
    return [weight for weight in layer.weights if id(weight) not in inside]


def leaf_layers(model: keras.Model) -> list[keras.layers.Layer]:
    """Return the layers that compute, without the models that merely hold them."""
    return [layer for layer in all_layers(model) if not isinstance(layer, keras.Model)]


def count_macs(model: keras.Model) -> int | None:
    """Count the multiply-accumulates of convolutions and dense layers for one picture.

    Args:
        model: Built for a fixed image size.

    Returns:
        The count, or None for a model that is not functional, whose layers do not know their shapes.
    """
    total = 0
    for layer in leaf_layers(model):
        macs = layer_macs(layer)
        if macs is None:
            return None
        total += macs
    return total


def layer_macs(layer: keras.layers.Layer) -> int | None:
    """Count a layer's multiply-accumulates for one picture, over every place where it is used.

    Args:
        layer: Part of a functional model with known shapes.

    Returns:
        The count; 0 for layers without kernels; None where a shape is unknown, or how the layer computes.
    """
    if all(len(weight.shape) < 2 for weight in parameters_of(layer)):
        return 0
    if not isinstance(layer, COUNTED):
        return None
    kernel = layer.kernel
    nodes = getattr(layer, "_inbound_nodes", [])
    if not nodes:
        return None
    total = 0
    for node in nodes:
        shape = node.outputs[0].shape[1:]
        if None in shape:
            return None
        # Every element of the output is a sum over the kernel's window and its share of the input channels.
        if isinstance(layer, keras.layers.DepthwiseConv2D):
            total += math.prod(shape) * math.prod(layer.kernel_size)
        else:
            total += math.prod(shape) * math.prod(kernel.shape[:-1])
    return total


def _rows(model: keras.Model, rules: tuple[tuple[str, str], ...], image_size: int) -> list[StageRow]:
    """Group the layers into stages by the catalog's rules, or where the resolution changes."""
    grouped: dict[str, list[keras.layers.Layer]] = {}
    operators: dict[str, str] = {}
    for layer in leaf_layers(model):
        if not layer._inbound_nodes:  # noqa: SLF001  # inside someone's own class: its output is not known
            continue
        key, operator = _stage_of(layer, rules)
        if key:
            grouped.setdefault(key, []).append(layer)
            operators[key] = operator
    rows = []
    before = image_size
    for key, layers in grouped.items():
        row = _row(operators[key], layers, before)
        if row.parameters or row.output_size[0] != before:
            rows.append(row)
            before = row.output_size[0]
    return rows


def _stage_of(layer: keras.layers.Layer, rules: tuple[tuple[str, str], ...]) -> tuple[str, str]:
    """Return the key of the stage a layer belongs to and its operator; an empty key belongs to none."""
    if layer.name in HEAD_LAYERS:
        return "head", HEAD_OPERATOR
    for pattern, operator in rules:
        if re.match(pattern, layer.name):
            return pattern, operator
    if rules:
        return "", ""
    height, width = _size(layer)
    return f"{height}x{width}", "Layers"


def _size(layer: keras.layers.Layer) -> tuple[int, int]:
    """Return height and width of a layer's output; (1, 1) where it has none."""
    shape = layer.output.shape
    return (shape[1], shape[2]) if len(shape) == 4 else (1, 1)


def _row(operator: str, layers: list[keras.layers.Layer], before: int) -> StageRow:
    size = _size(layers[-1])
    return StageRow(
        operator=operator,
        stride=max(1, round(before / size[0])) if operator != HEAD_OPERATOR else 1,
        channels=layers[-1].output.shape[-1],
        layers=_blocks(layers),
        output_size=size,
        parameters=sum(math.prod(weight.shape) for layer in layers for weight in parameters_of(layer)),
        macs=sum(layer_macs(layer) or 0 for layer in layers),
    )


def _blocks(layers: list[keras.layers.Layer]) -> int:
    """Count the blocks by the part of their layers' names that numbers them."""
    prefixes = [re.match(r"(block\d+[a-z]+|block_\d+|conv\d_block\d+)_", layer.name) for layer in layers]
    names = [match.group(1) for match in prefixes if match]
    return len(list(itertools.groupby(names))) if names else 1
