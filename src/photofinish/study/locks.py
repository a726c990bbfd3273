"""One writer a folder: locks that the system takes back when their holder dies, however it dies.

The lock is on an open file (`flock`): a process that is killed, or a machine that crashes, holds it no longer, and the
file that stays behind locks nothing. On a shared disk other hosts see the lock where its file system passes locks on
(NFS 4 does).
"""

from __future__ import annotations

from pathlib import Path

import filelock

from photofinish.errors import PhotofinishError, StudyError
from photofinish.runs import RunFolder

LOCK = ".lock"
WORKER_LOCK = ".worker.lock"
# A worker whose starter was killed ends at its next message, which may have to wait for a compilation.
SECONDS_FOR_AN_ORPHAN = 120.0


def only_one(folder: Path) -> filelock.BaseFileLock:
    """Return a held lock on a folder; use it as a context.

    Raises:
        StudyError: Another process is writing to the folder.
        PhotofinishError: The folder cannot be written to.
    """
    return _locked(folder, LOCK, 0.0, "another photofinish process; wait for it or choose another --output")


def only_worker(folder: RunFolder, seconds: float = SECONDS_FOR_AN_ORPHAN) -> filelock.BaseFileLock:
    """Return a held lock of the process that trains in a run folder; use it as a context.

    Whoever started a worker holds `only_one`, and loses it when killed, while the worker may live on for some seconds.

    Args:
        folder: The run folder.
        seconds: How long to wait for an earlier worker to end.

    Raises:
        StudyError: An earlier worker is still writing to the folder.
        PhotofinishError: The folder cannot be written to.
    """
    left = "a worker that outlived the process that started it; wait until it has ended, or end it"
    return _locked(folder.path, WORKER_LOCK, seconds, left)


def is_in_use(folder: Path) -> bool:
    """Return whether a process is writing to a study or run folder; a lock file that nobody holds says nothing."""
    for name in (LOCK, WORKER_LOCK):
        if not (folder / name).is_file():
            continue
        try:
            with filelock.FileLock(folder / name).acquire(timeout=0):
                pass
        except filelock.Timeout:
            return True
        except OSError:
            continue  # on a disk that is only read, nobody writes
    return False


def _locked(folder: Path, name: str, seconds: float, by: str) -> filelock.BaseFileLock:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = filelock.FileLock(folder / name)
        lock.acquire(timeout=seconds)
    except filelock.Timeout as error:
        raise StudyError(f"{folder} is in use by {by}") from error
    except OSError as error:
        raise PhotofinishError(f"cannot write to {folder}: {error.strerror}; choose another --output") from error
    return lock
