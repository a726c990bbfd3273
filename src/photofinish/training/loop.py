"""The training loop: every picture once an epoch, every batch of one shape, nothing random but (seed, epoch, index)."""

from __future__ import annotations

import contextlib
import functools
import itertools
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
from photofinish.errors import StopRequestedError, TrainingError
from photofinish.models import Anatomy
from photofinish.models.inference import Predictor, beyond_ordinary
from photofinish.runs import EpochRecord, NonFiniteStep, Notify, StageEvent, best_epoch
from photofinish.training.beginning import StepWithBeginning, begins_chained
from photofinish.training.chained import compile_chained_step, pays
from photofinish.training.checkpointing import Keeper
from photofinish.training.clock import StepClock
from photofinish.training.course import Course
from photofinish.training.freezing import Freezing, rates_below
from photofinish.training.losses import cross_entropy, smoothed_targets
from photofinish.training.moving_averages import REESTIMATION_EXAMPLES, WeightAverage, reestimate_statistics
from photofinish.training.nonfinite import Guard, Shown, require_few
from photofinish.training.optimizers import build_optimizer
from photofinish.training.parts import SHOWN, Learner
from photofinish.training.programs import statistics_facts, step_facts
from photofinish.training.schedules import learning_rate
from photofinish.training.stages import Conditions, Stage, stages_of
from photofinish.training.step import compile_step

Show = Callable[[Stage, NDArray[Any], NDArray[Any]], None]
Copy = Callable[[int], Callable[[], None]]
NOT_CUT = Anatomy()
SECONDS_BETWEEN_NOTICES = 1.0


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
        checkpoint_seconds: Seconds for which training stood still to be copied for checkpoints.
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
    checkpoint_seconds: float
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
    keeper: Keeper | None = None,
    best: Copy | None = None,
) -> TrainingOutcome:
    """Train a network on the training pictures, validating after each epoch.

    Where a checkpoint lies with the keeper, training goes on from it, to the same result.

    Args:
        model: From pictures of 0-255 to logits; its weights are changed. With `train=head` from features to logits.
        data: The pictures and their division; the test pictures are not looked at. With `train=head` its `images` are
            the features.
        image_size: Height and width at which the model is evaluated.
        settings: How to train, its length in epochs.
        seed: Decides order and augmentation.
        anatomy: The network's layers by what becomes of them, where parts are frozen or trained at smaller rates, or
            dropout changes.
        record: Is given each epoch's figures, those of the epochs before a checkpoint too.
        notify: Is told of progress. Where it raises `StopRequestedError`, the training is saved and the error goes on.
        show: Is given the first pictures of each stage, as they are stored and as the network saw them.
        program: As from `program_facts`, so that later processes need not trace the training step; None traces it.
        keeper: Saves the training under way; None does not.
        best: Copies the network as it validates, after an epoch that was the best so far; returns what writes
            the copy.

    Raises:
        TrainingError: The loss or a gradient is no longer a number, and that was to end it, or happened too often.
    """
    trainer = Trainer(model, data, image_size, settings, seed, anatomy, notify, program=program, keeper=keeper)
    course = trainer.course
    if keeper and keeper.restore(trainer.learner, course):
        for before in course.epochs:
            record(before)
    if course.epoch > settings.epochs:
        trainer.enter_stage()  # for what follows the last step, before which the process before this one ended
    compiled_before = course.validation_compile_seconds
    try:
        while course.epoch <= settings.epochs:
            trainer.enter_stage()
            trainer.train_epoch(course.epoch, taken=course.step)
            if course.epoch in trainer.stages:
                stored, seen = course.first_pictures
                show(trainer.stages[course.epoch], stored, seen)
            start = time.perf_counter()
            loss, accuracy = trainer.validate(course.epoch)
            course.validation_seconds += time.perf_counter() - start
            course.validation_compile_seconds = compiled_before + trainer.predictor.compile_seconds
            record(course.end_epoch(loss, accuracy))
            trainer.keep_best(best)
        if keeper:
            keeper.end(trainer.learner, course)
    except StopRequestedError:
        if keeper:
            keeper.stop(trainer.learner, course)
        raise
    finally:
        trainer.close()
        if keeper:
            keeper.close()
    start = time.perf_counter()
    reestimated = trainer.finish()
    reestimation_seconds = time.perf_counter() - start
    compilation = course.validation_compile_seconds
    return TrainingOutcome(
        steps=course.steps,
        clock=course.clock,
        stages=tuple(trainer.stages.values()),
        validation_seconds=course.validation_seconds - compilation,
        reestimation_seconds=reestimation_seconds - trainer.reestimation_compile_seconds,
        other_compile_seconds=compilation + trainer.reestimation_compile_seconds,
        checkpoint_seconds=course.checkpoint_seconds,
        statistics_reestimated=reestimated,
        predictor=trainer.predictor,
        step_from_cache=course.step_from_cache,
        nonfinite_steps=tuple(course.nonfinite_steps),
    )


