"""Arrays in a safetensors file that are hashed in the same pass that writes or reads them.

The library hashes nothing, so that a file that is checked is read once more; and it copies what it writes, which
for a large network with its optimiser is a gigabyte and a half. The format is the library's
(https://github.com/huggingface/safetensors#format): eight bytes with the length of a JSON header, the header, and the
arrays as they lie in memory.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from photofinish.storage.sealed import DamagedError

Arrays = Mapping[str, NDArray[Any]]
_CHUNK = 16 << 20
_NAMES = {
    "bool": "BOOL", "uint8": "U8", "int8": "I8", "uint16": "U16", "int16": "I16", "uint32": "U32", "int32": "I32",
    "uint64": "U64", "int64": "I64", "float16": "F16", "bfloat16": "BF16", "float32": "F32", "float64": "F64",
}  # fmt: skip
_TYPES = {name: dtype for dtype, name in _NAMES.items()}


def write_tensors(path: Path, arrays: Arrays) -> str:
    """Write arrays to a file and sync it.

    Args:
        path: The file; one that is there is overwritten.
        arrays: By name.

    Returns:
        The SHA-256 of the file in hexadecimal.

    Raises:
        OSError: The disk is full, or the file cannot be written.
    """
    # The library wants the widest types first, so that each array begins at a multiple of its own width.
    ordered = dict(sorted(arrays.items(), key=lambda pair: (-pair[1].dtype.itemsize, pair[0])))
    parts = [_header(ordered), *ordered.values()]
    with path.open("wb", buffering=0) as file, ThreadPoolExecutor(1) as pool:
        digest = pool.submit(_digest, parts)
        for chunk in _chunks(parts):
            write_chunk(file.fileno(), chunk)
        os.fsync(file.fileno())
        return digest.result()


def read_tensors(path: Path, sha256: str) -> dict[str, NDArray[Any]]:
    """Read what `write_tensors` wrote.

    Args:
        path: The file.
        sha256: What that returned.

    Returns:
        The arrays, mapped into memory.

    Raises:
        DamagedError: The file is missing, or a byte of it was changed, added or lost.
    """
    try:
        # Mapped, the pages that are hashed are those that are used: memory for a copy costs more than reading does.
        # Copy-on-write, since libraries complain about arrays that cannot be written to.
        content: NDArray[np.uint8] = np.memmap(path, np.uint8, "c").view(np.ndarray)
    except (OSError, ValueError) as error:  # an empty file cannot be mapped
        raise DamagedError(f"{path} cannot be read ({error})") from error
    if hashlib.sha256(content.data).hexdigest() != sha256:
        raise DamagedError(f"{path} was changed after it was written")
    return dict(_arrays(content))


def write_chunk(descriptor: int, chunk: memoryview) -> None:
    """Write all bytes of a chunk."""
    while chunk:
        chunk = chunk[os.write(descriptor, chunk) :]


def _header(arrays: Arrays) -> NDArray[np.uint8]:
    facts, place = {}, 0
    for name, array in arrays.items():
        end = place + array.nbytes
        facts[name] = {"dtype": _NAMES[str(array.dtype)], "shape": array.shape, "data_offsets": (place, end)}
        place = end
    text = json.dumps(facts, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return np.frombuffer(len(text).to_bytes(8, "little") + text, np.uint8)


def _digest(parts: Iterable[NDArray[Any]]) -> str:
    digest = hashlib.sha256()
    for chunk in _chunks(parts):
        digest.update(chunk)
    return digest.hexdigest()


def _chunks(arrays: Iterable[NDArray[Any]]) -> Iterator[memoryview]:
    for array in arrays:
        flat = np.ascontiguousarray(array).reshape(-1).view(np.uint8).data
        for start in range(0, len(flat), _CHUNK):
            yield flat[start : start + _CHUNK]


def _arrays(content: NDArray[np.uint8]) -> Iterator[tuple[str, NDArray[Any]]]:
    """Yield the arrays of a file that is known to be the one that was written; they share its memory."""
    start = 8 + int.from_bytes(content[:8].tobytes(), "little")
    for name, facts in json.loads(content[8:start].tobytes()).items():
        first, end = facts["data_offsets"]
        flat = content[start + first : start + end].view(np.dtype(_TYPES[facts["dtype"]]))
        yield name, flat.reshape(facts["shape"])
