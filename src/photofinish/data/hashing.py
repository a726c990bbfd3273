"""SHA-256 of files, remembered so that only changed files are read again."""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import Any

from photofinish.errors import DataError, PhotofinishError
from photofinish.storage import read_json, write_text
from photofinish.storage.progress import Progress

# A file changed within the clock's last tick may change again without its time stamp showing it.
_SETTLED_NANOSECONDS = 2_000_000_000
_CHUNK_FILES = 64
_THREADS = min(4, os.cpu_count() or 1)

_Stamp = tuple[int, int, int]


def hash_files(root: Path, names: Sequence[str], indexes: Path, progress: Progress) -> list[str]:
    """Return the SHA-256 of each file in hexadecimal.

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


def _hash(root: Path, names: Sequence[str], index_path: Path, progress: Progress) -> list[str]:
    known = _read_index(index_path)
    stamps = [_stamp(os.path.join(root, name)) for name in names]  # noqa: PTH118 - half the time
    fresh = {
        name: known[name][1]
        for name, stamp in zip(names, stamps, strict=True)
        if name in known and known[name][0] == stamp
    }
    missing = [name for name in names if name not in fresh]
    now = time.time_ns()
    fresh.update(zip(missing, _hash_in_parallel(root, missing, progress), strict=True))
    if missing:
        settled = {
            name: (stamp, fresh[name])
            for name, stamp in zip(names, stamps, strict=True)
            if now - max(stamp[1:]) > _SETTLED_NANOSECONDS
        }
        _write_index(index_path, settled)
    return [fresh[name] for name in names]


def _hash_in_parallel(root: Path, names: Sequence[str], progress: Progress) -> list[str]:
    digests: list[str] = []
    with ThreadPoolExecutor(_THREADS) as pool:
        waiting = iter(range(0, len(names), _CHUNK_FILES))
        # Windows keep the number of pending tasks small whatever the number of files.
        while starts := list(islice(waiting, 4 * _THREADS)):
            chunks = [names[start : start + _CHUNK_FILES] for start in starts]
            for found in pool.map(lambda chunk: [_digest(root / name) for name in chunk], chunks):
                digests += found
            progress("hashing files", len(digests), len(names))
    return digests


def _digest(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror or error}; mend or remove it") from error


def _stamp(path: str) -> _Stamp:
    try:
        status = os.stat(path)  # noqa: PTH116 - half the time for a million files
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror or error}; mend or remove it") from error
    return status.st_size, status.st_mtime_ns, status.st_ctime_ns


def _index_path(root: Path, indexes: Path) -> Path:
    return indexes / f"{hashlib.sha256(os.fsencode(root.resolve())).hexdigest()[:32]}.json"


def _read_index(path: Path) -> dict[str, tuple[_Stamp, str]]:
    """Read an index; one that is absent or damaged only costs reading the files again."""
    try:
        return dict(_entries(read_json(path)))
    except (PhotofinishError, ValueError, TypeError, AttributeError):
        return {}


def _entries(content: Any) -> Iterator[tuple[str, tuple[_Stamp, str]]]:
    for name, (size, modified, changed, digest) in content.items():
        yield name, ((size, modified, changed), digest)


def _write_index(path: Path, entries: dict[str, tuple[_Stamp, str]]) -> None:
    content = {name: (*stamp, digest) for name, (stamp, digest) in entries.items()}
    write_text(path, json.dumps(content, ensure_ascii=True))
