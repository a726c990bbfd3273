"""What a layer and a network compute, in words, for telling programs and features apart."""

from __future__ import annotations

import json

import keras

from photofinish import backend
from photofinish.config import is_custom
from photofinish.models.building import Entrant, all_layers
from photofinish.runs import digest_of_our_code, versions

LIBRARIES = ("photofinish", "python", "numpy", "keras", "jax", "jaxlib")


def layer_facts(layer: keras.layers.Layer) -> dict[str, str]:
    """Return what a layer is and the plain values it was made with.

    `get_config` would say the same by way of Keras' serialisation, which imports TensorFlow where it is installed.
    """
    values = {name: value for name, value in vars(layer).items() if not name.startswith("_") and name != "name"}
    plain = {name: repr(value) for name, value in values.items() if _is_plain(value)}
    activation = getattr(layer, "activation", None)
    return {"class": type(layer).__name__, "activation": getattr(activation, "__name__", "none"), **plain}


def _is_plain(value: object) -> bool:
    if isinstance(value, tuple | list):
        return all(_is_plain(item) for item in value)
    return value is None or isinstance(value, bool | int | float | str)


def has_facts(name: str) -> bool:
    """Return whether `network_facts` can say what decides the programs of a model, asked for by this name."""
    return not is_custom(name) and backend.keeps_programs(backend.active())


def network_facts(entrant: Entrant, model: keras.Model, name: str, image_size: int) -> str | None:
    """Return in words what decides a network's programs, its weights aside, or None where nothing is kept.

    That is so of someone's own model too, of which it cannot be known.

    Not part of it is what `backend.compiled` knows itself: shapes, the device and the settings of the library that
    computes.

    Args:
        entrant: The network and where it comes from.
        model: What is used of it: all, or a part.
        name: The model as it was asked for.
        image_size: Height and width at which it is evaluated.
    """
    if not has_facts(name):
        return None
    known = versions()
    facts = {
        "code": digest_of_our_code(),
        "versions": {library: known.get(library) for library in LIBRARIES},
        "model": [name, entrant.input_scaling.description],
        "layers": [layer_facts(layer) for layer in all_layers(model)],
        "graph": _graph(model),
        "image_size": image_size,
        "keras": [
            keras.config.dtype_policy().name,
            keras.config.floatx(),
            keras.config.epsilon(),
            keras.config.image_data_format(),
        ],
    }
    return json.dumps(facts, sort_keys=True)


def _graph(model: keras.Model) -> list[list[int]]:
    """Return for each operation of a functional network, and of those inside it, the places of those it takes from."""
    networks = [model, *(layer for layer in all_layers(model) if isinstance(layer, keras.Model))]
    operations = [operation for network in networks for operation in network.operations]
    # By places: of the names some are counted up through the life of a process.
    places = {id(operation): place for place, operation in enumerate(operations)}
    return [[places.get(id(source), -1) for source in _sources(operation)] for operation in operations]


def _sources(operation: keras.Operation) -> list[keras.Operation]:
    nodes = operation._inbound_nodes  # noqa: SLF001  # Keras says nowhere else what is connected to what
    return [tensor._keras_history.operation for node in nodes for tensor in node.input_tensors]  # noqa: SLF001  # likewise
