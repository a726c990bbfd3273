"""A functional network cut where its residual branches meet, into segments that are computed one after another."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import keras
from keras.src.models.functional import Functional  # Keras exports only what makes one

from photofinish.models.facts import layer_facts
from photofinish.models.layers import StochasticDepth

# The packages whose layers compute nothing but what their plain attributes say.
KNOWN = ("keras.", "photofinish.")


@dataclass(frozen=True, eq=False)
class Segment:
    """Operations of a network that need nothing from before them but one tensor.

    Attributes:
        nodes: The calls of its operations, in order.
        source: The tensor it takes, symbolic.
    """

    nodes: Sequence[Any]
    source: keras.KerasTensor

    @property
    def operations(self) -> list[keras.Operation]:
        """Its operations, in order."""
        return [node.operation for node in self.nodes]

    @property
    def layers(self) -> list[keras.layers.Layer]:
        """Those of its operations that are layers."""
        return [operation for operation in self.operations if isinstance(operation, keras.layers.Layer)]

    @property
    def rates(self) -> list[float]:
        """The rates of its stochastic depth, in which blocks differ that are otherwise alike."""
        return [layer.rate for layer in self.layers if isinstance(layer, StochasticDepth)]

    @property
    def facts(self) -> str:
        """What it computes, in words, but for the values of its variables and `rates`."""
        places = {id(operation): place for place, operation in enumerate(self.operations)}
        return repr([_facts(node, places) for node in self.nodes])

    def train(self, inputs: Any, rates: Any) -> Any:
        """Compute as in training.

        Args:
            inputs: What `source` stands for.
            rates: As in `rates`, (number of layers with stochastic depth,).
        """
        tensors = {id(self.source): inputs}
        passed = 0
        for node in self.nodes:
            operation = node.operation
            arguments, options = node.arguments.fill_in(tensors)
            if isinstance(operation, StochasticDepth):
                outputs = operation.drop(arguments[0], rates[passed])
                passed += 1
            else:
                if isinstance(operation, keras.layers.Layer) and operation._call_has_training_arg:  # noqa: SLF001  # as Keras asks
                    options = {**options, "training": True}
                outputs = operation(*arguments, **options)
            tensors[id(node.outputs[0])] = outputs
        return tensors[id(self.nodes[-1].outputs[0])]


def segments(model: keras.Model) -> list[Segment]:
    """Cut a network after every addition on which alone everything after it depends, and before blocks that come again.

    The first block of a stage mostly has no residual branch, and so no addition at its end. What reaches from there to
    the next addition is cut once more where its end computes what the segment after it does.

    Args:
        model: The network.

    Returns:
        Its segments in order; none where it cannot be computed as a chain: it is not functional, has several inputs
        or outputs, uses a layer twice, or adds losses of its own.
    """
    nodes = _nodes(model)
    if not nodes:
        return []
    alone = _alone(nodes, model.inputs[0])
    at_additions: list[Segment] = []
    begun, source = 0, model.inputs[0]
    for place, node in enumerate(nodes):
        output = node.outputs[0]
        if place == len(nodes) - 1 or (isinstance(node.operation, keras.layers.Add) and id(output) in alone):
            at_additions.append(Segment(nodes[begun : place + 1], source))
            begun, source = place + 1, output
    cut: list[Segment] = []
    for segment, following in itertools.zip_longest(at_additions, at_additions[1:]):
        cut += _cut_before(segment, following, alone) if following else [segment]
    return cut


def _alone(nodes: Sequence[Any], source: keras.KerasTensor) -> set[int]:
    """Return the `id` of each tensor on which alone everything after it depends.

    Args:
        nodes: The calls of a network's operations, in order.
        source: What the network takes.
    """
    last_use = {id(tensor): place for place, node in enumerate(nodes) for tensor in node.input_tensors}
    found = set()
    # The last place at which anything computed before a node is used.
    latest = last_use.get(id(source), 0)
    for place, node in enumerate(nodes):
        output = id(node.outputs[0])
        if latest <= place:
            found.add(output)
        latest = max(latest, last_use.get(output, place))
    return found


def _cut_before(segment: Segment, following: Segment, alone: set[int]) -> list[Segment]:
    """Cut a segment where its end computes what the following one does; otherwise return it whole."""
    rest, end = segment.nodes[: -len(following.nodes)], segment.nodes[-len(following.nodes) :]
    if not rest or id(rest[-1].outputs[0]) not in alone:
        return [segment]
    again = Segment(end, rest[-1].outputs[0])
    return [Segment(rest, segment.source), again] if again.facts == following.facts else [segment]


def _nodes(model: keras.Model) -> list[Any]:
    """Return the calls of a network's operations in order, or none where it is no chain of layers that allow it."""
    if type(model) is not Functional or len(model.inputs) != 1 or len(model.outputs) != 1:
        return []
    by_operation: dict[int, list[Any]] = {}
    for nodes in model._nodes_by_depth.values():  # noqa: SLF001  # Keras says nowhere else what this network calls
        for node in nodes:
            by_operation.setdefault(id(node.operation), []).append(node)
    found = []
    for operation in model.operations:
        calls = by_operation.get(id(operation), [])
        if isinstance(operation, keras.layers.InputLayer):
            continue
        if len(calls) != 1 or len(calls[0].outputs) != 1 or not _is_plain(operation):
            return []
        found.append(calls[0])
    return found if found and found[-1].outputs[0] is model.outputs[0] else []


def _is_plain(operation: keras.Operation) -> bool:
    """Return whether an operation is no network of its own, masks nothing, and adds nothing to the loss."""
    if not isinstance(operation, keras.layers.Layer):
        return True
    if isinstance(operation, keras.Model | keras.layers.Masking | keras.layers.ActivityRegularization):
        return False
    return operation.activity_regularizer is None and not operation.losses


def _facts(node: Any, places: dict[int, int]) -> tuple[Any, ...]:
    """Return what a call computes, in words; where that cannot be known, something that no other call shares."""
    operation = node.operation

    def argument(value: Any) -> Any:
        if isinstance(value, keras.KerasTensor):
            return "tensor", places.get(id(value._keras_history.operation), -1)  # noqa: SLF001  # said nowhere else
        return value

    arguments = keras.tree.map_structure(argument, (node.arguments.args, node.arguments.kwargs))
    if not isinstance(operation, keras.layers.Layer) or not _is_known(operation):
        return id(operation), repr(arguments)
    passed_over = {"seed", *(["rate"] if isinstance(operation, StochasticDepth) else [])}
    plain = {name: value for name, value in layer_facts(operation).items() if name not in passed_over}
    variables = [(tuple(one.shape), str(one.dtype), one.trainable) for one in operation.variables]
    shapes = [tuple(tensor.shape) for tensor in (*node.input_tensors, *node.outputs)]
    return operation.dtype_policy.name, plain, variables, shapes, repr(arguments)


def _is_known(layer: keras.layers.Layer) -> bool:
    """Return whether a layer computes nothing but what its plain attributes say."""
    activation = getattr(layer, "activation", None)
    constrained = any(variable.constraint is not None for variable in layer.trainable_variables)
    ours = all(type(one).__module__.startswith(KNOWN) for one in (layer, layer.dtype_policy))
    named = activation is None or getattr(activation, "__module__", "").startswith(KNOWN)
    return ours and named and not constrained and not isinstance(layer, keras.layers.Lambda | keras.layers.Wrapper)
