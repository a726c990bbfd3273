"""Training an entrant as asked: all of it, its head only, or more and more of it."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from dataclasses import dataclass

import keras

from photofinish.config import TrainingSettings
from photofinish.data import PreparedData
from photofinish.data.augment import resize
from photofinish.models import OWN, RANDOM, Anatomy, Entrant, anatomy, count_trainable_parameters, split_head
from photofinish.models.facts import network_facts
from photofinish.runs import EpochRecord, Notify
from photofinish.training.checkpointing import Keeper
from photofinish.training.features import Features
from photofinish.training.folded import is_folded, unfold
from photofinish.training.loop import Copy, Show, TrainingOutcome, first_batches, train
from photofinish.training.programs import program_facts

SEEN_IN_TRAINING = ("train", "validation")


@dataclass(frozen=True)
class Trained:
    """A trained entrant, and what its record needs to say.

    Attributes:
        outcome: What training left.
        features: The frozen network's features, where only the head was trained.
        feature_seconds: Seconds that the features of the training pictures cost when they were computed.
        trainable_parameters: Parameters that were trained, in the last stage.
        statistics_unfolded: Whether BatchNormalization was given statistics before training.
    """

    outcome: TrainingOutcome
    features: Features | None
    feature_seconds: float
    trainable_parameters: int
    statistics_unfolded: bool

    @property
    def train_seconds(self) -> float:
        """Seconds of training, the features of the training pictures included."""
        return self.feature_seconds + self.outcome.clock.train_seconds


def anatomy_for(entrant: Entrant, model: keras.Model, name: str, settings: TrainingSettings) -> Anatomy:
    """Return the layers of what is trained by what becomes of them, cut into parts where the settings ask for it.

    Args:
        entrant: The network and where it comes from.
        model: What is trained of it: all, or the head.
        name: The model as it was asked for.
        settings: How to train.
    """
    is_cut = settings.train == "gradual" or settings.layer_decay_used != 1
    return anatomy(dataclasses.replace(entrant, model=model), name, cut=is_cut)


def train_entrant(  # noqa: PLR0913  # as `train`
    entrant: Entrant,
    name: str,
    data: PreparedData,
    image_size: int,
    settings: TrainingSettings,
    seed: int,
    *,
    record: Callable[[EpochRecord], None],
    notify: Notify,
    show: Show = lambda *_: None,
    keeper: Keeper | None = None,
    best: Copy | None = None,
) -> Trained:
    """Train an entrant on the training pictures.

    Args:
        entrant: Its weights are changed.
        name: The model as it was asked for.
        data: The pictures and their division; the test pictures are not looked at.
        image_size: Height and width at which the model is evaluated.
        settings: How to train, its length in epochs.
        seed: Decides order and augmentation.
        record: Is given each epoch's figures.
        notify: Is told of progress.
        show: Is given the first pictures of each stage; with `train=head` there are none, and it is given features.
        keeper: Saves the training under way; None does not.
        best: Copies the network after an epoch that was the best so far, and returns what writes the copy.

    Raises:
        SettingsError: The network cannot be taken apart as asked.
        TrainingError: The loss is no longer a number.
    """
    model, features, feature_seconds = entrant.model, None, 0.0
    if settings.train == "head":
        network, model = split_head(entrant)
        kept_as = network_facts(entrant, network, name, image_size)
        features = Features(network, name, data, image_size, notify, kept_as)
        data, times = features.of(SEEN_IN_TRAINING)
        feature_seconds = times["train"].seconds
    layers = anatomy_for(entrant, model, name, settings)
    program = program_facts(entrant, model, name, image_size, settings)
    unfolds = entrant.weights not in {RANDOM, OWN} and is_folded(model)
    if unfolds:
        pictures = first_batches(data, settings.pictures_at_once, seed)
        unfold(model, functools.partial(resize, size=image_size), pictures, program)

    def record_with_features(epoch: EpochRecord) -> None:
        own = feature_seconds if epoch.epoch == 1 else 0.0
        elapsed = epoch.elapsed_seconds + feature_seconds
        record(epoch.but(train_seconds=epoch.train_seconds + own, elapsed_seconds=elapsed))

    outcome = train(
        model,
        data,
        image_size,
        settings,
        seed,
        anatomy=layers,
        record=record_with_features,
        notify=notify,
        show=show,
        program=program,
        keeper=keeper,
        best=best,
    )
    return Trained(outcome, features, feature_seconds, count_trainable_parameters(model), unfolds)
