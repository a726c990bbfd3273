"""Rows 4 and 5 of the table: a disk that is full, and files that are not as they were written."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from interruptions import wait_for

from photofinish.errors import PhotofinishError
from photofinish.runs.checkpoints import MANIFEST, STATE, CheckpointStore, whole_checkpoints
from runs import Outcome, Place, result

DISK_BYTES, STATE_BYTES = 16 << 20, 3 << 20
OFFSETS, PLACES = 20, 50
PAGE = 4096


class NotMountedError(Exception):
    """A disk in memory cannot be had here."""


@contextlib.contextmanager
def small_disk(place: Path) -> Iterator[Path]:
    """Mount a small disk in memory.

    Raises:
        NotMountedError: That is not allowed here.
    """
    place.mkdir(exist_ok=True)
    mount = subprocess.run(  # a fixed command
        ["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "tmpfs", str(place)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if mount.returncode:
        raise NotMountedError(f"no small disk can be mounted here: {mount.stderr.strip()}")
    try:
        yield place
    finally:
        subprocess.run(["umount", "--lazy", str(place)], check=True)  # as above


def _leave(disk: Path, free: int) -> None:
    """Fill a disk but for so many bytes, also while a training writes to it and deletes."""
    ballast = disk / "ballast"
    ballast.unlink(missing_ok=True)
    with ballast.open("wb") as file:
        size = 0
        while (left := shutil.disk_usage(disk).free - free) > 0 or size == 0:
            try:
                os.posix_fallocate(file.fileno(), size, max(1, left))
            except OSError as error:
                if error.errno != errno.ENOSPC:
                    raise
            size = os.fstat(file.fileno()).st_size


def full_disk(place: Place, expected: list[object], interrupted: Path) -> list[Outcome]:
    """Let a disk run full at offsets of a save, and under a whole training."""
    outcome = Outcome(4, "disk full: the checkpoint before loads, a clear message, no crash")
    latest = CheckpointStore(interrupted / "resume").latest_record()
    if latest is None:
        raise RuntimeError("the interrupted run has no checkpoint")
    arrays = {"state": np.random.default_rng(0).integers(0, 255, STATE_BYTES, np.uint8)}
    try:
        with small_disk(place.folder / "disk") as disk:
            store = CheckpointStore(disk / "resume")
            for steps in (1, 2):
                store.write(latest.but(steps=steps), arrays)
            for number in range(OFFSETS):
                _leave(disk, (STATE_BYTES + 2 * PAGE) * number // OFFSETS // PAGE * PAGE)
                outcome.count(_problem_of_full_disk(store, latest, arrays))
            (disk / "ballast").unlink()
            shutil.rmtree(disk / "resume")
            outcome.count(_problem_of_training(place, disk, expected))
    except NotMountedError as error:
        outcome.notes.append(f"skipped: {error}")
    return [outcome]


def _problem_of_full_disk(store: CheckpointStore, latest: object, arrays: dict[str, np.ndarray]) -> str | None:
    try:
        store.write(latest.but(steps=3), arrays)  # type: ignore[attr-defined]
    except PhotofinishError as error:
        if "space" not in str(error).lower():
            return f"an unclear message: {error}"
        record, found = next(iter(whole_checkpoints(store, lambda _: None)))
        whole = record.steps == 2 and (found["state"] == arrays["state"]).all()
        return None if whole else "the checkpoint before does not load"
    return "it was written, though the disk had no room"


def _problem_of_training(place: Place, disk: Path, expected: list[object]) -> str | None:
    process = place.start(disk / "run", "2steps", "--json")
    wait_for(disk / "run" / "resume" / "step-000000004", process)
    _leave(disk, 2 * PAGE)
    printed = ""
    for line in process.stdout or ():
        printed += line
        if "training goes on" in line:
            (disk / "ballast").unlink(missing_ok=True)
    code = process.wait()
    if code or printed.count("no checkpoint could be written") != 1:
        return f"code {code}: {printed[-500:]}"
    return None if result(disk / "run") == expected else "the training ended with other bits"


def interrupted_run(place: Place) -> Path:
    """Return the folder of a training that was stopped with two checkpoints."""
    run = place.folder / "interrupted"
    process = place.start(run)
    wait_for(run / "resume" / "step-000000012", process)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=60)
    return run


def damage(place: Place, expected: list[object], interrupted: Path) -> list[Outcome]:
    """Truncate each file of a checkpoint, and flip a byte of it, at many places."""
    found = Outcome(5, "damage of a checkpoint found, the one before used")
    resumed = Outcome(5, "a training goes on from the one before, says so, ends the same")
    for name in (STATE, MANIFEST):
        for harm in ("flip", "truncate"):
            run = place.folder / f"damaged-{harm}-{name}"
            shutil.copytree(interrupted, run)
            store = CheckpointStore(run / "resume")
            latest, before = store.checkpoints
            whole = (latest / name).read_bytes()
            for number in range(PLACES):
                at = (len(whole) - 1) * number // (PLACES - 1)
                flipped = whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :]
                (latest / name).write_bytes(flipped if harm == "flip" else whole[:at])
                said: list[str] = []
                record, _ = next(iter(whole_checkpoints(store, said.append)))
                is_right = len(said) == 1 and str(latest / name) in said[0] and before.name.endswith(str(record.steps))
                found.count(None if is_right else f"{harm} of {name} at {at}: {said}")
            code, printed = place.run(run)
            is_right = code == 0 and "is damaged" in printed and "an earlier checkpoint" in printed
            resumed.count(None if is_right and result(run) == expected else f"{harm} of {name}: {printed[-300:]}")
    return [found, resumed]
