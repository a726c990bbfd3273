"""Reading NumPy's `.npz` archives that nobody vouches for."""

from __future__ import annotations

import struct
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

# What NumPy and zipfile raise on damaged bytes.
_DAMAGED = (
    OSError, KeyError, ValueError, TypeError, EOFError, MemoryError, OverflowError, RuntimeError, RecursionError,
    SyntaxError, struct.error, zipfile.BadZipFile, zlib.error,
)  # fmt: skip


def read_arrays(path: Path, names: Sequence[str], largest: int) -> dict[str, NDArray[Any]]:
    """Read some arrays of an archive; nothing in it is executed.

    Args:
        path: An `.npz` file.
        names: The arrays that are wanted.
        largest: Bytes beyond which what it unpacks to is refused before anything is unpacked.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It is damaged, lacks an array, unpacks to too much or holds objects; the message says which.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            size = sum(member.file_size for member in archive.infolist())
        if size > largest:
            raise ValueError(f"it unpacks to {size:,} bytes, more than {largest:,}")
        with np.load(path, allow_pickle=False) as arrays:
            return {name: arrays[name] for name in names}
    except FileNotFoundError:
        raise
    except _DAMAGED as error:
        raise ValueError(" ".join(str(error).split()) or type(error).__name__) from error
