"""What lies beside the tensors of a trained network: what they belong to, and their checksum."""

from __future__ import annotations

from pathlib import Path

from pydantic import ValidationError

from photofinish.catalog.scaling import Scaling
from photofinish.config import Settings
from photofinish.errors import WeightsError
from photofinish.storage import read_json
from photofinish.storage.download import checksum

MANIFEST = "manifest.json"
TENSORS = "final.safetensors"


class SavedModel(Settings):
    """What is needed to build the network again.

    Attributes:
        name: The model as it was asked for.
        class_names: In the order of the logits.
        image_size: Height and width in pixels.
        head_units: Width of the head's hidden layer, or None.
        dropout: Of the head; it has no effect on predictions.
        input_scaling: How pictures of 0-255 are scaled inside.
        weights: What the weights were before training.
        sha256: Of the tensors' file.
    """

    name: str
    class_names: tuple[str, ...]
    image_size: int
    head_units: int | None
    dropout: float
    input_scaling: Scaling
    weights: str
    sha256: str


def read_manifest(folder: Path) -> SavedModel:
    """Read what a folder of saved tensors belongs to.

    Raises:
        WeightsError: There is no manifest of this version.
    """
    try:
        return SavedModel.model_validate(read_json(folder / MANIFEST))
    except ValidationError as error:
        raise WeightsError(f"{folder / MANIFEST} is not of this version: {error.errors()[0]['msg']}") from error


def verified_tensors(folder: Path, manifest: SavedModel) -> Path:
    """Return the file of tensors that a manifest vouches for.

    Raises:
        WeightsError: It is missing, or is not the file that was written.
    """
    path = folder / TENSORS
    if not path.is_file() or checksum(path, "SHA-256") != manifest.sha256:
        raise WeightsError(f"{path} is missing or was changed after it was written; train the model again")
    return path
