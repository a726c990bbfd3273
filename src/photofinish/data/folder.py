"""A folder of pictures: `train/` and `test/` (and `validation/`) of class folders, or class folders alone."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path, PurePosixPath

import numpy as np

from photofinish.data.compact import Names
from photofinish.data.decode import PICTURE_SUFFIXES
from photofinish.data.files import FilePictures
from photofinish.data.hashing import hash_files
from photofinish.data.listing import PARTS, Listing, Part
from photofinish.errors import DataError
from photofinish.storage.progress import Progress

_PART_NAMES: dict[str, Part] = {
    "train": "train",
    "test": "test",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
}
_IGNORED = frozenset({"__macosx", "thumbs.db", "desktop.ini"})
_WRAPPERS = 3


@dataclass(frozen=True)
class _ClassFolder:
    """The pictures of a class in a part.

    Attributes:
        part: The part.
        label: The class.
        names: Paths relative to the root with forward slashes, sorted.
    """

    part: Part
    label: str
    names: Names


def is_picture_name(name: str) -> bool:
    """Say whether a relative path names a picture that counts: a known suffix, and nothing hidden on the way.

    Examples:
        >>> [is_picture_name(name) for name in ("cats/1.JPG", "__MACOSX/cats/1.jpg", "cats/.1.jpg")]
        [True, False, False]
    """
    path = PurePosixPath(name)
    return path.suffix.lower() in PICTURE_SUFFIXES and not any(_is_ignored(part) for part in path.parts)


def read_folder(folder: Path, name: str, indexes: Path, progress: Progress) -> Listing:
    """List the pictures of a folder and hash them.

    With `train/` and `test/` below it (whatever their case), these are the parts; `val/`, `valid/` or
    `validation/` beside them is the validation part. `train/` and `validation/` without `test/`: the
    validation part is kept and test pictures are taken from the training part. Other folders beside `train/`
    are not used. Without a `train/`, each folder is a class. Pictures may lie deeper below their class
    folder. A folder that holds nothing but one folder of folders is looked through.

    Args:
        folder: An existing folder.
        name: Name of the data set.
        indexes: Where hashes are remembered.
        progress: Told the number of files hashed.

    Raises:
        DataError: The folder is not laid out like this, a class is empty or missing from a part, there is
            only one class, or a link leads outside.
    """
    root = _inner_root(folder)
    found = list(_find(root))
    classes = _checked_classes(root, found)
    names = Names(chain.from_iterable(one.names for one in found))
    contents = hash_files(root, names, indexes, progress)
    sizes = [len(one.names) for one in found]
    label_of = {name: label for label, name in enumerate(classes)}
    return Listing(
        name=name,
        place=str(folder),
        classes=classes,
        ids=names,
        labels=np.repeat(np.array([label_of[one.label] for one in found], np.int32), sizes),
        contents=contents,
        parts=np.repeat(np.array([PARTS.index(one.part) for one in found], np.uint8), sizes),
        pictures=FilePictures(root, names, contents),
    )


def _inner_root(folder: Path) -> Path:
    root = folder
    for _ in range(_WRAPPERS):
        inner = _folders(root)
        if len(inner) != 1 or inner[0].name.lower() in _PART_NAMES or not _folders(inner[0]):
            break
        root = inner[0]
    return root


def _find(root: Path) -> Iterator[_ClassFolder]:
    for part, base in _parts(root):
        labels = _folders(base)
        if not labels:
            raise DataError(f"{base} has no class folders; put the pictures of each class into a folder of its own")
        for label in labels:
            start = label.relative_to(root).as_posix()
            names = sorted(_picture_names(label, start, os.path.realpath(root)))
            if not names:
                raise DataError(f"{label} holds no pictures; add some or remove the folder")
            yield _ClassFolder(part, label.name, Names(names))


def _parts(root: Path) -> list[tuple[Part, Path]]:
    """Return the parts of a root in the order of `PARTS`; one without a division is all training."""
    parts: dict[Part, Path] = {}
    for folder in _folders(root):
        part = _PART_NAMES.get(folder.name.lower())
        if part is None:
            continue
        if part in parts:
            raise DataError(f"{root} has both {parts[part].name} and {folder.name}; keep one of them")
        parts[part] = folder
    if not parts:
        return [("train", root)]
    if "train" not in parts:
        raise DataError(f"{root} has {', '.join(path.name for path in parts.values())} but no train folder; add one")
    return [(part, parts[part]) for part in PARTS if part in parts]


def _checked_classes(root: Path, found: list[_ClassFolder]) -> tuple[str, ...]:
    by_part: dict[Part, set[str]] = {}
    for one in found:
        by_part.setdefault(one.part, set()).add(one.label)
    classes = tuple(sorted(by_part["train"]))
    for part, labels in by_part.items():
        odd = sorted(labels.symmetric_difference(classes))
        if odd:
            there, absent = (part, "train") if odd[0] in labels else ("train", part)
            raise DataError(
                f"{root}: class '{odd[0]}' is in {there} and not in {absent}; every part needs the same class folders"
            )
    if len(classes) < 2:
        raise DataError(f"{root} has only one class, '{classes[0]}'; add a folder for each further class")
    return classes


def _folders(folder: Path) -> list[Path]:
    """Return the folders in `folder` that count, by name."""
    inner = sorted((path for path in folder.iterdir() if not _is_ignored(path.name)), key=lambda path: path.name)
    folders = [path for path in inner if path.is_dir()]
    for path in folders:
        _check_folder(path)
    return folders


def _check_folder(path: Path) -> None:
    if path.is_symlink():
        raise DataError(f"{path} is a link to a folder; put the folder itself there")
    _check_encoding(str(path))


def _picture_names(folder: Path, name: str, real_root: str) -> Iterator[str]:
    """Yield the pictures anywhere below a class folder, their paths beginning with `name`."""
    with os.scandir(folder) as entries:
        for entry in entries:
            if _is_ignored(entry.name):
                continue
            inner = f"{name}/{entry.name}"
            if _is_folder(entry):
                _check_folder(folder / entry.name)
                yield from _picture_names(folder / entry.name, inner, real_root)
            elif os.path.splitext(entry.name)[1].lower() in PICTURE_SUFFIXES:  # noqa: PTH122 - half the time
                _check_file(entry, real_root)
                yield inner


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError as error:
        raise DataError(f"{entry.path} cannot be looked at: {error.strerror or error}; remove it") from error


def _check_file(entry: os.DirEntry[str], real_root: str) -> None:
    if entry.is_symlink():
        real = os.path.realpath(entry.path)
        if os.path.commonpath([real, real_root]) != real_root:
            raise DataError(f"{entry.path} is a link that leads outside {real_root}; put the picture itself there")
    if not entry.is_file():
        raise DataError(f"{entry.path} is missing or not an ordinary file; remove it")
    _check_encoding(entry.path)


def _check_encoding(path: str) -> None:
    try:
        path.encode()
    except UnicodeEncodeError as error:
        raise DataError(f"{path!r} is not UTF-8; rename it") from error


def _is_ignored(name: str) -> bool:
    return name.startswith(".") or name.lower() in _IGNORED
