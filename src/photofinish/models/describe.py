"""What a network is made of, stage by stage: layers, output size, parameters, multiply-accumulates."""

from __future__ import annotations

import itertools
import math
import re
from dataclasses import dataclass
from typing import Any

import keras

from photofinish.catalog import CATALOG
from photofinish.config import is_custom
from photofinish.models.building import HEAD_LAYERS, Head, all_layers, build

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
    shapes = output_shapes(model, size)
    return Description(
        name=name,
        image_size=size,
        classes=classes,
        stages=tuple(_rows(model, rules, size, shapes)) if shapes else (),
        parameters=count_parameters(model),
        trainable_parameters=count_trainable_parameters(model),
        macs=count_macs(model, size),
    )


def count_parameters(model: keras.Model) -> int:
    """Return the number of parameters, BatchNormalization's averages included and generators' state not."""
    return sum(math.prod(weight.shape) for weight in model.weights)


def count_trainable_parameters(model: keras.Model) -> int:
    """Return the number of parameters that an optimiser changes."""
    return sum(math.prod(variable.shape) for variable in model.trainable_variables)


def parameters_of(layer: keras.layers.Layer) -> list[Any]:
    """Return a layer's own weights, without those of layers inside it and the state of random generators."""
    inside = {id(weight) for part in layer._flatten_layers(include_self=False) for weight in part.weights}  # noqa: SLF001
    return [weight for weight in layer.weights if id(weight) not in inside]


def leaf_layers(model: keras.Model) -> list[keras.layers.Layer]:
    """Return the layers that compute, without the models that merely hold them."""
    return [layer for layer in all_layers(model) if not isinstance(layer, keras.Model)]


def count_macs(model: keras.Model, image_size: int) -> int | None:
    """Count the multiply-accumulates of convolutions and dense layers for one picture.

    Args:
        model: Any model of pictures.
        image_size: Height and width in pixels.

    Returns:
        The count, or None for a model that is not functional, whose layers do not know their shapes, or that has
        matrices in layers that compute otherwise.
    """
    shapes = output_shapes(model, image_size)
    layers = leaf_layers(model)
    if shapes is None or any(not isinstance(layer, COUNTED) and _has_matrices(layer) for layer in layers):
        return None
    return sum(layer_macs(layer, shapes) for layer in layers)


def _has_matrices(layer: keras.layers.Layer) -> bool:
    return any(len(weight.shape) > 1 for weight in parameters_of(layer))


Shapes = dict[int, list[tuple[int, ...]]]


def output_shapes(model: keras.Model, image_size: int) -> Shapes | None:
    """Return the shapes of every layer's outputs for pictures of one size, by the layer's `id`.

    A layer that is used several times has several. The graph is walked symbolically; nothing is computed.

    Args:
        model: Any model of pictures.
        image_size: Height and width in pixels.

    Returns:
        The shapes without the batch, or None for a model that is not functional.
    """
    shapes: Shapes = {}
    try:
        _walk(model, keras.KerasTensor((None, image_size, image_size, 3)), shapes)
    except AttributeError:
        return None
    return shapes


def _walk(model: keras.Model, inputs: Any, shapes: Shapes) -> Any:
    """Run a functional model on symbolic inputs, noting every layer's output shape."""
    graph = getattr(model, "_functional", model)  # a Sequential keeps its graph there

    def symbolically(operation: Any) -> Any:
        def call(*arguments: Any, **options: Any) -> Any:
            if isinstance(operation, keras.Model):
                return _walk(operation, arguments[0], shapes)
            outputs = operation.compute_output_spec(*arguments, **options)
            shapes.setdefault(id(operation), []).append(tuple(keras.tree.flatten(outputs)[0].shape[1:]))
            return outputs

        return call

    return graph._run_through_graph(inputs, operation_fn=symbolically)  # noqa: SLF001  # Keras has no public walk


def layer_macs(layer: keras.layers.Layer, shapes: Shapes) -> int:
    """Count a layer's multiply-accumulates for one picture, over every place where it is used.

    Every element of the output is a sum over the kernel's window and its share of the input channels.
    """
    kernel = getattr(layer, "kernel", None)
    if kernel is None:
        return 0
    is_depthwise = isinstance(layer, keras.layers.DepthwiseConv2D)
    terms = math.prod(layer.kernel_size) if is_depthwise else math.prod(kernel.shape[:-1])
    return sum(math.prod(shape) * terms for shape in shapes.get(id(layer), []))


def _rows(model: keras.Model, rules: tuple[tuple[str, str], ...], image_size: int, shapes: Shapes) -> list[StageRow]:
    """Group the layers into stages by the catalog's rules, or where the resolution changes."""
    grouped: dict[str, list[keras.layers.Layer]] = {}
    operators: dict[str, str] = {}
    position = {key: number for number, key in enumerate(shapes)}
    computed = sorted(
        (layer for layer in leaf_layers(model) if id(layer) in position), key=lambda one: position[id(one)]
    )
    for layer in computed:
        if not layer._inbound_nodes:  # noqa: SLF001  # inside someone's own class: its output is not known
            continue
        key, operator = _stage_of(layer, rules, shapes)
        if key:
            grouped.setdefault(key, []).append(layer)
            operators[key] = operator
    rows = []
    before = image_size
    for key, layers in grouped.items():
        row = _row(operators[key], layers, before, shapes)
        if row.parameters or row.output_size[0] != before:
            rows.append(row)
            before = row.output_size[0]
    return rows


def _stage_of(layer: keras.layers.Layer, rules: tuple[tuple[str, str], ...], shapes: Shapes) -> tuple[str, str]:
    """Return the key of the stage a layer belongs to and its operator; an empty key belongs to none."""
    if layer.name in HEAD_LAYERS:
        return "head", HEAD_OPERATOR
    for pattern, operator in rules:
        if re.match(pattern, layer.name):
            return pattern, operator
    if rules:
        return "", ""
    height, width = _size(layer, shapes)
    return f"{height}x{width}", "Layers"


def _size(layer: keras.layers.Layer, shapes: Shapes) -> tuple[int, int]:
    """Return height and width of a layer's output; (1, 1) where it has none."""
    shape = shapes.get(id(layer), [()])[-1]
    return (shape[0], shape[1]) if len(shape) == 3 else (1, 1)


def _row(operator: str, layers: list[keras.layers.Layer], before: int, shapes: Shapes) -> StageRow:
    size = _size(layers[-1], shapes)
    return StageRow(
        operator=operator,
        stride=max(1, round(before / size[0])) if operator != HEAD_OPERATOR else 1,
        channels=shapes[id(layers[-1])][-1][-1],
        layers=_blocks(layers),
        output_size=size,
        parameters=sum(math.prod(weight.shape) for layer in layers for weight in parameters_of(layer)),
        macs=sum(layer_macs(layer, shapes) for layer in layers),
    )


def _blocks(layers: list[keras.layers.Layer]) -> int:
    """Count the blocks by the part of their layers' names that numbers them."""
    prefixes = [re.match(r"(block\d+[a-z]+|block_\d+|conv\d_block\d+)_", layer.name) for layer in layers]
    names = [match.group(1) for match in prefixes if match]
    return len(list(itertools.groupby(names))) if names else 1
