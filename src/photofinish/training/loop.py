"""The training loop: every picture once an epoch, every batch of one shape, nothing random but (seed, epoch, index)."""

from __future__ import annotations

import contextlib
import functools
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray

from photofinish import backend
from photofinish.config import TrainingSettings
from photofinish.data import PreparedData, batches, epoch_order
from photofinish.data.augment import augmentation_draws, resize
from photofinish.errors import TrainingError
from photofinish.models import Anatomy
from photofinish.models.inference import Predictor, beyond_ordinary
from photofinish.runs import EpochRecord, NonFiniteStep, Notify, StageEvent
from photofinish.training.clock import StepClock
from photofinish.training.freezing import Freezing, rates_below
from photofinish.training.losses import cross_entropy, smoothed_targets
from photofinish.training.moving_averages import REESTIMATION_EXAMPLES, WeightAverage, reestimate_statistics
from photofinish.training.nonfinite import REASONS, Guard, require_few
from photofinish.training.optimizers import build_optimizer
from photofinish.training.programs import step_facts
from photofinish.training.schedules import learning_rate
from photofinish.training.stages import Stage, stages_of
from photofinish.training.step import SHOWN, Learner, compile_step
from photofinish.training.totals import Totals

Show = Callable[[Stage, NDArray[Any], NDArray[Any]], None]
NOT_CUT = Anatomy()


@dataclass(frozen=True)
class TrainingOutcome:
    """What training leaves besides the weights in the model.

    Attributes:
        steps: Steps taken.
        clock: Where the time went.
        stages: The stages it went through.
        validation_seconds: Seconds of validation after each epoch, in all, without compilation.
        reestimation_seconds: Seconds spent on BatchNormalization's averages, without compilation.
        other_compile_seconds: Seconds that the first batches of both took beyond ordinary ones; where there was one
            batch only, unknown: 0.
        statistics_reestimated: Whether they were estimated anew.
        predictor: The compiled network, for the evaluation to come.
        step_from_cache: Whether the training step of any stage was found compiled in the persistent cache.
        nonfinite_steps: Those that were not applied, because their loss or gradient was not a finite number.
    """

    steps: int
    clock: StepClock
    stages: tuple[Stage, ...]
    validation_seconds: float
    reestimation_seconds: float
    other_compile_seconds: float
    statistics_reestimated: bool
    predictor: Predictor
    step_from_cache: bool
    nonfinite_steps: tuple[NonFiniteStep, ...] = ()


