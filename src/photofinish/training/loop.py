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
from photofinish.data.augment import augment, augmentation_draws, resize
from photofinish.errors import TrainingError
from photofinish.models.inference import Predictor
from photofinish.runs import EpochRecord, Notify, StageEvent
from photofinish.training.clock import StepClock
from photofinish.training.losses import cross_entropy
from photofinish.training.moving_averages import REESTIMATION_EXAMPLES, WeightAverage, reestimate_statistics
from photofinish.training.optimizers import build_optimizer
from photofinish.training.schedules import learning_rate


@dataclass(frozen=True)
class TrainingOutcome:
    """What training leaves besides the weights in the model.

    Attributes:
        steps: Steps taken.
        clock: Where the time went.
        validation_seconds: Seconds of validation after each epoch, in all.
        reestimation_seconds: Seconds spent on BatchNormalization's averages.
        statistics_reestimated: Whether they were estimated anew.
        predictor: The compiled network, for the evaluation to come.
        step_from_cache: Whether the training step was found compiled in the persistent cache.
    """

    steps: int
    clock: StepClock
    validation_seconds: float
    reestimation_seconds: float
    statistics_reestimated: bool
    predictor: Predictor
    step_from_cache: bool


def train(
    model: keras.Model,
    data: PreparedData,
    image_size: int,
    settings: TrainingSettings,
    seed: int,
    *,
    record: Callable[[EpochRecord], None],
    notify: Notify,
) -> TrainingOutcome:
    """Train a network on the training pictures, validating after each epoch.

    Args:
        model: From pictures of 0-255 to logits; its weights are changed.
        data: The pictures and their division; the test pictures are not looked at.
        image_size: Height and width the model sees.
        settings: How to train.
        seed: Decides order and augmentation.
        record: Is given each epoch's figures.
        notify: Is told of progress.

    Raises:
        TrainingError: The loss is no longer a number.
    """
    trainer = _Trainer(model, data, image_size, settings, seed, notify)
    validation_seconds = 0.0
    for epoch in range(1, settings.epochs + 1):
        totals = trainer.train_epoch(epoch)
        start = time.perf_counter()
        loss, accuracy = trainer.validate(epoch)
        validation_seconds += time.perf_counter() - start
        record(
            EpochRecord(
                epoch=epoch,
                train_loss=totals.loss,
                train_accuracy=totals.accuracy,
                validation_loss=loss,
                validation_accuracy=accuracy,
                learning_rate=trainer.rate,
                train_seconds=trainer.clock.epoch_seconds,
                elapsed_seconds=trainer.clock.train_seconds,
            )
        )
    start = time.perf_counter()
    reestimated = trainer.finish()
    return TrainingOutcome(
        steps=trainer.steps,
        clock=trainer.clock,
        validation_seconds=validation_seconds,
        reestimation_seconds=time.perf_counter() - start,
        statistics_reestimated=reestimated,
        predictor=trainer.predictor,
        step_from_cache=trainer.step_from_cache,
    )


