"""How much memory may be used, how much is used, and what a search for the largest batch found."""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from photofinish.config.base import Settings
from photofinish.config.memory import Probed
from photofinish.runs.environment import peak_resident_bytes

SHARE_OF_FREE = 0.8
"""The rest is for what a run needs besides its steps: checkpoints, validation, the process that started it."""
SECONDS_BETWEEN_LOOKS = 0.02


class Trial(Settings):
    """Training steps that were taken to see whether they fit.

    Attributes:
        model: The model as it was asked for.
        pictures: How many passed through it at once.
        peak_memory_bytes: Largest resident memory meanwhile, or device memory where there is a device; None where the
            process did not live to tell.
        problem: Why they do not fit, or None where they do.
    """

    model: str
    pictures: int
    peak_memory_bytes: int | None = None
    problem: str | None = None


class MemoryRecord(Settings):
    """What was found to fit into memory.

    Attributes:
        asked: The setting whose largest value was looked for.
        found: That value; the batch itself where the whole batch fits.
        limit_bytes: What a process was allowed of the computer's memory.
        trials: What was tried, in order.
    """

    asked: Probed
    found: int
    limit_bytes: int
    trials: tuple[Trial, ...]


def available_bytes(root: Path = Path("/")) -> int:
    """Return how much more memory this process and its children could use before the system would kill one of them.

    Args:
        root: Where the files of the system begin.
    """
    found = [_free_of_machine(root), *_free_of_groups(root)]
    return max(0, min(found))


def _free_of_machine(root: Path) -> int:
    with contextlib.suppress(OSError, ValueError):
        for line in (root / "proc/meminfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("MemAvailable:"):
                return 1024 * int(line.split()[1])
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") - peak_resident_bytes()


def _free_of_groups(root: Path) -> Iterator[int]:
    """Yield what each control group above this process has left, of versions 1 and 2."""
    names = {"memory.max": "memory.current", "memory.limit_in_bytes": "memory.usage_in_bytes"}
    with contextlib.suppress(OSError):
        for line in (root / "proc/self/cgroup").read_text(encoding="utf-8").splitlines():
            _, controllers, path = line.split(":", 2)
            if controllers not in {"", "memory"}:
                continue
            top = root / "sys/fs/cgroup" / controllers
            inside = top / path.strip("/")
            for folder in (inside, *inside.parents):
                if not folder.is_relative_to(top):
                    break
                for limit, used in names.items():
                    # `max` is no number: there is no limit.
                    with contextlib.suppress(OSError, ValueError):
                        yield int((folder / limit).read_text()) - int((folder / used).read_text())


def lower_limits(share: float = SHARE_OF_FREE) -> None:
    """Lower the limits that whoever started this process set it (`ulimit`) to a share of what they were."""
    for name in (resource.RLIMIT_AS, resource.RLIMIT_DATA):
        soft, hard = resource.getrlimit(name)
        if soft != resource.RLIM_INFINITY:
            resource.setrlimit(name, (int(soft * share), hard))


class MemoryWatch:
    """Ends this process, as the system would, when its resident memory outgrows a limit.

    Args:
        limit_bytes: The limit.
    """

    def __init__(self, limit_bytes: int) -> None:
        self.limit_bytes = limit_bytes
        self._peak = 0
        with contextlib.suppress(OSError):
            # Should memory run out before we look, this process is the one to go.
            Path("/proc/self/oom_score_adj").write_text("1000")
        threading.Thread(target=self._watch, name="memory", daemon=True).start()

    def take_peak(self) -> int:
        """Return the largest resident memory since this was last asked."""
        peak, self._peak = max(self._peak, resident_bytes()), 0
        return peak

    def _watch(self) -> None:
        while True:
            now = resident_bytes()
            self._peak = max(self._peak, now)
            if now > self.limit_bytes:
                print(f"{now:,} bytes of memory are in use, {self.limit_bytes:,} are allowed", file=sys.stderr)
                sys.stderr.flush()
                os.kill(os.getpid(), signal.SIGKILL)
            time.sleep(SECONDS_BETWEEN_LOOKS)


def resident_bytes() -> int:
    """Return the resident memory of this process; where the system does not tell, the largest so far."""
    try:
        return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return peak_resident_bytes()
