"""How a run says where it is, to a progress bar in the same process or in another."""

from __future__ import annotations

from typing import Literal, Protocol

from photofinish.config.base import Settings

Stage = Literal[
    "building", "features", "compiling", "training", "validating", "re-estimating", "predicting", "finished"
]


class StageEvent(Settings):
    """A moment of a run.

    Attributes:
        stage: What is being done.
        epoch: The epoch in progress, 1 for the first, or 0 outside training.
        epochs: Epochs in all.
        done: Steps, batches or pictures done in this stage.
        total: Of how many.
        loss: Mean training loss of the epoch so far.
        accuracy: Training accuracy of the epoch so far, or of the last validation.
    """

    stage: Stage
    epoch: int = 0
    epochs: int = 0
    done: int = 0
    total: int = 0
    loss: float | None = None
    accuracy: float | None = None


class Notify(Protocol):
    """Is told of a run's progress."""

    def __call__(self, event: StageEvent, /) -> None:
        """Show an event, or hand it on."""


def unheard(event: StageEvent, /) -> None:
    """Show nothing."""
