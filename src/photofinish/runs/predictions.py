"""The predictions of one model on one split: id, label and logits of every picture."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from photofinish.errors import StudyError
from photofinish.storage import writing
from photofinish.storage.arrays import read_arrays

# A million pictures of ImageNet's 21,841 classes would need 90 GB; fifty thousand of them need 4.4 GB.
LARGEST_FILE = 16 << 30
# Names, whole numbers, numbers.
_KINDS = {"ids": "U", "labels": "iu", "logits": "f"}


@dataclass(frozen=True)
class Predictions:
    """Predictions in the order of the split.

    Attributes:
        ids: Name of each picture, shape (examples,).
        labels: True class of each picture, shape (examples,), int32.
        logits: Scores before the softmax, shape (examples, classes); float32 where they come from a file.
    """

    ids: NDArray[np.str_]
    labels: NDArray[np.int32]
    logits: NDArray[np.floating]

    def __post_init__(self) -> None:
        """Refuse arrays that do not belong together."""
        count = len(self.ids)
        if self.labels.shape != (count,) or self.logits.ndim != 2 or len(self.logits) != count:
            raise ValueError(
                f"ids {self.ids.shape}, labels {self.labels.shape} and logits {self.logits.shape} do not match"
            )

    @property
    def predicted(self) -> NDArray[np.int64]:
        """Class with the highest score, shape (examples,)."""
        return np.asarray(self.logits.argmax(axis=1), np.int64)

    @property
    def correct(self) -> NDArray[np.bool_]:
        """Whether each picture was classified rightly, shape (examples,)."""
        return np.asarray(self.predicted == self.labels)

    def write(self, path: Path) -> None:
        """Write the arrays to a compressed `.npz`, wholly or not at all."""
        with writing(path) as temporary, temporary.open("wb") as file:
            np.savez_compressed(file, ids=self.ids, labels=self.labels, logits=self.logits)

    @classmethod
    def read(cls, path: Path) -> Predictions:
        """Read predictions; nothing in the file is executed.

        Raises:
            StudyError: The file is missing, damaged or not a predictions file.
        """
        try:
            return cls(**_of_right_kinds(read_arrays(path, tuple(_KINDS), LARGEST_FILE)))
        except (OSError, ValueError) as error:
            raise StudyError(
                f"{path} is not a readable predictions file ({error}); run the same command again to replace it"
            ) from error


def _of_right_kinds(arrays: dict[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    for name, kinds in _KINDS.items():
        if arrays[name].dtype.kind not in kinds:
            raise ValueError(f"{name} are of type {arrays[name].dtype}")
    return arrays
