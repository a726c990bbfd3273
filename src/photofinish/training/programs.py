"""Everything that decides the programs of a training, so that they are traced once for all seeds of a model."""

from __future__ import annotations

import keras

from photofinish.config import TrainingSettings
from photofinish.models import Entrant, all_layers
from photofinish.models.facts import network_facts
from photofinish.training.stages import Stage


def program_facts(
    entrant: Entrant, model: keras.Model, name: str, image_size: int, settings: TrainingSettings
) -> str | None:
    """Return in words what decides a training's programs, or None where nothing is kept: see `network_facts`.

    Not part of it is the seed, which decides values only.

    Args:
        entrant: The network and where it comes from.
        model: What is trained of it: all, or the head.
        name: The model as it was asked for.
        image_size: Height and width at which it is evaluated.
        settings: How to train, its length in epochs.
    """
    network = network_facts(entrant, model, name, image_size)
    if network is None:
        return None
    return repr((network, entrant.weights, entrant.head, settings.model_dump_json()))


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
    return repr((program, stage, variables, trainable_layers(model)))


def statistics_facts(program: str | None, model: keras.Model) -> str | None:
    """Return in words what decides the program that estimates BatchNormalization's averages, or None likewise.

    Args:
        program: From `program_facts`.
        model: What was trained; what is frozen now computes with the averages that it has.
    """
    return None if program is None else repr((program, "statistics", trainable_layers(model)))


def trainable_layers(model: keras.Model) -> list[bool]:
    """Return of each layer whether it is trained now."""
    return [layer.trainable for layer in all_layers(model)]
