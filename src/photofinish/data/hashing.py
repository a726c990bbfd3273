"""SHA-256 of files, remembered so that only changed files are read again."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from photofinish.data.compact import DIGEST_BYTES, Digests
from photofinish.errors import DataError
from photofinish.storage import writing
from photofinish.storage.progress import Progress

# A file changed within the clock's last tick may change again without its time stamp showing it.
_SETTLED_NANOSECONDS = 2_000_000_000
_LATEST = 1 << 62
_CHUNK_FILES = 64
_THREADS = min(4, os.cpu_count() or 1)

# 64 bits of the name's BLAKE2b; size, modification time and change time; SHA-256. Two names of one digest would have to
# agree in all three numbers besides.
_ENTRY = np.dtype([("name", "<u8"), ("stamp", "<i8", 3), ("digest", "u1", DIGEST_BYTES)])
_Index = NDArray[Any]


def hash_files(root: Path, names: Sequence[str], indexes: Path, progress: Progress) -> Digests:
    """Return the SHA-256 of each file.

    Every file is read on the first pass. Its size, modification time and change time (nanoseconds) are
    written to an index; later passes read only files for which one of these differs.

    Args:
        root: The folder that `names` start from.
        names: Relative paths with forward slashes.
        indexes: The folder that holds the index files, one for each root.
        progress: Told the number of files hashed.

    Raises:
        DataError: A file cannot be read.
    """
    return _hash(root, names, _index_path(root, indexes), progress)


def hash_file(path: Path, indexes: Path, progress: Progress) -> str:
    """Return the SHA-256 of one file in hexadecimal, remembered like those of `hash_files`."""
    return _hash(path.parent, [path.name], _index_path(path, indexes), progress)[0]


def _hash(root: Path, names: Sequence[str], index_path: Path, progress: Progress) -> Digests:
    entries = np.zeros(len(names), _ENTRY)
    for place, name in enumerate(names):
        entries[place]["name"] = _short_digest(name)
        entries[place]["stamp"] = _stamp(os.path.join(root, name))  # noqa: PTH118 - half the time
    missing = np.flatnonzero(~_fill_in(entries, _read_index(index_path)))
    now = time.time_ns()
    _hash_in_parallel(root, names, missing, entries["digest"], progress)
    if len(missing):
        settled = now - entries["stamp"][:, 1:].max(axis=1) > _SETTLED_NANOSECONDS
        _write_index(index_path, entries, np.flatnonzero(settled))
    return Digests(entries["digest"])


def _fill_in(entries: _Index, known: _Index) -> NDArray[np.bool_]:
    """Copy what is known of unchanged files into their entries; say which these are."""
    if not len(known):
        return np.zeros(len(entries), bool)
    places = np.minimum(np.searchsorted(known["name"], entries["name"]), len(known) - 1)
    same: NDArray[np.bool_] = known["name"][places] == entries["name"]
    for number in range(3):
        same &= known["stamp"][places, number] == entries["stamp"][:, number]
    entries["digest"][same] = known["digest"][places[same]]
    return same


def _hash_in_parallel(
    root: Path, names: Sequence[str], missing: NDArray[np.int64], digests: NDArray[np.uint8], progress: Progress
) -> None:
    def hash_some(places: NDArray[np.int64]) -> None:
        for place in places.tolist():
            digests[place] = np.frombuffer(_digest(root / names[place]), np.uint8)

    window = 4 * _THREADS * _CHUNK_FILES
    with ThreadPoolExecutor(_THREADS) as pool:
        # Windows keep the number of pending tasks small whatever the number of files.
        for start in range(0, len(missing), window):
            chosen = missing[start : start + window]
            for _ in pool.map(hash_some, np.split(chosen, range(_CHUNK_FILES, len(chosen), _CHUNK_FILES))):
                pass
            progress("hashing files", start + len(chosen), len(missing))


def _digest(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").digest()
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror or error}; mend or remove it") from error


def _short_digest(name: str) -> int:
    return int.from_bytes(hashlib.blake2b(os.fsencode(name), digest_size=8).digest(), "little")


def _stamp(path: str) -> tuple[int, int, int]:
    try:
        status = os.stat(path)  # noqa: PTH116 - half the time for a million files
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror or error}; mend or remove it") from error
    # A file may say that it was changed in 2300, which is beyond 64 bits.
    return status.st_size, min(status.st_mtime_ns, _LATEST), min(status.st_ctime_ns, _LATEST)


def _index_path(root: Path, indexes: Path) -> Path:
    return indexes / f"{hashlib.sha256(os.fsencode(root.resolve())).hexdigest()[:32]}.hashes"


def _read_index(path: Path) -> _Index:
    """Map an index into memory; one that is absent or damaged only costs reading the files again."""
    try:
        with path.open("rb") as file:
            checksum = file.read(DIGEST_BYTES)
        known: _Index = np.memmap(path, _ENTRY, "r", DIGEST_BYTES)
    except (OSError, ValueError):
        return np.zeros(0, _ENTRY)
    return known if hashlib.sha256(known.view(np.uint8).data).digest() == checksum else np.zeros(0, _ENTRY)


def _write_index(path: Path, entries: _Index, places: NDArray[np.int64]) -> None:
    """Write some entries to an index, a checksum before them, wholly or not at all."""
    _, first = np.unique(entries["name"][places], return_index=True)
    chosen = entries[places[first]]
    with writing(path) as temporary, temporary.open("wb") as file:
        file.write(hashlib.sha256(chosen.view(np.uint8).data).digest())
        file.write(chosen.view(np.uint8).data)
