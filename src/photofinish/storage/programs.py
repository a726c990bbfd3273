"""Traced programs kept between processes, in a folder that does not grow beyond a bound.

A program is bytes under the digest of everything that decides it. It is written with a checksum in front, and one that
does not agree with it is as good as absent: nothing is ever lost here that cannot be made again.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from pathlib import Path

from photofinish.errors import PhotofinishError
from photofinish.storage.atomic import write_bytes
from photofinish.storage.caches import cache_folder

MOST_BYTES = 256 << 20
"""Some fifty large networks; a training step of EfficientNetV2-L takes about 5 MB."""

_CHECKSUM_BYTES = 32
TRACED, COMPILED = ".traced", ".compiled"


def read_program(digest: str) -> bytes | None:
    """Return a program, or None where it is absent, damaged or cannot be read.

    Args:
        digest: In hexadecimal, of everything that decides the program.
    """
    try:
        path = _path(digest)
        content = path.read_bytes()
        program = content[_CHECKSUM_BYTES:]
        if hashlib.sha256(program).digest() != content[:_CHECKSUM_BYTES]:
            return None
        # What was used last is dropped last.
        os.utime(path)
    except OSError:
        return None
    return program


def write_program(digest: str, program: bytes, *, most: int = MOST_BYTES) -> None:
    """Keep a program, and drop those that were not used for longest where all of them are too large.

    A program that cannot be kept only costs tracing it again, so no error is raised.

    Args:
        digest: As for `read_program`.
        program: Its bytes.
        most: Bytes that all programs may take together.
    """
    with contextlib.suppress(OSError, PhotofinishError):
        path = _path(digest)
        write_bytes(path, hashlib.sha256(program).digest() + program, durable=False)
        _drop_oldest(path.parent, most)


def is_compiled(digest: str) -> bool:
    """Return whether a program has once been compiled, into the cache of compiled programs."""
    try:
        return _path(digest, COMPILED).exists()
    except (OSError, PhotofinishError):
        return False


def note_compiled(digest: str) -> None:
    """Note that a program has been compiled."""
    with contextlib.suppress(OSError, PhotofinishError):
        _path(digest, COMPILED).touch()


def _path(digest: str, suffix: str = TRACED) -> Path:
    return cache_folder("traced") / f"{digest}{suffix}"


def _drop_oldest(folder: Path, most: int) -> None:
    known = sorted(
        ((path.stat().st_mtime_ns, path.stat().st_size, path) for path in folder.glob(f"*{TRACED}")), reverse=True
    )
    total = 0
    for _, size, path in known:
        total += size
        if total > most:
            path.unlink(missing_ok=True)
            path.with_suffix(COMPILED).unlink(missing_ok=True)
