"""Decoding a set of pictures into one array on the disk, however large."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from photofinish.data.decode import UnreadablePictureError, quiet
from photofinish.data.listing import Pictures
from photofinish.data.parallel import Size, first_size, in_order, threads_for
from photofinish.storage import require_free_space
from photofinish.storage.progress import Progress

_WINDOW_BYTES = 64 << 20
_LARGEST_WINDOW = 1024


@dataclass(frozen=True)
class Decoded:
    """What became of the pictures.

    Attributes:
        stored_size: Height and width in pixels of every picture in the file.
        failures: The reason for each place in the listing that does not decode.
    """

    stored_size: Size
    failures: dict[int, str]


class _SizesDifferError(Exception):
    """A picture has another size than the first one."""


def write_pixels(
    path: Path, pictures: Pictures, places: NDArray[np.int64], image_size: int, progress: Progress
) -> Decoded:
    """Decode pictures into an `.npy` file of shape (readable pictures, height, width, 3), uint8.

    Where all pictures have one size that is not larger than `image_size` in either direction they are stored
    as they are, because models resize on the device; otherwise each is fitted to a square of `image_size`.

    Pictures are decoded by several threads in windows, so that memory does not grow with their number, and
    appended in order. The file is written and not mapped: on a full disk a write fails, while a mapping kills
    the process.

    Args:
        path: The file to write.
        pictures: Decodes them.
        places: Which pictures, in the order to store them.
        image_size: Pixels.
        progress: Told the number of pictures decoded.

    Raises:
        PhotofinishError: The disk has no room.
        OSError: The file cannot be written.
    """
    target = (image_size, image_size)
    with quiet():
        first = first_size(pictures, places)
        threads = threads_for(first)
        # Kept as they are only where they are square: others would be stretched, or cropped once one of them differs.
        if first is not None and first[0] == first[1] <= image_size:
            with contextlib.suppress(_SizesDifferError):
                return _write(path, _Job(pictures, places, first, None, threads), progress)
        return _write(path, _Job(pictures, places, target, target, threads), progress)


@dataclass(frozen=True)
class _Job:
    """Which pictures to decode, to what target, what size that gives, and by how many threads."""

    pictures: Pictures
    places: NDArray[np.int64]
    size: Size
    target: Size | None
    threads: int

    @property
    def picture_bytes(self) -> int:
        return self.size[0] * self.size[1] * 3

    def results(self) -> Iterator[tuple[int, NDArray[np.uint8] | str]]:
        """Return each place with its picture, or with the reason why there is none."""
        window = min(_LARGEST_WINDOW, _WINDOW_BYTES // self.picture_bytes)
        return in_order(self._decode, self.places, threads=self.threads, window=window)

    def _decode(self, place: int) -> NDArray[np.uint8] | str:
        try:
            return self.pictures.picture(place, self.target)
        except UnreadablePictureError as error:
            return str(error)


def _write(path: Path, job: _Job, progress: Progress) -> Decoded:
    total = len(job.places)
    require_free_space(path.parent, total * job.picture_bytes, "storing the decoded pictures")
    failures: dict[int, str] = {}
    with path.open("wb") as file:
        _write_header(file, total, job.size)
        for done, (place, result) in enumerate(job.results(), start=1):
            if isinstance(result, str):
                failures[place] = result
            elif result.shape[:2] != job.size:
                raise _SizesDifferError
            else:
                file.write(np.ascontiguousarray(result).data)
            if done % 256 == 0 or done == total:
                progress("decoding pictures", done, total)
        file.seek(0)
        _write_header(file, total - len(failures), job.size)
    return Decoded(job.size, failures)


def _write_header(file: BinaryIO, examples: int, size: Size) -> None:
    """Write the header of an `.npy` file; NumPy leaves room in it, so that the number of rows may change."""
    header = {"descr": "|u1", "fortran_order": False, "shape": (examples, *size, 3)}
    np.lib.format.write_array_header_1_0(file, header)
