"""The steps of a training, taken to see whether they fit into memory. The network is of no use afterwards."""

from __future__ import annotations

import dataclasses
import gc

import numpy as np

from photofinish.config import TrainingSettings
from photofinish.data import PreparedData
from photofinish.models import Entrant, split_head
from photofinish.models.inference import Predictor
from photofinish.runs import unheard
from photofinish.training.entrant import anatomy_for
from photofinish.training.loop import Trainer
from photofinish.training.stages import Stage

# It changes nothing that memory depends on, and no step explodes.
HARMLESS_RATE = 1e-12


class ProbedNetwork:
    """A network that takes steps of several sizes.

    Args:
        entrant: The network.
        name: The model as it was asked for.
        data: The pictures and their division.
        image_size: Height and width at which the model is evaluated.
        seed: Decides order and augmentation.
    """

    def __init__(self, entrant: Entrant, name: str, data: PreparedData, image_size: int, seed: int) -> None:
        self.entrant, self.name, self.data, self.image_size, self.seed = entrant, name, data, image_size, seed
        self._predictor: Predictor | None = None

    def take_steps(self, settings: TrainingSettings) -> None:
        """Take steps of every stage that may need most memory, and predict a batch among what they leave behind.

        Args:
            settings: How to train, its length in epochs.
        """
        data, model = self.data, self.entrant.model
        if settings.train == "head":
            network, model = split_head(self.entrant)
            features = np.zeros((len(data.images), *network.output_shape[1:]), np.float32)
            data = dataclasses.replace(data, images=features)
        settings = settings.but(learning_rate=HARMLESS_RATE)
        anatomy = anatomy_for(self.entrant, model, self.name, settings)
        trainer = Trainer(model, data, self.image_size, settings, self.seed, anatomy, unheard)
        # The second step has what the first one left beside it; with several passes the second pass has.
        steps = 2 if settings.passes == 1 else 1
        for stage in largest_stages(tuple(trainer.stages.values())):
            trainer.begin_stage(stage)
            trainer.train_epoch(stage.first_epoch, np.resize(trainer.indices, steps * settings.batch_size))
        # Compiled once: it predicts the same batch, whatever the size of the steps.
        self._predictor = self._predictor or trainer.predictor
        self._predictor(data.images, np.resize(data.splits["validation"], self._predictor.batch_size))
        del trainer
        gc.collect()


def largest_stages(stages: tuple[Stage, ...]) -> list[Stage]:
    """Return the stages that no other exceeds in the size of pictures and in how much is trained: mostly the last.

    Examples:
        >>> from photofinish.training.stages import stages_of
        >>> settings = TrainingSettings(epochs=4, stages=4, training_size="16:32")
        >>> [stage.number for stage in largest_stages(stages_of(settings, 32))]
        [4]
    """
    needs = {one.number: (one.conditions.image_size, one.conditions.trained_share) for one in stages}
    return [
        one
        for one in stages
        if not any(
            other != one.number and all(more >= own for more, own in zip(need, needs[one.number], strict=True))
            and (need != needs[one.number] or other > one.number)
            for other, need in needs.items()
        )
    ]  # fmt: skip
