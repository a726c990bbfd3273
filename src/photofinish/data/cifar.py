"""CIFAR-10 and CIFAR-100 as their author publishes them, in the binary or the Python version.

Both versions give the same ids, pictures and therefore the same fingerprint.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from photofinish.data.arrays import ArrayPictures, content_hashes
from photofinish.data.cifar_classes import CIFAR10_CLASSES, CIFAR100_CLASSES
from photofinish.data.compact import Names
from photofinish.data.listing import PARTS, Listing
from photofinish.data.pickles import read_pickle
from photofinish.errors import DataError
from photofinish.storage.download import RemoteFile

_HOME = "https://www.cs.toronto.edu/~kriz"
CIFAR_ARCHIVES: dict[str, tuple[RemoteFile, ...]] = {
    "cifar10": (
        RemoteFile(f"{_HOME}/cifar-10-binary.tar.gz", "c32a1d4ab5d03f1284b67883e8d87530"),
        RemoteFile(f"{_HOME}/cifar-10-python.tar.gz", "c58f30108f718f92721af3b95e74349a"),
    ),
    "cifar100": (
        RemoteFile(f"{_HOME}/cifar-100-binary.tar.gz", "03b5dce01913d631647c71ecec9e9cb8"),
        RemoteFile(f"{_HOME}/cifar-100-python.tar.gz", "eb9058c3a382ffc7106e4002c42a8d85"),
    ),
}

_SIDE = 32
_PIXEL_BYTES = 3 * _SIDE * _SIDE
_OFFICIAL_COUNTS = (50_000, 10_000)

_Batch = tuple[NDArray[np.uint8], NDArray[np.int64]]


@dataclass(frozen=True)
class _Layout:
    """The files of one version, in the order of the examples.

    Attributes:
        name: Name of the data set.
        classes: Class names where the version's own list of names is absent.
        train: Files of the training part.
        test: File of the test part.
        names: File of the class names.
        read: Reads pictures (examples, 32, 32, 3) and labels from a training or test file.
        read_names: Reads class names.
    """

    name: str
    classes: tuple[str, ...]
    train: tuple[str, ...]
    test: str
    names: str
    read: Callable[[Path], _Batch]
    read_names: Callable[[Path], tuple[str, ...]]


def find_cifar(folder: Path) -> Path | None:
    """Return `folder` or the folder in it that holds CIFAR's files, or None.

    Raises:
        DataError: Some of the files are there and others are missing.
    """
    candidates = [folder, *sorted(path for path in folder.iterdir() if path.is_dir())]
    return next((candidate for candidate in candidates if _layout(candidate)), None)


def is_cifar_file(name: str) -> bool:
    """Say whether a file of this name belongs to one of the CIFAR versions."""
    return any(name in {*layout.train, layout.test, layout.names} for layout in _LAYOUTS)


def read_cifar(folder: Path) -> Listing:
    """Read the files in `folder`.

    Raises:
        DataError: A file is damaged or missing.
    """
    layout = _layout(folder)
    if layout is None:
        raise DataError(f"{folder} holds no CIFAR files")
    classes = _class_names(folder / layout.names, layout)
    trains = [_read_batch(folder / name, layout, classes) for name in layout.train]
    test = _read_batch(folder / layout.test, layout, classes)
    images = np.concatenate([pictures for pictures, _ in [*trains, test]])
    labels = np.concatenate([batch_labels for _, batch_labels in [*trains, test]]).astype(np.int32)
    train_count = len(images) - len(test[0])
    official = (train_count, len(test[0])) == _OFFICIAL_COUNTS
    parts = np.repeat(np.array([PARTS.index("train"), PARTS.index("test")], np.uint8), [train_count, len(test[0])])
    return Listing(
        name=layout.name if official else f"{layout.name} (incomplete)",
        place=str(folder),
        classes=classes,
        ids=Names([f"train/{i:05d}" for i in range(train_count)] + [f"test/{i:05d}" for i in range(len(test[0]))]),
        labels=labels,
        contents=content_hashes(images),
        parts=parts,
        pictures=ArrayPictures(images),
    )


def _layout(folder: Path) -> _Layout | None:
    for layout in _LAYOUTS:
        needed = [*layout.train, layout.test]
        missing = [name for name in needed if not (folder / name).is_file()]
        if not missing:
            return layout
        # `train` and `test` are names that other data sets use too, for folders or for lists.
        if len(missing) < len(needed) and len(needed) > 2:
            raise DataError(f"{folder} lacks {', '.join(missing)} of {layout.name}; extract the archive again")
    return None


def _read_batch(path: Path, layout: _Layout, classes: tuple[str, ...]) -> _Batch:
    images, labels = layout.read(path)
    if len(images) == 0 or labels.min() < 0 or labels.max() >= len(classes):
        raise DataError(f"{path} has no pictures or has labels outside 0-{len(classes) - 1}; fetch the archive again")
    return images, labels


def _class_names(path: Path, layout: _Layout) -> tuple[str, ...]:
    if not path.is_file():
        return layout.classes
    names = layout.read_names(path)
    if len(names) != len(layout.classes) or len(set(names)) != len(names):
        raise DataError(f"{path} names {len(set(names))} classes, not {len(layout.classes)}; fetch the archive again")
    return names


def _pictures(flat: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Turn rows of planes into pictures: (examples, 3072) -> (examples, 32, 32, 3)."""
    return np.ascontiguousarray(flat.reshape(-1, 3, _SIDE, _SIDE).transpose(0, 2, 3, 1))