def train(  # noqa: PLR0913  # what a training is made of, and who is told
    model: keras.Model,
    data: PreparedData,
    image_size: int,
    settings: TrainingSettings,
    seed: int,
    *,
    anatomy: Anatomy = NOT_CUT,
    record: Callable[[EpochRecord], None],
    notify: Notify,
    show: Show = lambda *_: None,
    program: str | None = None,
) -> TrainingOutcome:
    """Train a network on the training pictures, validating after each epoch.

    Args:
        model: From pictures of 0-255 to logits; its weights are changed. With `train=head` from features to logits.
        data: The pictures and their division; the test pictures are not looked at. With `train=head` its `images` are
            the features.
        image_size: Height and width at which the model is evaluated.
        settings: How to train, its length in epochs.
        seed: Decides order and augmentation.
        anatomy: The network's layers by what becomes of them, where parts are frozen or trained at smaller rates, or
            dropout changes.
        record: Is given each epoch's figures.
        notify: Is told of progress.
        show: Is given the first pictures of each stage, as they are stored and as the network saw them.
        program: As from `program_facts`, so that later processes need not trace the training step; None traces it.

    Raises:
        TrainingError: The loss or a gradient is no longer a number, and that was to end it, or happened too often.
    """
    trainer = Trainer(model, data, image_size, settings, seed, anatomy, notify, program)
    validation_seconds = elapsed = 0.0
    for epoch in range(1, settings.epochs + 1):
        if epoch in trainer.stages:
            trainer.begin_stage(trainer.stages[epoch])
        totals = trainer.train_epoch(epoch)
        if epoch in trainer.stages:
            stored, seen = trainer.first_pictures
            show(trainer.stage, stored, seen)
        start = time.perf_counter()
        loss, accuracy = trainer.validate(epoch)
        validation_seconds += time.perf_counter() - start
        # With one step an epoch the first contains compilation until the second tells them apart.
        elapsed = max(elapsed, trainer.clock.train_seconds)
        record(
            EpochRecord(
                epoch=epoch,
                train_loss=totals.loss,
                train_accuracy=totals.accuracy,
                validation_loss=loss,
                validation_accuracy=accuracy,
                learning_rate=trainer.rate * trainer.rate_left,
                train_seconds=trainer.clock.epoch_seconds,
                elapsed_seconds=elapsed,
                nonfinite_steps=len(totals.not_applied),
            )
        )
    start = time.perf_counter()
    reestimated = trainer.finish()
    reestimation_seconds = time.perf_counter() - start
    compilation = trainer.predictor.compile_seconds
    return TrainingOutcome(
        steps=trainer.steps,
        clock=trainer.clock,
        stages=tuple(trainer.stages.values()),
        validation_seconds=validation_seconds - compilation,
        reestimation_seconds=reestimation_seconds - trainer.reestimation_compile_seconds,
        other_compile_seconds=compilation + trainer.reestimation_compile_seconds,
        statistics_reestimated=reestimated,
        predictor=trainer.predictor,
        step_from_cache=trainer.step_from_cache,
        nonfinite_steps=tuple(trainer.nonfinite),
    )


@dataclass(frozen=True, eq=False)
class Shown:
    """What an epoch shows.

    Attributes:
        epoch: 1 for the first.
        first_step: Steps taken before it.
        pictures: Indices into the pictures, in the order in which they are shown.
    """

    epoch: int
    first_step: int
    pictures: NDArray[np.int64]


