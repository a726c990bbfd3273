"""The stages of a training: progressive learning, and gradual unfreezing."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

from photofinish.config import TrainingSettings
from photofinish.data.augment import Augmentation

# With `train=gradual`: the head, a third of the network, two thirds, all of it.
GRADUAL_PHASES = 4


@dataclass(frozen=True)
class Conditions:
    """What stays the same all through a stage.

    Attributes:
        image_size: Height and width of training pictures in pixels.
        augmentation: What happens to them.
        dropout: Dropout before the classifier.
        trained_share: Share of the network's parts that are trained, from the top; the head always is.
    """

    image_size: int
    augmentation: Augmentation
    dropout: float
    trained_share: float


@dataclass(frozen=True)
class Stage:
    """Epochs under the same conditions.

    Attributes:
        number: 1 for the first.
        first_epoch: Likewise.
        last_epoch: Its last one.
        conditions: What stays the same.
    """

    number: int
    first_epoch: int
    last_epoch: int
    conditions: Conditions


def stages_of(settings: TrainingSettings, image_size: int) -> tuple[Stage, ...]:
    """Divide a training into stages.

    Image size and every strength go linearly from the first stage's to the last's (Tan and Le 2021,
    arXiv:2104.00298, algorithm 1); stages are of equal length, to the epoch.

    Args:
        settings: How to train, its length in epochs.
        image_size: Height and width at which the model is evaluated, and trained unless `training_size` says otherwise.

    Examples:
        >>> settings = TrainingSettings(epochs=8, stages=4, training_size="16:32", dropout="0.1:0.3")
        >>> [(stage.first_epoch, stage.conditions.image_size) for stage in stages_of(settings, 32)]
        [(1, 16), (3, 21), (5, 27), (7, 32)]
    """
    conditions = [conditions_of(settings, image_size, epoch) for epoch in range(1, settings.epochs + 1)]
    stages: list[Stage] = []
    first = 1
    for alike, group in itertools.groupby(conditions):
        length = len(list(group))
        stages.append(Stage(len(stages) + 1, first, first + length - 1, alike))
        first += length
    return tuple(stages)


def conditions_of(settings: TrainingSettings, image_size: int, epoch: int) -> Conditions:
    """Return the conditions of an epoch, 1 for the first."""
    stage = (epoch - 1) * settings.stages // settings.epochs
    size = settings.training_size
    augmentation = Augmentation(
        flip=settings.flip,
        shift=settings.shift,
        crop=settings.crop,
        randaugment=settings.randaugment.at(stage, settings.stages),
        cutout=settings.cutout,
        mixup=settings.mixup.at(stage, settings.stages),
        cutmix=settings.cutmix.at(stage, settings.stages),
    )
    return Conditions(
        image_size=image_size if size is None else round(size.at(stage, settings.stages)),
        augmentation=augmentation,
        dropout=settings.dropout.at(stage, settings.stages),
        trained_share=_trained_share(settings, epoch),
    )


def _trained_share(settings: TrainingSettings, epoch: int) -> float:
    if settings.train == "all":
        return 1.0
    if settings.train == "head":
        return 0.0
    phases = min(GRADUAL_PHASES, settings.epochs)
    return ((epoch - 1) * phases // settings.epochs) / (phases - 1)