class _Trainer:
    """A network in training: its compiled step, and how far it has come."""

    def __init__(
        self,
        model: keras.Model,
        data: PreparedData,
        image_size: int,
        settings: TrainingSettings,
        seed: int,
        notify: Notify,
    ) -> None:
        self.model, self.data, self.settings, self.seed, self.notify = model, data, settings, seed, notify
        self.indices = data.splits["train"]
        self.steps_per_epoch = math.ceil(len(self.indices) / settings.batch_size)
        self.prepare = functools.partial(resize, size=image_size)
        self.average = WeightAverage(model, settings.ema_decay) if settings.ema_decay else None
        self.step = _compile_step(model, self.average, settings, self.prepare)
        largest = max(len(data.splits["validation"]), len(data.splits["test"]))
        self.predictor = Predictor(model, self.prepare, image_size, largest)
        self.clock = StepClock()
        self.steps = 0
        self.step_from_cache = False
        self.rate = 0.0

    def train_epoch(self, epoch: int) -> _Totals:
        """Show the network every training picture once."""
        order = epoch_order(len(self.indices), self.seed, epoch)
        draws = augmentation_draws(len(self.indices), self.seed, epoch)
        totals = _Totals()
        outputs: Any = ()
        self.clock.begin_epoch()
        for batch in batches(order, self.settings.batch_size):
            self.clock.begin()
            chosen = self.indices[batch.indices]
            arguments = (
                self.data.images[chosen],
                self.data.labels[chosen],
                batch.weights,
                draws[batch.indices],
            )
            self.clock.data_ready()
            if self.steps == 0:
                self.notify(StageEvent(stage="compiling", epoch=epoch, epochs=self.settings.epochs))
            self.rate = learning_rate(self.settings, self.steps, self.steps_per_epoch)
            decay = self.average.decay_at(self.steps) if self.average else 0.0
            found = backend.programs_from_cache()
            outputs = self.step(*arguments, np.float32(self.rate), np.float32(decay))
            if self.steps == 0:
                self.step_from_cache = backend.programs_from_cache() > found
            totals.add(outputs)
            self.steps += 1
            if self.clock.end(outputs):
                self._report(epoch, totals)
        self.clock.close_window(outputs)
        self._report(epoch, totals)
        return totals

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
        losses = ops.convert_to_numpy(cross_entropy(labels, ops.convert_to_tensor(logits)))
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
        if not _reestimates(self.settings, self.steps):
            return False
        size = self.settings.batch_size
        order = epoch_order(len(self.indices), self.seed, 0)[: max(size, REESTIMATION_EXAMPLES)]
        pictures = [self.data.images[self.indices[batch.indices]] for batch in batches(order, size)]

        def notify(done: int) -> None:
            self.notify(StageEvent(stage="re-estimating", done=done, total=len(pictures)))

        return reestimate_statistics(self.model, self.prepare, pictures, notify)

    def _report(self, epoch: int, totals: _Totals) -> None:
        """Tell how the epoch goes, and stop where there is nothing left to save."""
        if not math.isfinite(totals.loss):
            raise TrainingError(
                f"the loss is {totals.loss} in epoch {epoch}, at or before step {self.steps}, "
                f"learning rate {self.rate:.3g}: try a smaller learning rate or some warm-up epochs"
            )
        self.notify(
            StageEvent(
                stage="training",
                epoch=epoch,
                epochs=self.settings.epochs,
                done=self.steps - (epoch - 1) * self.steps_per_epoch,
                total=self.steps_per_epoch,
                loss=totals.loss,
                accuracy=totals.accuracy,
            )
        )


class _Totals:
    """Sums over the pictures of an epoch, left on the device until they are asked for."""

    def __init__(self) -> None:
        self._pending: list[Any] = []
        self._sums: NDArray[np.float64] = np.zeros(3)

    def add(self, outputs: Any) -> None:
        self._pending.append(outputs)

    def _mean(self, place: int) -> float:
        for outputs in self._pending:
            self._sums += ops.convert_to_numpy(outputs)
        self._pending.clear()
        return float(self._sums[place] / self._sums[2])

    @property
    def loss(self) -> float:
        return self._mean(0)

    @property
    def accuracy(self) -> float:
        return self._mean(1)


def _compile_step(
    model: keras.Model,
    average: WeightAverage | None,
    settings: TrainingSettings,
    prepare: Callable[[Any], Any],
) -> Callable[..., Any]:
    """Return the compiled step: augment, differentiate, update.

    The step takes images (batch, height, width, 3) uint8, labels (batch,), weights (batch,), draws (batch, DRAWS),
    the learning rate and the decay of the weights' average; it returns (sum of losses, number right, number of
    pictures).
    """
    variables = model.trainable_variables
    optimizer = build_optimizer(settings, variables)

    def step(images: Any, labels: Any, weights: Any, draws: Any, rate: Any, decay: Any) -> Any:
        optimizer.learning_rate = rate
        pictures = prepare(augment(images, draws, flip=settings.flip, shift=settings.shift))

        def objective() -> tuple[Any, Any]:
            logits = ops.cast(model(pictures, training=True), "float32")
            losses = cross_entropy(labels, logits, settings.label_smoothing) * weights
            right = ops.cast(ops.equal(ops.argmax(logits, axis=-1), ops.cast(labels, "int32")), "float32")
            sums = ops.stack([ops.sum(losses), ops.sum(right * weights), ops.sum(weights)])
            # Divided by the batch size, not by the pictures that count: each weighs the same all through an epoch.
            return ops.sum(losses) / settings.batch_size + sum(model.losses), sums

        sums, gradients = backend.gradients(objective, variables)
        with backend.no_gradient():
            optimizer.apply(gradients, variables)
            if average:
                average.update(decay)
        return sums

    averages = average.variables if average else []
    return backend.compiled(step, [*model.variables, *optimizer.variables, *averages])


def _reestimates(settings: TrainingSettings, steps: int) -> bool:
    """Return whether BatchNormalization's averages are to be estimated anew."""
    if settings.reestimate_statistics == "auto":
        return steps < 50 / (1 - settings.batch_normalization_momentum)
    return settings.reestimate_statistics == "always"
