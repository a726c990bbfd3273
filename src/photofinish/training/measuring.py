"""What training will cost, from a few steps of every stage and a few batches of everything else.

The code that is timed is the code that trains: the same step, the same batches, the same predictor.
"""

from __future__ import annotations

import dataclasses
import functools
import math
import time

import numpy as np
from numpy.typing import NDArray

from photofinish.config import Settings, TrainingSettings
from photofinish.data import PreparedData
from photofinish.data.augment import resize
from photofinish.models import Entrant, split_head
from photofinish.models.facts import has_facts
from photofinish.models.inference import Predictor, beyond_ordinary
from photofinish.runs import Notify
from photofinish.training.chained import pays
from photofinish.training.clock import WARM_UP_STEPS
from photofinish.training.entrant import SEEN_IN_TRAINING, anatomy_for
from photofinish.training.features import Features
from photofinish.training.loop import Trainer, first_batches, reestimates
from photofinish.training.moving_averages import reestimate_statistics

# So long are the steps of a stage timed, after the one that compiles.
SECONDS_A_STAGE = 2.0
MOST_STEPS = 200
BATCHES = 4
"""So many batches are predicted, the first of which compiles."""


class TrainingCost(Settings):
    """What the training and evaluation of one seed cost, in seconds of wall time, as far as a few steps tell.

    Attributes:
        steps: Steps that were timed, those that compile aside.
        compile: Compiling the training steps of all stages.
        compile_other: Compiling what predicts, and what estimates BatchNormalization's averages.
        train: All training steps of all epochs, without features.
        features: Computing a frozen network's features of all pictures, once for all seeds; 0 where they are kept.
        validation: Validation after every epoch.
        reestimate: Estimating BatchNormalization's averages anew.
        evaluate: Predicting the validation and test pictures at the end.
    """

    steps: int
    compile: float
    compile_other: float
    train: float
    features: float
    validation: float
    reestimate: float
    evaluate: float


def measure_entrant(
    entrant: Entrant,
    name: str,
    data: PreparedData,
    image_size: int,
    settings: TrainingSettings,
    seed: int,
    notify: Notify,
) -> TrainingCost:
    """Time a few steps of each stage and a few batches of what comes with them. The network is of no use afterwards.

    Args:
        entrant: The network.
        name: The model as it was asked for.
        data: The pictures and their division; of the test pictures only the number is looked at.
        image_size: Height and width at which the model is evaluated.
        settings: How to train, its length in epochs.
        seed: Decides order and augmentation.
        notify: Is told of progress.

    Raises:
        TrainingError: The loss is no longer a number.
    """
    model, features = entrant.model, (0.0, 0.0)
    if settings.train == "head":
        features, data, model = _measure_features(entrant, name, data, image_size, notify)
    layers = anatomy_for(entrant, model, name, settings)
    # The race chooses so; what is measured has no name here, so as to find nothing that was kept.
    all_steps = settings.epochs * math.ceil(len(data.splits["train"]) / settings.batch_size)
    chained = pays(model, all_steps, named=has_facts(name))
    trainer = Trainer(model, data, image_size, settings, seed, layers, notify, chained=chained)
    train, steps = 0.0, 0
    for stage in trainer.stages.values():
        trainer.begin_stage(stage)
        seconds, timed = _seconds_a_step(trainer, stage.first_epoch)
        steps += timed
        train += seconds * trainer.steps_per_epoch * (stage.last_epoch - stage.first_epoch + 1)
    batch, compiling = _seconds_a_batch(trainer.predictor, data, data.splits["validation"])
    validation, evaluated = (
        sum(math.ceil(len(data.splits[split]) / trainer.predictor.batch_size) for split in splits)
        for splits in (("validation",), ("validation", "test"))
    )
    reestimate, compiling_statistics = 0.0, 0.0
    if reestimates(settings, trainer.steps_per_epoch * settings.epochs):
        reestimate, compiling_statistics = _measure_reestimation(trainer)
    return TrainingCost(
        steps=steps,
        compile=trainer.clock.compile_seconds,
        compile_other=compiling + compiling_statistics + features[1],
        train=train,
        features=features[0],
        validation=settings.epochs * validation * batch,
        reestimate=reestimate,
        evaluate=evaluated * batch,
    )


def _seconds_a_step(trainer: Trainer, epoch: int) -> tuple[float, int]:
    """Return the seconds of an ordinary step of the stage that was begun, and over how many steps they were timed."""
    taken = 1 + WARM_UP_STEPS
    trainer.train_epoch(epoch, _pictures(trainer, taken))
    # The clock counts the first step of a program, which compiles, like the others of it.
    seconds = trainer.clock.program_seconds[-1] / taken
    more = int(min(MOST_STEPS, SECONDS_A_STAGE / max(seconds, 1e-9)))
    if more > WARM_UP_STEPS:
        trainer.train_epoch(epoch, _pictures(trainer, more))
        taken += more
    return trainer.clock.program_seconds[-1] / taken, taken - 1


def _pictures(trainer: Trainer, steps: int) -> NDArray[np.int64]:
    """Return the training pictures of so many whole steps, each as often as it takes."""
    return np.resize(trainer.indices, steps * trainer.settings.batch_size)


def _seconds_a_batch(predictor: Predictor, data: PreparedData, indices: NDArray[np.int64]) -> tuple[float, float]:
    """Return the seconds to predict an ordinary batch, and what compiling took before the first."""
    predicted = predictor(data.images, np.resize(indices, BATCHES * predictor.batch_size))
    batch = float(np.median(predicted.batch_seconds))
    return batch, predictor.compile_seconds


def _measure_reestimation(trainer: Trainer) -> tuple[float, float]:
    """Return the seconds to estimate BatchNormalization's averages, and those of compiling."""
    pictures = first_batches(trainer.data, trainer.settings.pictures_at_once, trainer.seed)
    ends = [time.perf_counter()]
    reestimate_statistics(
        trainer.model, trainer.prepare, pictures[:BATCHES], lambda _: ends.append(time.perf_counter())
    )
    seconds = np.diff(ends)
    if not len(seconds):
        return 0.0, 0.0
    return float(np.median(seconds[1:] if len(seconds) > 1 else seconds)) * len(pictures), beyond_ordinary(seconds)


def _measure_features(
    entrant: Entrant, name: str, data: PreparedData, image_size: int, notify: Notify
) -> tuple[tuple[float, float], PreparedData, object]:
    """Return what a frozen network's features cost and its compilation, data that stands for features, and the head."""
    network, head = split_head(entrant)
    kept = Features(network, name, data, image_size, notify).kept(SEEN_IN_TRAINING)
    largest = max(len(indices) for indices in data.splits.values())
    predictor = Predictor(network, functools.partial(resize, size=image_size), image_size, largest)
    batch, compiling = (0.0, 0.0) if kept else _seconds_a_batch(predictor, data, data.splits["train"])
    batches = sum(math.ceil(len(indices) / predictor.batch_size) for indices in data.splits.values())
    # Memory that is only promised: what a head takes a step for does not depend on its numbers.
    features = np.zeros((len(data.images), *network.output_shape[1:]), np.float32)
    return (batch * batches, compiling), dataclasses.replace(data, images=features), head
