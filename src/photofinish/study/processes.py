"""Worker processes: started in a session of their own, none left behind, standard output kept for messages."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TextIO

# A worker that is told to end saves its training first.
SECONDS_TO_STOP = 25.0


@contextlib.contextmanager
def worker_process(
    module: str, errors: int, environment: Mapping[str, str] | None = None, arguments: Sequence[str] = ()
) -> Iterator[subprocess.Popen[bytes]]:
    """Start one of our modules in its own process and session, and leave none behind.

    The terminal sends Ctrl-C to every process of its foreground group; the worker is to be stopped by us, once.

    Args:
        module: Its full name.
        errors: Descriptor that its standard error goes to.
        environment: Variables beside those of this process.
        arguments: Of its command line.
    """
    process = subprocess.Popen(  # noqa: S603  # our own module, by the interpreter we run in
        # -P: a file in the current folder must not stand in for a library of its name.
        [sys.executable, "-P", "-m", module, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=errors,
        start_new_session=True,
        env=os.environ | {"TF_CPP_MIN_LOG_LEVEL": "2"} | dict(environment or {}),
    )
    with ending(process):
        yield process


@contextlib.contextmanager
def ending(process: subprocess.Popen[bytes]) -> Iterator[subprocess.Popen[bytes]]:
    """End a process at last, if it has not ended by itself; it is given time to save what it does."""
    try:
        yield process
    finally:
        try:
            if process.poll() is None:
                process.terminate()
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(SECONDS_TO_STOP)
        finally:
            # Whoever interrupts once more does not want to wait.
            if process.poll() is None:
                process.kill()
                process.wait()
            for pipe in (process.stdin, process.stdout):
                if pipe is not None:
                    with contextlib.suppress(BrokenPipeError):
                        pipe.close()


def exit_in_words(code: int) -> str:
    """Name the signal behind a negative exit code; the system kills what outgrows its memory with SIGKILL.

    Examples:
        >>> exit_in_words(3), exit_in_words(-9)
        ('exit code 3', 'SIGKILL (often a sign of too little memory)')
    """
    if code >= 0:
        return f"exit code {code}"
    name = signal.Signals(-code).name if -code in set(signal.Signals) else f"signal {-code}"
    return f"{name} (often a sign of too little memory)" if name == "SIGKILL" else name


def keep_output_for_messages(log: Path) -> TextIO:
    """Send what libraries print to the log, and return the real standard output."""
    log.parent.mkdir(parents=True, exist_ok=True)
    messages = os.fdopen(os.dup(1), "w", encoding="utf-8")
    with log.open("w", encoding="utf-8") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    return messages


def first_line(error: Exception) -> str:
    """Return the first line of what an error says."""
    return next(iter(str(error).strip().splitlines()), "no message")
