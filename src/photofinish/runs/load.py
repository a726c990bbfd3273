"""What else the machine was doing while something was timed."""

from __future__ import annotations

import contextlib
import os
import time
from pathlib import Path

from photofinish.config.base import Settings
from photofinish.runs.environment import usable_cores

# Linux counts here, for each core, what it did since it was started.
_CORES_FILE = Path("/proc/stat")
# Columns of a core's line: user, nice, system, idle, waiting for a disk, interrupts, soft interrupts, steal (a virtual
# machine's core was given to another). What follows is contained in the first two.
_COLUMNS = 8
_AT_REST = (3, 4)
HEAVY_SHARE = 0.1
HEAVY_FACTOR, HEAVY_EXTRA = 1.5, 1.0


class LoadRecord(Settings):
    """The load of the machine while something ran on it.

    The load average is the mean number of processes and threads that run or wait for a core, over about the last minute
    (`os.getloadavg`). At the end it is mostly our own doing, since a network is computed on all cores.

    Attributes:
        cores: Cores that our process may use.
        start: Load average when it began, or None where the system does not tell.
        end: Load average when it ended.
        others: Mean number of these cores that others kept busy meanwhile: other programs, and on a virtual machine its
            neighbours. None where the system does not tell.
    """

    cores: int
    start: float | None = None
    end: float | None = None
    others: float | None = None

    @property
    def is_heavy(self) -> bool:
        """Whether others took so much that times are no longer those of the machine.

        That is a tenth of the cores, where it is known what they took. Where only load averages are known, one of them
        must be above one and a half times the number of cores, and one more: our own threads make up the rest.

        Examples:
            >>> LoadRecord(cores=2, start=0.1, end=2.3, others=0.05).is_heavy
            False
            >>> LoadRecord(cores=2, start=0.1, end=3.1, others=0.9).is_heavy
            True
            >>> LoadRecord(cores=2, start=3.9, end=4.2).is_heavy
            True
        """
        if self.others is not None:
            return self.others > HEAVY_SHARE * self.cores
        return self.peak > HEAVY_FACTOR * self.cores + HEAVY_EXTRA

    @property
    def peak(self) -> float:
        """The larger of both load averages; 0 where the system does not tell."""
        return max(self.start or 0.0, self.end or 0.0)

    @property
    def evidence(self) -> str:
        """What `is_heavy` goes by, in words.

        Examples:
            >>> LoadRecord(cores=2, start=0.1, end=3.1, others=0.9).evidence
            'others kept 0.9 of 2 cores busy'
            >>> LoadRecord(cores=2, start=3.9, end=4.2).evidence
            'the load average reached 4.2 on 2 cores'
        """
        if self.others is not None:
            return f"others kept {self.others:.1f} of {self.cores} cores busy"
        return f"the load average reached {self.peak:.1f} on {self.cores} cores"


class LoadWatch:
    """Notes the load from its making to `record`.

    What others took is what all cores that we may use were busy, without the processor time of this process and of the
    processes it started that have ended.
    """

    def __init__(self) -> None:
        self._start = load_average()
        self._began = time.perf_counter()
        self._own = _own_seconds()
        self._busy = _busy_seconds()

    def record(self) -> LoadRecord:
        """Return the load since the watch was made."""
        elapsed = time.perf_counter() - self._began
        own = _own_seconds() - self._own
        busy = _busy_seconds()
        others = None
        if busy is not None and self._busy is not None and elapsed > 0:
            others = max(0.0, busy - self._busy - own) / elapsed
        return LoadRecord(cores=usable_cores(), start=self._start, end=load_average(), others=others)


def load_average() -> float | None:
    """Return the load average of about the last minute, or None where the system does not tell."""
    with contextlib.suppress(OSError, AttributeError):
        return os.getloadavg()[0]
    return None


def _own_seconds() -> float:
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def _busy_seconds() -> float | None:
    """Return the seconds that the cores we may use were busy since the machine was started, in sum."""
    try:
        lines = [line.split() for line in _CORES_FILE.read_text(encoding="ascii").splitlines()]
        mine = {f"cpu{core}" for core in os.sched_getaffinity(0)}
        cores = [[int(count) for count in line[1 : _COLUMNS + 1]] for line in lines if line and line[0] in mine]
        ticks = sum(count for core in cores for place, count in enumerate(core) if place not in _AT_REST)
        return ticks / os.sysconf("SC_CLK_TCK") if cores else None
    except (OSError, ValueError, AttributeError):
        return None
