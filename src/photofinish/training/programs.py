"""Everything that decides the programs of a training, so that they are traced once for all seeds of a model."""

from __future__ import annotations

import keras

from photofinish.config import TrainingSettings
from photofinish.models import Entrant, all_layers
from photofinish.models.facts import network_facts
from photofinish.training.stages import Stage

NOT_IN_PROGRAMS = frozenset(
    {
        # Values that a step is given, or how often it is taken.
        "epochs", "steps", "learning_rate", "schedule", "warmup_epochs", "weights", "reestimate_statistics",
        # Of these, what holds in a stage is named with its step.
        "stages", "training_size", "flip", "shift", "crop", "randaugment", "cutout", "mixup", "cutmix", "dropout",
    }
)  # fmt: skip
"""Settings of a training without which its programs, or the names of them, are the same."""


def program_facts(
    entrant: Entrant, model: keras.Model, name: str, image_size: int, settings: TrainingSettings
) -> str | None:
    """Return in words what decides a training's programs, or None where nothing is kept: see `network_facts`.

    Not part of it are the seed and whatever else decides values only, so that another learning rate or another number
    of epochs needs no other program.

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
    # With gradual training, each phase brings an optimiser of its own.
    phases = settings.epochs if settings.train == "gradual" else None
    return repr((network, entrant.head, settings.model_dump_json(exclude=set(NOT_IN_PROGRAMS)), phases))


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
    return repr((program, stage.conditions, variables, trainable_layers(model)))


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