def _binary_reader(label_bytes: int) -> Callable[[Path], _Batch]:
    """Return a reader of records of `label_bytes` labels, the last of which counts, and 3,072 pixel bytes."""

    def read(path: Path) -> _Batch:
        content = np.fromfile(path, dtype=np.uint8)
        record = label_bytes + _PIXEL_BYTES
        if len(content) % record:
            raise DataError(
                f"{path} has {len(content)} bytes, not a multiple of {record}: it is cut off; "
                "extract or fetch the archive again"
            )
        records = content.reshape(-1, record)
        return _pictures(records[:, label_bytes:]), records[:, label_bytes - 1].astype(np.int64)

    return read


def _pickle_reader(labels_key: str) -> Callable[[Path], _Batch]:
    def read(path: Path) -> _Batch:
        batch = read_pickle(path)
        pixels, labels = batch.get("data"), batch.get(labels_key)
        if not isinstance(pixels, np.ndarray) or pixels.dtype != np.uint8 or not isinstance(labels, list):
            raise DataError(f"{path} lacks 'data' or '{labels_key}'; fetch the official archive again")
        if pixels.ndim != 2 or pixels.shape != (len(labels), _PIXEL_BYTES):
            raise DataError(f"{path} has pictures of shape {pixels.shape} and {len(labels)} labels; fetch it again")
        if not all(isinstance(label, int) for label in labels):
            raise DataError(f"{path} has labels that are no integers; fetch the official archive again")
        return _pictures(pixels), np.array(labels, dtype=np.int64)

    return read


def _names_from_text(path: Path) -> tuple[str, ...]:
    return tuple(line.strip() for line in path.read_text(encoding="utf-8").splitlines() if line.strip())


def _names_from_pickle(key: str) -> Callable[[Path], tuple[str, ...]]:
    def read(path: Path) -> tuple[str, ...]:
        names = read_pickle(path).get(key)
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise DataError(f"{path} lacks '{key}'; fetch the official archive again")
        return tuple(names)

    return read


_LAYOUTS = (
    _Layout(
        name="CIFAR-10",
        classes=CIFAR10_CLASSES,
        train=tuple(f"data_batch_{number}.bin" for number in range(1, 6)),
        test="test_batch.bin",
        names="batches.meta.txt",
        read=_binary_reader(1),
        read_names=_names_from_text,
    ),
    _Layout(
        name="CIFAR-10",
        classes=CIFAR10_CLASSES,
        train=tuple(f"data_batch_{number}" for number in range(1, 6)),
        test="test_batch",
        names="batches.meta",
        read=_pickle_reader("labels"),
        read_names=_names_from_pickle("label_names"),
    ),
    _Layout(
        name="CIFAR-100",
        classes=CIFAR100_CLASSES,
        train=("train.bin",),
        test="test.bin",
        names="fine_label_names.txt",
        read=_binary_reader(2),
        read_names=_names_from_text,
    ),
    _Layout(
        name="CIFAR-100",
        classes=CIFAR100_CLASSES,
        train=("train",),
        test="test",
        names="meta",
        read=_pickle_reader("fine_labels"),
        read_names=_names_from_pickle("fine_label_names"),
    ),
)
