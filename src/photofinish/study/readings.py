"""Who leads after equal epochs, and who after equal time: two readings of the same training histories.

A slow network may be ahead after every epoch and behind at every moment. Accuracies are those on the validation
pictures, the only ones looked at during training. At any moment a seed stands where its last finished epoch left it:
nothing is interpolated, and before its first epoch has ended nothing is known of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from photofinish.runs import EpochRecord

FINISHED = "{} has finished"
QUARTERS = {
    0.25: "a quarter of {}'s time",
    0.5: "half of {}'s time",
    0.75: "three quarters of {}'s time",
    1.0: FINISHED,
}
MOST_FINISHES = 4
"""So many moments at which a slower model finishes are looked at; with more models an even choice of them."""


@dataclass(frozen=True)
class Runner:
    """A model in training.

    Attributes:
        name: The model.
        histories: The epochs of every seed, none of them empty.
        compile_seconds: What compiling its training step takes before the first epoch.
    """

    name: str
    histories: tuple[tuple[EpochRecord, ...], ...]
    compile_seconds: float

    def finish(self, *, compiled: bool) -> float:
        """Return the seconds after which its last seed has finished."""
        last = max(history[-1].elapsed_seconds for history in self.histories)
        return last + (self.compile_seconds if compiled else 0.0)

    def accuracy_after(self, seconds: float, *, compiled: bool) -> float | None:
        """Return the mean over seeds of the validation accuracy after so many seconds.

        Returns:
            A share, or None while any seed is in its first epoch.
        """
        # The very sum that `finish` makes: taking it apart again would lose the last epoch to rounding.
        before = self.compile_seconds if compiled else 0.0
        last = [[one for one in history if one.elapsed_seconds + before <= seconds] for history in self.histories]
        return fmean(epochs[-1].validation_accuracy for epochs in last) if all(last) else None

    def accuracy_after_epoch(self, epoch: int) -> float | None:
        """Return the mean over seeds of the validation accuracy after an epoch, or None where a seed lacks it."""
        found = [[one for one in history if one.epoch == epoch] for history in self.histories]
        return fmean(one[0].validation_accuracy for one in found) if all(found) else None


@dataclass(frozen=True)
class Moment:
    """What is known at a moment of the training.

    Attributes:
        seconds: Training time; of a reading by epochs the number of epochs.
        occasion: Why this moment is looked at.
        accuracies: Of every runner, None where its first epoch has not ended.
        leader: The runner with the highest, or None where nobody has one or several share it.
    """

    seconds: float
    occasion: str
    accuracies: tuple[float | None, ...]

    @property
    def leader(self) -> int | None:
        """The place of the runner with the highest accuracy."""
        known = [accuracy for accuracy in self.accuracies if accuracy is not None]
        best = [place for place, accuracy in enumerate(self.accuracies) if known and accuracy == max(known)]
        return best[0] if len(best) == 1 else None


def after_equal_time(runners: Sequence[Runner], *, compiled: bool = False) -> tuple[Moment, ...]:
    """Return who leads when each quarter of the quickest runner's time is over, and whenever another has finished.

    Args:
        runners: At least one.
        compiled: Whether every runner's time begins with compiling its training step.

    Examples:
        >>> others = ("train_loss", "train_accuracy", "validation_loss", "learning_rate", "train_seconds")
        >>> def run(seconds, accuracies):
        ...     first = EpochRecord(epoch=1, validation_accuracy=0, elapsed_seconds=0, **dict.fromkeys(others, 1.0))
        ...     return tuple(
        ...         first.but(epoch=epoch, validation_accuracy=accuracy, elapsed_seconds=epoch * seconds)
        ...         for epoch, accuracy in enumerate(accuracies, start=1)
        ...     )
        >>> slow, quick = Runner("slow", (run(30, [0.6, 0.9]),), 0), Runner("quick", (run(10, [0.5, 0.7]),), 0)
        >>> [(moment.seconds, moment.leader) for moment in after_equal_time([slow, quick])]
        [(5.0, None), (10.0, 1), (15.0, 1), (20.0, 1), (60.0, 0)]
    """
    finishes = {runner.name: runner.finish(compiled=compiled) for runner in runners}
    order = sorted(runners, key=lambda runner: finishes[runner.name])
    quickest = order[0]
    occasions = {share * finishes[quickest.name]: words.format(quickest.name) for share, words in QUARTERS.items()}
    for runner in _evenly(order[1:], MOST_FINISHES):
        occasions.setdefault(finishes[runner.name], FINISHED.format(runner.name))
    return tuple(
        Moment(
            seconds,
            occasion,
            tuple(runner.accuracy_after(seconds, compiled=compiled) for runner in runners),
        )
        for seconds, occasion in sorted(occasions.items())
    )


def after_equal_epochs(runners: Sequence[Runner]) -> Moment:
    """Return who leads after the last epoch that every seed of every runner has finished."""
    epochs = min(history[-1].epoch for runner in runners for history in runner.histories)
    return Moment(epochs, "epochs", tuple(runner.accuracy_after_epoch(epochs) for runner in runners))


def compilation_changes_the_lead(runners: Sequence[Runner]) -> bool:
    """Return whether somebody else leads at any of the moments when every runner's time begins with compiling."""
    for moment in after_equal_time(runners):
        later = tuple(runner.accuracy_after(moment.seconds, compiled=True) for runner in runners)
        if Moment(moment.seconds, moment.occasion, later).leader != moment.leader:
            return True
    return False


def _evenly(runners: Sequence[Runner], most: int) -> list[Runner]:
    """Return at most so many, evenly spaced, the last among them."""
    count = len(runners)
    if count <= most:
        return list(runners)
    return [runners[(number + 1) * count // most - 1] for number in range(most)]
