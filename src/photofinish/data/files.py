"""Pictures that a source gives as files."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from photofinish.data.compact import Digests
from photofinish.data.decode import decode
from photofinish.errors import DataError


class FilePictures:
    """Picture files below a root.

    Args:
        root: Where `names` start.
        names: (examples,) relative paths.
        contents: (examples,) SHA-256 of each file, as the examples were divided by.
    """

    def __init__(self, root: Path, names: Sequence[str], contents: Digests) -> None:
        self._root = root
        self._names = names
        self._contents = contents

    def picture(self, index: int, target: tuple[int, int] | None) -> NDArray[np.uint8]:
        """Decode one picture, see `Pictures`.

        Raises:
            UnreadablePictureError: It does not decode.
            DataError: The file is gone, or is not the one that was hashed.
        """
        return decode(self.content(index), target)

    def content(self, index: int) -> bytes:
        """Return the bytes of one file, see `Files`.

        Raises:
            DataError: The file is gone, or is not the one that was hashed.
        """
        path = self._root / self._names[index]
        try:
            content = path.read_bytes()
        except OSError as error:
            raise DataError(f"cannot read {path}: {error.strerror or error}; mend or remove it") from error
        # Pixels, split and fingerprint must be of the same bytes.
        if hashlib.sha256(content).hexdigest() != self._contents[index]:
            raise DataError(f"{path} changed while it was being prepared; start again when nothing writes to it")
        return content
