"""How far a training has come: with the variables, all that decides what comes next."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from numpy.typing import NDArray

from photofinish.runs import EpochRecord, NonFiniteStep
from photofinish.training.clock import StepClock
from photofinish.training.totals import Totals


@dataclass
class Course:
    """How far a training has come.

    Attributes:
        lowers_rate: Whether each step that is not applied halves the learning rate.
        epoch: The epoch in progress, 1 for the first; one beyond the last when training is over.
        step: Steps taken in it.
        steps: Steps taken in all.
        rate: What the schedule gave the last step.
        totals: Over the pictures of the epoch so far.
        first_pictures: Of the stage, as they are stored and as the network saw them.
        epochs: The figures of the epochs that ended.
        clock: Where the time of the steps went.
        validation_seconds: Seconds of validation, compilation included.
        validation_compile_seconds: Part of them that was compilation.
        elapsed_seconds: Training seconds up to the end of the last epoch.
        checkpoint_seconds: Seconds for which training stood still to be copied.
        nonfinite_steps: Steps that were not applied.
        step_from_cache: Whether the step of any stage was found compiled in the persistent cache.
    """

    lowers_rate: bool = False
    epoch: int = 1
    step: int = 0
    steps: int = 0
    rate: float = 0.0
    totals: Totals = field(default_factory=Totals)
    first_pictures: tuple[NDArray[Any], ...] = ()
    epochs: list[EpochRecord] = field(default_factory=list)
    clock: StepClock = field(default_factory=StepClock)
    validation_seconds: float = 0.0
    validation_compile_seconds: float = 0.0
    elapsed_seconds: float = 0.0
    checkpoint_seconds: float = 0.0
    nonfinite_steps: list[NonFiniteStep] = field(default_factory=list)
    step_from_cache: bool = False

    @property
    def rate_left(self) -> float:
        """Share of the learning rate that is left after the steps that were not applied."""
        return 0.5 ** len(self.nonfinite_steps) if self.lowers_rate else 1.0

    def begin_epoch(self, epoch: int) -> None:
        """Begin an epoch."""
        self.epoch, self.step, self.totals = epoch, 0, Totals()
        self.clock.begin_epoch()

    def take_step(self, sums: Any, rate: float) -> None:
        """Take note of a step.

        Args:
            sums: What it returned: of losses, number right, number of pictures.
            rate: What the schedule gave it.
        """
        self.totals.add(sums)
        self.steps += 1
        self.step += 1
        self.rate = rate

    def end_epoch(self, loss: float, accuracy: float) -> EpochRecord:
        """End the epoch with what validation found; return its figures."""
        # With one step an epoch the first contains compilation until the second tells them apart.
        self.elapsed_seconds = max(self.elapsed_seconds, self.clock.train_seconds)
        record = EpochRecord(
            epoch=self.epoch,
            train_loss=self.totals.loss,
            train_accuracy=self.totals.accuracy,
            validation_loss=loss,
            validation_accuracy=accuracy,
            learning_rate=self.rate * self.rate_left,
            train_seconds=self.clock.epoch_seconds,
            elapsed_seconds=self.elapsed_seconds,
            nonfinite_steps=sum(one.epoch == self.epoch for one in self.nonfinite_steps),
        )
        self.epochs.append(record)
        self.begin_epoch(self.epoch + 1)
        return record
