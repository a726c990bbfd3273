"""Learning rates as pure functions of the step."""

from __future__ import annotations

import math

from photofinish.config import TrainingSettings

# The official EfficientNet schedule: x0.97 every 2.4 epochs.
DECAY, DECAY_EPOCHS = 0.97, 2.4


def learning_rate(settings: TrainingSettings, step: int, steps_per_epoch: int) -> float:
    """Return the learning rate of a step.

    Args:
        settings: Peak rate, schedule, warm-up and epochs.
        step: 0 for the first.
        steps_per_epoch: Steps in each epoch.

    Examples:
        >>> settings = TrainingSettings(epochs=10, learning_rate=0.1, schedule="cosine")
        >>> [round(learning_rate(settings, step, 10), 3) for step in (0, 50, 100)]
        [0.1, 0.05, 0.0]
    """
    warmup = settings.warmup_epochs * steps_per_epoch
    if step < warmup:
        # The first step is not wasted on a rate of zero.
        return settings.learning_rate * (step + 1) / (warmup + 1)
    if settings.schedule == "constant":
        return settings.learning_rate
    after = step - warmup
    if settings.schedule == "exponential":
        return settings.learning_rate * DECAY ** math.floor(after / (DECAY_EPOCHS * steps_per_epoch))
    share = after / (settings.epochs * steps_per_epoch - warmup)
    return settings.learning_rate * 0.5 * (1 + math.cos(math.pi * min(share, 1.0)))
