"""Writing a folder wholly or not at all."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from photofinish.errors import PhotofinishError
from photofinish.storage.atomic import sync_folder

UNFINISHED = ".building-"
"""How the name of a folder begins that is being built; one that is old was left by a process that was ended."""

_ABANDONED_SECONDS = 24 * 3600


@contextlib.contextmanager
def building(target: Path, complete: Callable[[Path], bool]) -> Iterator[Path]:
    """Yield an empty folder; on a clean exit it becomes `target`.

    Two processes may build the same folder at once: the first to finish puts its folder in place, the other
    finds it complete and throws its own away. A folder at `target` that is not complete is replaced.

    Args:
        target: The folder to build. Its parent is created when absent.
        complete: Says whether a folder found at `target` can be kept.

    Raises:
        PhotofinishError: The disk is full or the folder cannot be written to.
    """
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        _sweep(target.parent)
        temporary = Path(tempfile.mkdtemp(dir=target.parent, prefix=UNFINISHED))
    except OSError as error:
        raise _cannot_write(target, error) from error
    try:
        yield temporary
        _sync(temporary)
        _put_in_place(temporary, target, complete)
        sync_folder(target.parent)
    except OSError as error:
        raise _cannot_write(target, error) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _put_in_place(temporary: Path, target: Path, complete: Callable[[Path], bool]) -> None:
    temporary.chmod(0o755)
    try:
        temporary.rename(target)
    except OSError:
        if not target.is_dir():
            raise
        if complete(target):
            return
        damaged = Path(tempfile.mkdtemp(dir=target.parent, prefix=UNFINISHED))
        try:
            target.rename(damaged)
            temporary.rename(target)
        finally:
            shutil.rmtree(damaged, ignore_errors=True)


def _sync(folder: Path) -> None:
    """Flush the files directly in `folder`, so that the rename never outlives their content."""
    for path in folder.iterdir():
        if path.is_file():
            with path.open("rb") as file:
                os.fsync(file.fileno())


def _sweep(parent: Path) -> None:
    """Remove what killed processes left behind a day or more ago."""
    for path in parent.glob(f"{UNFINISHED}*"):
        with contextlib.suppress(OSError):
            newest = max(entry.stat().st_mtime for entry in [path, *path.iterdir()])
            if time.time() - newest > _ABANDONED_SECONDS:
                shutil.rmtree(path, ignore_errors=True)


def _cannot_write(target: Path, error: OSError) -> PhotofinishError:
    return PhotofinishError(
        f"cannot write {target}: {error.strerror or error}; free some space or choose another folder"
    )
