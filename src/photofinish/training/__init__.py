"""Training one network: losses, schedules, optimisers and a loop that one reads from top to bottom."""

from photofinish.training.entrant import Trained, train_entrant
from photofinish.training.loop import TrainingOutcome, train
from photofinish.training.measuring import TrainingCost, measure_entrant

__all__ = ["Trained", "TrainingCost", "TrainingOutcome", "measure_entrant", "train", "train_entrant"]
