"""A trained network, ready to name what is on pictures."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import scipy
from numpy.typing import NDArray

from photofinish.data.augment import resize
from photofinish.data.decode import UnreadablePictureError, decode, fit
from photofinish.errors import DataError
from photofinish.evaluation.calibration import stored_temperature
from photofinish.models.facts import network_facts
from photofinish.models.inference import MANY, Predictor
from photofinish.models.saved import load
from photofinish.runs import RunFolder

Picture = str | Path | NDArray[np.uint8]


class Classifier:
    """The network of a finished run, with all that is needed to use it.

    Pictures are decoded, fitted and scaled as in the training; probabilities are those of the logits divided by the
    temperature that the run's validation predictions ask for (Guo et al. 2017, section 4.2), which changes no answer.

    Args:
        folder: Of a finished run.
        stored_size: Height and width in pixels at which the run's pictures were kept.
        own_model: `path/to/model.py:function`, for a network that is no part of the catalog. Its code is run.
        best: Take the weights of the run's best epoch, where it was not the last.

    Attributes:
        model: The network, pictures of 0-255, (pictures, image_size, image_size, 3), to logits.
        class_names: In the order of the logits.
        image_size: Height and width in pixels that the network sees.
        temperature: What logits are divided by; 1 where the run kept no validation predictions of these weights.

    Raises:
        WeightsError: The saved network is missing or damaged.
        StudyError: Its validation predictions are damaged.
    """

    def __init__(
        self, folder: RunFolder, stored_size: tuple[int, int], *, own_model: str | None = None, best: bool = False
    ) -> None:
        saved = next(iter(folder.kept_best if best else ()), folder.checkpoints)
        entrant, manifest = load(saved, own_model=own_model)
        self.model = entrant.model
        self.class_names = manifest.class_names
        self.image_size = manifest.image_size
        self.temperature = (saved == folder.checkpoints and stored_temperature(folder)) or 1.0
        self._stored_size = stored_size
        self._kept_as = network_facts(entrant, self.model, manifest.name, self.image_size)
        self._predictors: dict[int, Predictor] = {}

    def probabilities(self, pictures: Picture | Sequence[Picture]) -> NDArray[np.float64]:
        """Return how probable each class is for each picture, shape (pictures, classes).

        Args:
            pictures: Paths of picture files, or arrays of shape (height, width, 3), RGB of 0-255, or both; or one of
                these alone.

        Raises:
            DataError: A file does not decode, or an array is no picture; it is named.
        """
        if isinstance(pictures, str | Path) or (isinstance(pictures, np.ndarray) and pictures.ndim == 3):
            pictures = [pictures]
        if not pictures:
            return np.zeros((0, len(self.class_names)))
        # To the size that training's pictures were kept at; from there on the device resizes, as it did in training.
        decoded = [_decoded(picture, place, self._stored_size) for place, picture in enumerate(pictures)]
        # One batch for a single picture and one for many, so that each is compiled once.
        largest = 1 if len(decoded) == 1 else MANY
        if largest not in self._predictors:
            prepare = functools.partial(resize, size=self.image_size)
            self._predictors[largest] = Predictor(self.model, prepare, self.image_size, largest, kept_as=self._kept_as)
        predicted = self._predictors[largest](np.stack(decoded), np.arange(len(decoded)))
        return np.asarray(scipy.special.softmax(predicted.logits.astype(np.float64) / self.temperature, axis=1))

    def predict(self, pictures: Picture | Sequence[Picture]) -> list[str]:
        """Return the name of the most probable class of each picture.

        Args:
            pictures: As for `probabilities`.
        """
        return [self.class_names[place] for place in self.probabilities(pictures).argmax(axis=1)]


def _decoded(picture: Picture, place: int, size: tuple[int, int]) -> NDArray[np.uint8]:
    if isinstance(picture, str | Path):
        try:
            return decode(Path(picture).read_bytes(), size)
        except UnreadablePictureError as error:
            raise DataError(f"{picture}: {error}") from error
        except OSError as error:
            raise DataError(f"{picture} cannot be read: {error.strerror or error}") from error
    if not isinstance(picture, np.ndarray) or picture.dtype != np.uint8 or picture.ndim != 3 or picture.shape[2] != 3:
        what = f"{picture.dtype}, shape {picture.shape}" if isinstance(picture, np.ndarray) else type(picture).__name__
        raise DataError(f"picture {place} must be a path or an array (height, width, 3) of bytes, not {what}")
    return fit(picture, size)
