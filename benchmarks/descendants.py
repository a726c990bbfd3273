"""Ending what a benchmark has started, with whatever that has started in turn."""

from __future__ import annotations

import os
import signal
from pathlib import Path


def kill_all(first: int) -> None:
    """Kill a process, where it still runs, and all that it started, which lead sessions of their own."""
    below: dict[int, list[int]] = {}
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = status.read_text().rsplit(")", 1)[1].split()
        except OSError:
            continue  # it ended
        below.setdefault(int(fields[1]), []).append(int(status.parent.name))
    waiting = [first]
    while waiting:
        process = waiting.pop()
        waiting += below.get(process, [])
        try:
            os.kill(process, signal.SIGKILL)
        except ProcessLookupError:
            continue
