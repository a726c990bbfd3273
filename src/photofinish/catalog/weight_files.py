"""From what is asked for as weights to the arrays of a file and the scaling of pictures they expect.

A file holds tensors and nothing else that is looked at: none of the formats read here can execute code, no link out of
a file is followed, and no array is read before it is known to fit.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from photofinish.catalog.architectures import CATALOG, Architecture
from photofinish.catalog.keras_files import open_keras_archive, open_keras_h5
from photofinish.catalog.manifest import MANIFEST, TENSORS, read_manifest, verified_tensors
from photofinish.catalog.scaling import Scaling
from photofinish.catalog.stored import Arrays
from photofinish.catalog.tensor_files import open_tensors
from photofinish.catalog.timm_files import MARK, from_timm, timm_scaling
from photofinish.errors import SettingsError, WeightsError, nearest
from photofinish.runs import RunFolder
from photofinish.storage.progress import Progress

CLASSIFIER = "predictions"
READABLE = (".h5", ".hdf5", ".keras", ".safetensors")
PICKLES = frozenset({".pth", ".pt", ".bin", ".ckpt", ".pkl", ".pickle", ".joblib", ".npz", ".npy"})


@dataclass(frozen=True)
class WeightFile:
    """An open weight file.

    Attributes:
        path: Where it lies.
        arrays: What it holds, by `layer/variable`.
        scaling: How its network expects pictures to be scaled.
        has_wanted_classifier: Whether it holds a classifier of the number of classes that was asked for.
    """

    path: Path
    arrays: Arrays
    scaling: Scaling
    has_wanted_classifier: bool


@contextlib.contextmanager
def open_weights(
    architecture: Architecture, weights: str | Path, *, classes: int | None = None
) -> Iterator[WeightFile]:
    """Find weights, fetch them where they are published and not at hand, and open the file.

    Args:
        architecture: The network they are for.
        weights: The name of a published set, or the path of a file or of a run folder.
        classes: A classifier of this many classes is wanted; None wants none.

    Raises:
        SettingsError: There are no such weights.
        WeightsError: The file must not be read, is damaged, or is of another network.
        DownloadError: The weights could not be fetched.
    """
    published = architecture.weights.get(str(weights))
    if published is None:
        path = _existing_path(architecture, weights)
    else:
        path = published.fetch(with_classifier=classes == published.classes)
    with _open(path, architecture) as (file, arrays, expected):
        yield WeightFile(file, arrays, published.scaling if published else expected, _has_classifier(arrays, classes))


def check_weights(architecture: Architecture, weights: str | Path, progress: Progress | None = None) -> None:
    """Refuse weights that cannot be used, and fetch those that are not at hand.

    Args:
        architecture: The network they are for.
        weights: As for `open_weights`.
        progress: Is told of a download.

    Raises:
        PhotofinishError: As for `open_weights`; whether shapes fit is not looked at.
    """
    published = architecture.weights.get(str(weights))
    if published is not None:
        published.fetch(progress=progress)
        return
    with _open(_existing_path(architecture, weights), architecture):
        pass


def deciding_file(architecture: Architecture, weights: str | Path | None) -> Path | None:
    """Return the file whose content decides what weights are: of a run folder its manifest; None for published ones."""
    if weights is None or str(weights) in architecture.weights:
        return None
    path = Path(weights).expanduser()
    folder = _folder_of_tensors(path)
    return folder / MANIFEST if folder else path


def _existing_path(architecture: Architecture, weights: str | Path) -> Path:
    path = Path(weights).expanduser()
    name = str(weights)
    if not (path.exists() or path.suffix in PICKLES | set(READABLE) or (os.sep in name and ":" not in name)):
        raise SettingsError(_unknown(architecture, name))
    if not path.exists():
        raise SettingsError(f"the weight file {path} does not exist")
    return path


def _unknown(architecture: Architecture, name: str) -> str:
    """Say that a network has no weights of that name, and who has."""
    owners = [other.name for other in CATALOG.values() if name in other.weights]
    if owners:
        own = f"its own are {', '.join(architecture.weights)}"
        return f"{architecture.name} has no weights '{name}', which are of {', '.join(owners)}; {own}"
    own = nearest(name, architecture.weights)
    paths = f"or the path of a {', '.join(READABLE)} file or of a run folder"
    return f"{architecture.name} has no weights '{name}': {own} ({paths})"


Opened = tuple[Path, Arrays, Scaling]


@contextlib.contextmanager
def _open(path: Path, architecture: Architecture) -> Iterator[Opened]:
    """Open a file or run folder of any kind; yield the file of tensors, its arrays and the scaling they expect."""
    suffix = path.suffix.lower()
    if path.is_dir() or (path.name == TENSORS and (path.parent / MANIFEST).is_file()):
        with _open_own(path, architecture) as opened:
            yield opened
    elif suffix in {".h5", ".hdf5"}:
        with open_keras_h5(path) as arrays:
            yield path, arrays, architecture.scaling
    elif suffix == ".keras":
        with open_keras_archive(path) as arrays:
            yield path, arrays, architecture.scaling
    elif suffix == ".safetensors":
        with open_tensors(path) as arrays:
            if MARK in arrays:
                named = from_timm(arrays)
                variant = architecture.name.removeprefix("efficientnetv2-")
                yield path, named, timm_scaling(path, named, variant)
            else:
                yield path, arrays, architecture.scaling
    elif suffix in PICKLES:
        raise WeightsError(
            f"{path} is refused: a {suffix} file may hold pickled objects, which can execute code when they are read; "
            "have whoever you trust with it save the tensors as .safetensors (safetensors.torch.save_file)"
        )
    else:
        raise WeightsError(
            f"{path} is no weight file that can be read; there are {', '.join(READABLE)} and run folders"
        )


@contextlib.contextmanager
def _open_own(path: Path, architecture: Architecture) -> Iterator[Opened]:
    """Open what a run of ours left: its manifest says how pictures are scaled, and vouches for the tensors."""
    folder = _folder_of_tensors(path) if path.is_dir() else path.parent
    if folder is None:
        raise WeightsError(f"{path} holds no {MANIFEST}; name the folder of a finished run, or a file of weights")
    manifest = read_manifest(folder)
    if manifest.name != architecture.name:
        raise WeightsError(f"{folder} holds weights of {manifest.name}, not of {architecture.name}")
    tensors = verified_tensors(folder, manifest)
    with open_tensors(tensors) as arrays:
        yield tensors, arrays, manifest.input_scaling


def _folder_of_tensors(path: Path) -> Path | None:
    return next((folder for folder in (path, RunFolder(path).checkpoints) if (folder / MANIFEST).is_file()), None)


def _has_classifier(arrays: Arrays, classes: int | None) -> bool:
    """Say whether arrays hold a classifier of so many classes that stands on the features themselves."""
    kernel = arrays.get(f"{CLASSIFIER}/kernel")
    stands_on_features = not any(name.startswith("top_dense/") for name in arrays)
    return kernel is not None and stands_on_features and len(kernel.shape) == 2 and kernel.shape[-1] == classes
