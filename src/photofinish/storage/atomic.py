"""Writing a file wholly or not at all.

A file is written under a temporary name beside its target, synced to the disk, and renamed. A reader therefore sees
the old file or the new one, and a full disk or a killed process leaves the old one as it was.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from photofinish.errors import PhotofinishError
from photofinish.storage.sizes import size


@contextlib.contextmanager
def writing(path: Path, *, durable: bool = True) -> Iterator[Path]:
    """Yield a temporary path beside `path`; on a clean exit it is synced and takes the place of `path`.

    Args:
        path: The file to write. Its folder is created when absent.
        durable: Whether it is synced, which takes some milliseconds: not needed where a reader notices damage and the
            content can be made again.

    Raises:
        PhotofinishError: The disk is full or the folder cannot be written to. `path` is then as it was before.
    """
    temporary: Path | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".partial")
        os.close(handle)
        temporary = Path(name)
        yield temporary
        if durable:
            with temporary.open("rb+") as file:
                os.fsync(file.fileno())
        temporary.chmod(0o666 & ~_umask())
        temporary.replace(path)
        if durable:
            sync_folder(path.parent)
    except OSError as error:
        raise PhotofinishError(
            f"cannot write {path}: {error.strerror or error}; free some space or choose another --output"
        ) from error
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)


def write_bytes(path: Path, content: bytes, *, durable: bool = True) -> None:
    """Write `content` to `path`, wholly or not at all.

    Args:
        path: As for `writing`.
        content: All of it.
        durable: As for `writing`.
    """
    with writing(path, durable=durable) as temporary:
        temporary.write_bytes(content)


def write_text(path: Path, content: str) -> None:
    """Write `content` to `path` as UTF-8, wholly or not at all."""
    write_bytes(path, content.encode())


def write_json(path: Path, content: Any) -> None:
    """Write `content` to `path` as indented JSON, wholly or not at all.

    Raises:
        ValueError: `content` holds NaN or infinity, which JSON cannot express.
    """
    write_text(path, json.dumps(content, indent=1, allow_nan=False) + "\n")


def read_json(path: Path) -> Any:
    """Read JSON from `path`.

    Raises:
        PhotofinishError: The file is missing or is not JSON.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise PhotofinishError(f"{path} does not exist") from error
    except (ValueError, OSError, RecursionError) as error:
        raise PhotofinishError(f"{path} cannot be read as JSON: {error}") from error


def require_free_space(folder: Path, needed: int, purpose: str) -> None:
    """Refuse to begin what the disk has no room for.

    Args:
        folder: Any existing folder on the disk in question, or a path below one.
        needed: Bytes.
        purpose: What the space is for, as it appears in the message.

    Raises:
        PhotofinishError: Fewer than `needed` bytes are free.
    """
    existing = next(parent for parent in [folder, *folder.parents, Path.cwd()] if parent.exists())
    free = shutil.disk_usage(existing).free
    if free < needed:
        raise PhotofinishError(
            f"{purpose} needs {size(needed)} at {folder} and {size(free)} are free; "
            "free some space or choose another folder"
        )


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def sync_folder(folder: Path) -> None:
    """Make the renames in a folder themselves durable."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
