"""Contestants that take turns: A B C A B C ..., each in a process of its own, the others stopped meanwhile."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

from contestants import Settings

from photofinish.backend import environment_of_neighbours

CONTESTANTS = Path(__file__).with_name("contestants.py")


class Contestant:
    """A process that runs when it is told to.

    Args:
        name: One of `contestants.NAMES`.
        settings: What is to be run.
        python: The interpreter, of an environment that has what this contestant needs.
        ready_within: Seconds after which it is given up.

    Raises:
        RuntimeError: It failed, or was not ready in time.
    """

    def __init__(
        self, name: str, settings: Settings, python: str = sys.executable, ready_within: float = 3600.0
    ) -> None:
        self.name = name
        command = [python, str(CONTESTANTS), name, json.dumps(dataclasses.asdict(settings))]
        self._errors = tempfile.TemporaryFile("w+")  # noqa: SIM115  # closed when this object is left
        self.process = subprocess.Popen(  # noqa: S603  # ourselves
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
            start_new_session=True,
            # On an accelerator, several hold its memory at once.
            env={**os.environ, **environment_of_neighbours()},
        )
        self._input, self._output = _pipes(self.process)
        patience = threading.Timer(ready_within, self.process.kill)
        patience.start()
        try:
            self.facts = self._hear()
        finally:
            patience.cancel()
        self.stop()

    def stop(self) -> None:
        """Keep it, and any threads that wait by spinning, from the cores."""
        os.kill(self.process.pid, signal.SIGSTOP)

    def turn(self) -> float:
        """Let it take a turn; return images per second."""
        os.kill(self.process.pid, signal.SIGCONT)
        self._tell("turn\n")
        heard = self._hear()
        self.stop()
        return float(heard["images"]) / float(heard["seconds"])

    def end(self) -> int:
        """End it; return the largest resident memory in bytes."""
        os.kill(self.process.pid, signal.SIGCONT)
        self._input.close()
        return int(self._hear()["peak_memory_bytes"])

    def _tell(self, line: str) -> None:
        self._input.write(line)
        self._input.flush()

    def _hear(self) -> dict[str, Any]:
        line = self._output.readline()
        if not line:
            self._errors.seek(0)
            raise RuntimeError(f"{self.name} is gone: {self._errors.read()[-2000:]}")
        heard: dict[str, Any] = json.loads(line)
        return heard

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.process.kill()
        self.process.wait()
        self._errors.close()


def _pipes(process: subprocess.Popen[str]) -> tuple[IO[str], IO[str]]:
    if process.stdin is None or process.stdout is None:
        raise RuntimeError("the process was started without pipes")
    return process.stdin, process.stdout


def take_turns(contestants: list[Contestant], rounds: int) -> dict[str, list[float]]:
    """Return each contestant's images per second in every round."""
    speeds: dict[str, list[float]] = {one.name: [] for one in contestants}
    for number in range(rounds):
        for one in contestants:
            speeds[one.name].append(one.turn())
        print(number + 1, {name: round(values[-1], 1) for name, values in speeds.items()}, flush=True)
    return speeds


def ratios(speeds: dict[str, list[float]], ours: str = "photofinish") -> dict[str, dict[str, float]]:
    """Return for every other contestant how many times faster ours is: median and quartiles over the rounds."""
    found = {}
    for name, values in speeds.items():
        if name == ours or ours not in speeds:
            continue
        each = sorted(a / b for a, b in zip(speeds[ours], values, strict=True))
        low, median, high = statistics.quantiles(each, n=4, method="inclusive")
        found[name] = {"median": median, "low": low, "high": high}
    return found