class Trainer:
    """A network in training: its compiled step, and how far it has come.

    Attributes:
        course: How far it has come.
        clock: Where the time went.
        predictor: The compiled network, which validates.
        is_chained: Whether it is trained segment by segment: as told, or where that pays for so short a training; never
            where a step is in several passes.
        begins_chained: Whether each stage of a longer one begins so, where nothing was told.
        reestimation_compile_seconds: Seconds that compilation took before BatchNormalization's averages were estimated.
    """

    stage: Stage | None = None
    step: Callable[..., Any]

    def __init__(  # noqa: PLR0913  # as `train`
        self,
        model: keras.Model,
        data: PreparedData,
        image_size: int,
        settings: TrainingSettings,
        seed: int,
        anatomy: Anatomy,
        notify: Notify,
        *,
        program: str | None = None,
        keeper: Keeper | None = None,
        chained: bool | None = None,
    ) -> None:
        self.model, self.data, self.settings, self.seed = model, data, settings, seed
        self.notify, self.keeper = notify, keeper
        self.indices = data.splits["train"]
        self.images = backend.resident(data.images)
        self.steps_per_epoch = math.ceil(len(self.indices) / settings.batch_size)
        self.stages = {stage.first_epoch: stage for stage in stages_of(settings, image_size)}
        steps = settings.epochs * self.steps_per_epoch
        self.is_chained = settings.passes == 1 and (
            pays(model, steps, named=program is not None) if chained is None else chained
        )
        # Without a name nothing is compiled by another process, and this one would train and compile at once.
        may_begin = settings.passes == 1 and chained is None and program is not None
        self.begins_chained = may_begin and not self.is_chained and begins_chained(model)
        if program is not None and (self.is_chained or self.begins_chained):
            backend.expect_compilation(program)
        self.average = WeightAverage(model, settings.ema_decay) if settings.ema_decay else None
        self.freezing = Freezing(anatomy)
        rates = rates_below(anatomy.body, settings.layer_decay_used)
        lowers_rate = settings.on_nonfinite == "lower-rate"
        guard, classes = Guard(lowers_rate=lowers_rate), len(data.record.classes)
        self.learner = Learner(model, self._optimizers(), self.average, rates, settings, classes, guard)
        self.prepare: Callable[[Any], Any] = functools.partial(resize, size=image_size)
        size_seen = image_size
        if settings.train == "head":
            self.prepare, size_seen = _as_they_are, 1
        largest = max(len(data.splits["validation"]), len(data.splits["test"]))
        self.program = program
        self.predictor = Predictor(model, self.prepare, size_seen, largest, kept_as=program)
        self.course = Course(lowers_rate=lowers_rate)
        self.clock = self.course.clock
        self.is_compiled = False
        self.reestimation_compile_seconds = 0.0

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

    def enter_stage(self) -> None:
        """Begin the stage of the epoch in progress, or go on with it in a process that has just begun."""
        first = max(first for first in self.stages if first <= self.course.epoch)
        begins = first == self.course.epoch and self.course.step == 0
        if begins or self.stage is None:
            self.begin_stage(self.stages[first], goes_on=not begins)

    def begin_stage(self, stage: Stage, *, goes_on: bool = False) -> None:
        """Change what a stage changes; weights, averages, the optimiser's state and the schedule go on.

        Args:
            stage: The stage.
            goes_on: Whether another process began it.
        """
        self.close()
        self.stage = stage
        self.freezing.apply(stage.conditions.trained_share, stage.conditions.dropout)
        kept_as = step_facts(self.program, self.model, stage)
        if self.begins_chained and kept_as is not None:
            taken = (self.course.epoch - stage.first_epoch) * self.steps_per_epoch + self.course.step if goes_on else 0
            self.step = StepWithBeginning(self.learner, stage.conditions, kept_as, taken)
        else:
            compile_it = compile_chained_step if self.is_chained else compile_step
            self.step = compile_it(self.learner, stage.conditions, kept_as)
        self.is_compiled = False
        if not goes_on:
            self.clock.begin_program()
            self.course.first_pictures = ()

    def close(self) -> None:
        """Give up what is still compiled for the stage."""
        if self.stage is not None and isinstance(self.step, StepWithBeginning):
            self.step.close()

    def train_epoch(self, epoch: int, indices: NDArray[np.int64] | None = None, *, taken: int = 0) -> None:
        """Show the network every training picture once.

        Args:
            epoch: Decides, with the seed, order and augmentation.
            indices: Show it these pictures instead.
            taken: Steps of the epoch that another process took.
        """
        indices = self.indices if indices is None else indices
        course = self.course
        if taken == 0:
            course.begin_epoch(epoch)
        self.clock.begin_window()
        self.clock.begin()
        order = epoch_order(len(indices), self.seed, epoch)
        shown = Shown(epoch, course.steps - taken, self.data.ids, indices[order], self.settings.batch_size)
        draws = augmentation_draws(len(indices), self.seed, epoch, self._conditions.augmentation)
        self.clock.data_ready()
        sums: Any = ()
        for batch in itertools.islice(batches(order, self.settings.batch_size), taken, None):
            if isinstance(self.step, StepWithBeginning) and self.step.waits_for_program:
                self.clock.close_window(sums)
                self.clock.expect_compilation()
                self.is_compiled = False
                while not self.step.is_ready_within(SECONDS_BETWEEN_NOTICES):
                    # Whoever is told may want to stop.
                    self.notify(StageEvent(stage="compiling", epoch=epoch, epochs=self.settings.epochs))
            self.clock.begin()
            chosen = indices[batch.indices]
            arguments = (self.images[chosen], self.data.labels[chosen], batch.weights, draws[batch.indices])
            self.clock.data_ready()
            rate = learning_rate(self.settings, course.steps, self.steps_per_epoch)
            decay = self.average.decay_at(course.steps) if self.average else 0.0
            rates = np.float32(rate), np.float32(decay)
            if self.is_compiled:
                sums, _ = self.step(*arguments, *rates)
            else:
                sums = self._first_step(epoch, *arguments, *rates)
            course.take_step(sums, rate)
            if self.clock.end(sums):
                self._report(shown)
            if self.keeper and self.keeper.is_due(course):
                self._heed(shown)
                self.keeper.save(self.learner, course)
        self.clock.close_window(sums)
        self._report(shown)
        if not math.isfinite(course.totals.loss):
            reason = course.nonfinite_steps[-1].reason
            raise TrainingError(f"no step of epoch {epoch} was applied: {reason} in all of them")

    def _first_step(self, epoch: int, images: NDArray[Any], *others: Any) -> Any:
        """Take a step that compiles; of the very first of a stage, keep what the network saw."""
        self.notify(StageEvent(stage="compiling", epoch=epoch, epochs=self.settings.epochs))
        all_found = backend.watch_programs()
        sums, seen = self.step(images, *others)
        self.is_compiled = True
        backend.foreseen.end()
        self.course.step_from_cache |= all_found()
        if not self.course.first_pictures:
            self.course.first_pictures = ops.convert_to_numpy(images[:SHOWN]), ops.convert_to_numpy(seen)
        return sums

    @property
    def _conditions(self) -> Conditions:
        if self.stage is None:
            raise RuntimeError("a stage must be begun before an epoch")
        return self.stage.conditions

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
            logits = self.predictor(self.images, indices, notify).logits
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

    def keep_best(self, copy: Copy | None) -> None:
        """Have the network copied as it validates, with the moving average of its weights, if no epoch was better."""
        epochs = len(self.course.epochs)
        if not (self.keeper and copy and best_epoch(self.course.epochs) == epochs):
            return
        with self.average.in_place() if self.average else contextlib.nullcontext():
            self.keeper.keep_best(functools.partial(copy, epochs), self.course)

    def finish(self) -> bool:
        """Leave in the model what is to be evaluated; return whether statistics were estimated anew."""
        if self.average:
            self.average.swap()
        if not reestimates(self.settings, self.course.steps):
            return False
        pictures = first_batches(self.data, self.settings.pictures_at_once, self.seed)
        ends = [time.perf_counter()]

        def notify(done: int) -> None:
            ends.append(time.perf_counter())
            self.notify(StageEvent(stage="re-estimating", done=done, total=len(pictures)))

        kept_as = statistics_facts(self.program, self.model)
        reestimated = reestimate_statistics(self.model, self.prepare, pictures, notify, kept_as)
        self.reestimation_compile_seconds = beyond_ordinary(np.diff(ends))
        return reestimated

    def _heed(self, shown: Shown) -> None:
        """Take note of the steps that were not applied, and stop where they are too many."""
        course = self.course
        for place, reason in course.totals.take_not_applied():
            rate = learning_rate(self.settings, shown.first_step + place, self.steps_per_epoch) * course.rate_left
            course.nonfinite_steps.append(shown.not_applied(place, reason, rate))
        require_few(course.nonfinite_steps, lowers_rate=course.lowers_rate)

    def _report(self, shown: Shown) -> None:
        """Tell how the epoch goes."""
        self._heed(shown)
        course = self.course
        has_loss = math.isfinite(course.totals.loss)
        self.notify(
            StageEvent(
                stage="training",
                epoch=course.epoch,
                epochs=self.settings.epochs,
                done=course.step,
                total=self.steps_per_epoch,
                loss=course.totals.loss if has_loss else None,
                accuracy=course.totals.accuracy if has_loss else None,
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