class Trainer:
    """A network in training: its compiled step, and how far it has come.

    Attributes:
        clock: Where the time went.
        predictor: The compiled network, which validates.
        steps: Steps taken.
        step_from_cache: Whether the step of any stage was found compiled in the persistent cache.
        reestimation_compile_seconds: Seconds that compilation took before BatchNormalization's averages were estimated.
        rate: What the schedule gave the last step.
        nonfinite: Steps that were not applied.
    """

    stage: Stage
    step: Callable[..., Any]

    def __init__(
        self,
        model: keras.Model,
        data: PreparedData,
        image_size: int,
        settings: TrainingSettings,
        seed: int,
        anatomy: Anatomy,
        notify: Notify,
        program: str | None = None,
    ) -> None:
        self.model, self.data, self.settings, self.seed, self.notify = model, data, settings, seed, notify
        self.indices = data.splits["train"]
        self.steps_per_epoch = math.ceil(len(self.indices) / settings.batch_size)
        self.stages = {stage.first_epoch: stage for stage in stages_of(settings, image_size)}
        self.average = WeightAverage(model, settings.ema_decay) if settings.ema_decay else None
        self.freezing = Freezing(anatomy)
        rates = rates_below(anatomy.body, settings.layer_decay_used)
        self.lowers_rate = settings.on_nonfinite == "lower-rate"
        self.guard = Guard(lowers_rate=self.lowers_rate)
        classes = len(data.record.classes)
        self.learner = Learner(model, self._optimizers(), self.average, rates, settings, classes, self.guard)
        self.prepare: Callable[[Any], Any] = functools.partial(resize, size=image_size)
        size_seen = image_size
        if settings.train == "head":
            self.prepare, size_seen = _as_they_are, 1
        largest = max(len(data.splits["validation"]), len(data.splits["test"]))
        self.program = program
        self.predictor = Predictor(model, self.prepare, size_seen, largest)
        self.clock = StepClock()
        self.first_pictures: tuple[NDArray[Any], ...] = ()
        self.steps = 0
        self.step_from_cache = False
        self.reestimation_compile_seconds = 0.0
        self.rate = 0.0
        self.nonfinite: list[NonFiniteStep] = []

    @property
    def rate_left(self) -> float:
        """Share of the learning rate that is left after the steps that were not applied."""
        return 0.5 ** len(self.nonfinite) if self.lowers_rate else 1.0

    def _optimizers(self) -> list[tuple[keras.optimizers.Optimizer, list[Any]]]:
        """Build an optimiser for what is trained from the first stage on, and one for what each later stage frees."""
        built: list[tuple[keras.optimizers.Optimizer, list[Any]]] = []
        known: set[int] = set()
        for stage in self.stages.values():
            self.freezing.apply(stage.conditions.trained_share, stage.conditions.dropout)
            freed = [variable for variable in self.model.trainable_variables if id(variable) not in known]
            known |= {id(variable) for variable in freed}
            if freed:
                built.append((build_optimizer(self.settings, freed), freed))
        return built

    def begin_stage(self, stage: Stage) -> None:
        """Change what a stage changes; weights, averages, the optimiser's state and the schedule go on."""
        self.stage = stage
        self.freezing.apply(stage.conditions.trained_share, stage.conditions.dropout)
        self.step = compile_step(self.learner, stage.conditions, step_facts(self.program, self.model, stage))
        self.clock.begin_program()
        self.first_pictures = ()

    def train_epoch(self, epoch: int, indices: NDArray[np.int64] | None = None) -> Totals:
        """Show the network every training picture once.

        Args:
            epoch: Decides, with the seed, order and augmentation.
            indices: Show it these pictures instead.
        """
        indices = self.indices if indices is None else indices
        totals = Totals()
        sums: Any = ()
        self.clock.begin_epoch()
        self.clock.begin()
        order = epoch_order(len(indices), self.seed, epoch)
        shown = Shown(epoch, self.steps, indices[order])
        draws = augmentation_draws(len(indices), self.seed, epoch, self.stage.conditions.augmentation)
        self.clock.data_ready()
        for batch in batches(order, self.settings.batch_size):
            self.clock.begin()
            chosen = indices[batch.indices]
            arguments = (self.data.images[chosen], self.data.labels[chosen], batch.weights, draws[batch.indices])
            self.clock.data_ready()
            self.rate = learning_rate(self.settings, self.steps, self.steps_per_epoch)
            decay = self.average.decay_at(self.steps) if self.average else 0.0
            rates = np.float32(self.rate), np.float32(decay)
            if self.first_pictures:
                sums, _ = self.step(*arguments, *rates)
            else:
                sums = self._first_step(epoch, *arguments, *rates)
            totals.add(sums)
            self.steps += 1
            if self.clock.end(sums):
                self._report(totals, shown)
        self.clock.close_window(sums)
        self._report(totals, shown)
        if not math.isfinite(totals.loss):
            raise TrainingError(f"no step of epoch {epoch} was applied: {self.nonfinite[-1].reason} in all of them")
        return totals

    def _first_step(self, epoch: int, images: NDArray[Any], *others: Any) -> Any:
        """Take the first step of a stage, which compiles, and keep what the network saw."""
        self.notify(StageEvent(stage="compiling", epoch=epoch, epochs=self.settings.epochs))
        found = backend.programs_from_cache()
        sums, seen = self.step(images, *others)
        self.step_from_cache |= backend.programs_from_cache() > found
        self.first_pictures = images[:SHOWN], ops.convert_to_numpy(seen)
        return sums

    def validate(self, epoch: int) -> tuple[float, float]:
        """Return loss and accuracy on the validation pictures.

        Raises:
            TrainingError: The model gives probabilities, on which the loss would be wrong, or the loss is no number.
        """
        indices = self.data.splits["validation"]
        labels = self.data.labels[indices]

        def notify(done: int, total: int) -> None:
            self.notify(
                StageEvent(stage="validating", epoch=epoch, epochs=self.settings.epochs, done=done, total=total)
            )

        with self.average.in_place() if self.average else contextlib.nullcontext():
            logits = self.predictor(self.data.images, indices, notify).logits
        if logits.min() >= 0 and np.allclose(logits.sum(axis=1), 1, atol=1e-4):
            raise TrainingError("the model gives probabilities; leave its softmax out, so that it gives logits")
        targets = smoothed_targets(labels, self.learner.classes)
        losses = ops.convert_to_numpy(cross_entropy(targets, ops.convert_to_tensor(logits)))
        if not np.isfinite(losses).all():
            raise TrainingError(
                f"the validation loss is {losses.mean()} after epoch {epoch}: try a smaller learning rate, some "
                "warm-up epochs, or a smaller BatchNormalization momentum"
            )
        return float(losses.mean()), float((logits.argmax(axis=1) == labels).mean())

    def finish(self) -> bool:
        """Leave in the model what is to be evaluated; return whether statistics were estimated anew."""
        if self.average:
            self.average.swap()
        if not reestimates(self.settings, self.steps):
            return False
        pictures = first_batches(self.data, self.settings.batch_size, self.seed)
        ends = [time.perf_counter()]

        def notify(done: int) -> None:
            ends.append(time.perf_counter())
            self.notify(StageEvent(stage="re-estimating", done=done, total=len(pictures)))

        reestimated = reestimate_statistics(self.model, self.prepare, pictures, notify)
        self.reestimation_compile_seconds = beyond_ordinary(np.diff(ends))
        return reestimated

    def _report(self, totals: Totals, shown: Shown) -> None:
        """Tell how the epoch goes, and heed the steps that were not applied."""
        for place, reason in totals.read():
            self._note_not_applied(shown, place, reason)
        require_few(self.nonfinite, lowers_rate=self.lowers_rate)
        has_loss, epoch = math.isfinite(totals.loss), shown.epoch
        self.notify(
            StageEvent(
                stage="training",
                epoch=epoch,
                epochs=self.settings.epochs,
                done=self.steps - (epoch - 1) * self.steps_per_epoch,
                total=self.steps_per_epoch,
                loss=totals.loss if has_loss else None,
                accuracy=totals.accuracy if has_loss else None,
            )
        )

    def _note_not_applied(self, shown: Shown, place: int, reason: int) -> None:
        """Say which step it was, at what learning rate, and which pictures it saw."""
        size = self.settings.batch_size
        pictures = self.data.ids[shown.pictures[place * size : (place + 1) * size]]
        step = shown.first_step + place
        rate = learning_rate(self.settings, step, self.steps_per_epoch) * self.rate_left
        self.nonfinite.append(
            NonFiniteStep(
                step=step + 1,
                epoch=shown.epoch,
                reason=REASONS[reason],
                learning_rate=rate,
                pictures=tuple(map(str, pictures)),
            )
        )


def first_batches(data: PreparedData, batch_size: int, seed: int) -> list[NDArray[np.uint8]]:
    """Return batches of training pictures, enough of them to estimate BatchNormalization's statistics."""
    indices = data.splits["train"]
    order = epoch_order(len(indices), seed, 0)[: max(batch_size, REESTIMATION_EXAMPLES)]
    return [data.images[indices[batch.indices]] for batch in batches(order, batch_size)]


def _as_they_are(features: Any) -> Any:
    return ops.cast(features, "float32")


def reestimates(settings: TrainingSettings, steps: int) -> bool:
    """Return whether BatchNormalization's averages are to be estimated anew."""
    if settings.reestimate_statistics == "auto":
        return steps < 50 / (1 - settings.batch_normalization_momentum)
    return settings.reestimate_statistics == "always"
