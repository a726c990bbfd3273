"""Everything that decides the program of a training step, so that it is traced once for all seeds of a model."""

from __future__ import annotations

import json

import keras

from photofinish import backend
from photofinish.config import TrainingSettings, is_custom
from photofinish.models import Entrant, all_layers
from photofinish.models.facts import layer_facts
from photofinish.runs import digest_of_our_code, versions
from photofinish.training.stages import Stage

LIBRARIES = ("photofinish", "python", "numpy", "keras", "jax", "jaxlib")


def program_facts(
    entrant: Entrant, model: keras.Model, name: str, image_size: int, settings: TrainingSettings
) -> str | None:
    """Return in words what decides a training's programs, or None where nothing is kept.

    That is so of someone's own model too, of which it cannot be known.

    Not part of it are the seed, which decides values only, and what `backend.compiled` knows itself: shapes, the device
    and the settings of the library that computes.

    Args:
        entrant: The network and where it comes from.
        model: What is trained of it: all, or the head.
        name: The model as it was asked for.
        image_size: Height and width at which it is evaluated.
        settings: How to train, its length in epochs.
    """
    if is_custom(name) or not backend.keeps_programs(backend.active()):
        return None
    known = versions()
    facts = {
        "code": digest_of_our_code(),
        "versions": {library: known.get(library) for library in LIBRARIES},
        "model": [name, entrant.weights, entrant.head, entrant.input_scaling.description],
        "layers": [layer_facts(layer) for layer in all_layers(model)],
        "graph": _graph(model),
        "image_size": image_size,
        "settings": settings.model_dump(mode="json"),
        "keras": [
            keras.config.dtype_policy().name,
            keras.config.floatx(),
            keras.config.epsilon(),
            keras.config.image_data_format(),
        ],
    }
    return json.dumps(facts, sort_keys=True)


def step_facts(program: str | None, model: keras.Model, stage: Stage) -> str | None:
    """Return in words what decides the program of a stage's step, or None where it cannot be known.

    Args:
        program: From `program_facts`.
        model: What is trained; what is trainable now is trained in this stage.
        stage: With its conditions.
    """
    if program is None:
        return None
    variables = [(tuple(one.shape), str(one.dtype), bool(one.trainable)) for one in model.variables]
    return repr((program, stage, variables, [layer.trainable for layer in all_layers(model)]))


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
