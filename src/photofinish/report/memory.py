"""What was found to fit into memory, in words."""

from __future__ import annotations

from photofinish.config import TrainingSettings
from photofinish.runs.memory import MemoryRecord, Trial


def in_words(memory: MemoryRecord, training: TrainingSettings) -> str:
    """Say what was found, what each model could take, and what becomes of the learning rate.

    Args:
        memory: What was found.
        training: How the models are trained with it.
    """
    if memory.asked == "batch_size":
        found = f"Batch size {memory.found}, found by trying"
        rate = f"; the learning rate stays {training.learning_rate:g}, no recipe ties it to the batch"
    elif memory.found == training.batch_size:
        found, rate = f"The whole batch of {training.batch_size} fits, found by trying", ""
    else:
        passes = f"{training.passes} passes for a batch of {training.batch_size}"
        found = f"{memory.found} pictures at once, in {passes}, found by trying"
        rate = "; BatchNormalization takes its statistics over them"
    models = dict.fromkeys(one.model for one in memory.trials)
    each = [_of_model(model, [one for one in memory.trials if one.model == model]) for model in models]
    return f"{found} ({'; '.join(each)}){rate}."


def _of_model(model: str, trials: list[Trial]) -> str:
    fitting = max((one for one in trials if one.problem is None), key=lambda one: one.pictures)
    peak = f" in {fitting.peak_memory_bytes / 1e9:.2f} GB" if fitting.peak_memory_bytes else ""
    failed = [one for one in trials if one.problem]
    too_much = f", {failed[0].pictures} is too much ({failed[0].problem})" if failed else ", more was not tried"
    return f"{model.rsplit('/', 1)[-1]}: {fitting.pictures} fits{peak}{too_much}"
