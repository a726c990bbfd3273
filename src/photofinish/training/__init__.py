"""Training one network: losses, schedules, optimisers and a loop that one reads from top to bottom."""

from photofinish.training.entrant import Trained, train_entrant
from photofinish.training.loop import TrainingOutcome, train

__all__ = ["Trained", "TrainingOutcome", "train", "train_entrant"]
