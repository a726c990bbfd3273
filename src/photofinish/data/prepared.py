"""The prepared folder: decoded pictures on the disk, and one or more divisions of them.

```
<pixels>/images.npy labels.npy ids.npy pixels.json      decoded once for each set of pictures and size
<pixels>/<split>/splits.npz listing.npz prepared.json   what a run uses: this is the prepared folder
```
"""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from photofinish.data.listing import PARTS
from photofinish.errors import DataError, PhotofinishError
from photofinish.runs.layout import LISTING
from photofinish.runs.listings import ListedPictures
from photofinish.runs.records import DataRecord
from photofinish.storage import read_json, write_json

SCHEMA = 1
_PIXEL_FILES = ("images.npy", "labels.npy", "ids.npy")
_PIXELS = "pixels.json"
_SPLITS = "splits.npz"
_PREPARED = "prepared.json"


@dataclass(frozen=True, eq=False)
class PreparedData:
    """Pictures ready to be read by a training loop.

    Attributes:
        folder: Where they are stored.
        record: Name, fingerprint, classes and counts.
        images: uint8 RGB of shape (examples, height, width, 3), a read-only memory map.
        labels: (examples,) index into `record.classes`.
        ids: (examples,) stable name of each picture.
        splits: For `train`, `validation` and `test` the indices into `images`, ascending.
    """

    folder: Path
    record: DataRecord
    images: NDArray[np.uint8]
    labels: NDArray[np.int32]
    ids: NDArray[np.str_]
    splits: dict[str, NDArray[np.int64]]

    @property
    def listing(self) -> Path:
        """Where all pictures of the source are listed, see `photofinish.runs.listings`."""
        return self.folder / LISTING

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Open a prepared folder without reading its pictures.

        Args:
            folder: The `folder` of what `prepare` returned.

        Raises:
            DataError: The folder is missing, incomplete or of another version.
        """
        try:
            read_pixels_note(folder.parent)
            content = _read_note(folder / _PREPARED)
            pixels = folder.parent
            images = np.load(pixels / "images.npy", mmap_mode="r", allow_pickle=False)
            labels = np.load(pixels / "labels.npy", allow_pickle=False)
            ids = np.load(pixels / "ids.npy", mmap_mode="r", allow_pickle=False)
            # Opened here, because NumPy leaves a file open that it cannot read.
            with (folder / _SPLITS).open("rb") as file, np.load(file, allow_pickle=False) as stored:
                splits: dict[str, NDArray[np.int64]] = {part: stored[part] for part in PARTS}
            record = DataRecord.model_validate(content["record"])
        except (
            PhotofinishError,
            ValidationError,
            OSError,
            ValueError,
            KeyError,
            zipfile.BadZipFile,
        ) as error:
            reason = " ".join(str(error).split())
            raise DataError(
                f"{folder} is not a complete prepared data set ({reason}); delete it and prepare again"
            ) from error
        return cls(folder, record, images, labels, ids, splits)


def is_complete_pixels(folder: Path) -> bool:
    """Say whether a folder of decoded pictures has all its files in full length."""
    try:
        read_pixels_note(folder)
    except PhotofinishError:
        return False
    return True


def is_complete_split(folder: Path) -> bool:
    """Say whether a prepared folder can be loaded, and its pictures are listed."""
    try:
        return PreparedData.load(folder).listing.is_file()
    except PhotofinishError:
        return False


def read_pixels_note(folder: Path) -> dict[str, Any]:
    """Read what was noted about decoded pictures, and check that the files have the sizes noted.

    Raises:
        PhotofinishError: Something is missing or has another size.
    """
    content = _read_note(folder / _PIXELS)
    for name, size in content["files"].items():
        path = folder / name
        if not path.is_file() or path.stat().st_size != size:
            raise DataError(f"{path} is missing or incomplete")
    return content


def write_pixels_note(folder: Path, stored_size: tuple[int, int], skipped: Mapping[str, str]) -> None:
    """Note what a folder of decoded pictures holds, when all else in it has been written."""
    content = {
        "schema": SCHEMA,
        "stored_size": stored_size,
        "skipped": dict(skipped),
        "files": {name: (folder / name).stat().st_size for name in _PIXEL_FILES},
    }
    write_json(folder / _PIXELS, content)


def write_split(
    folder: Path, record: DataRecord, splits: Mapping[str, NDArray[np.int64]], listed: ListedPictures
) -> None:
    """Write a division of decoded pictures, and the list of all pictures of the source."""
    listed.write(folder / LISTING)
    with (folder / _SPLITS).open("wb") as file:
        np.savez(file, allow_pickle=False, **splits)
    write_json(folder / _PREPARED, {"schema": SCHEMA, "record": record.model_dump(mode="json")})


def _read_note(path: Path) -> dict[str, Any]:
    content = read_json(path)
    if not isinstance(content, dict) or content.get("schema") != SCHEMA:
        raise DataError(f"{path} is of another version of photofinish")
    return content
