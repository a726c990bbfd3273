"""Entry point: runs a verb, and turns what went wrong into one line and an exit code."""

from __future__ import annotations

import signal
import sys
from collections.abc import Sequence
from types import FrameType
from typing import Any

import typer

from photofinish.cli.app import app
from photofinish.errors import PhotofinishError

# The error that typer's parser raises for wrong arguments; newer versions bring a click of their own.
ArgumentsError: Any = typer.BadParameter.__mro__[2]
EXIT_INTERRUPTED = 130
EXIT_FAILED = 1
STOPPED_RACE = "stopped; run the same command again: a race goes on where it was"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Args:
        arguments: Without the program's name; None takes those of this process.

    Returns:
        The exit code: 0, or that of the error that was printed.
    """
    for number in (signal.SIGTERM, signal.SIGHUP):
        # nohup asks for SIGHUP to be ignored.
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _interrupt)
    try:
        code = app(list(arguments) if arguments is not None else None, standalone_mode=False)
    except ArgumentsError as error:
        error.show()
        return int(error.exit_code)
    except PhotofinishError as error:
        return _fail(str(error), error.exit_code)
    except (typer.Abort, KeyboardInterrupt):
        code = EXIT_INTERRUPTED
    except BrokenPipeError:
        return EXIT_FAILED  # whoever read our output has gone
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        return _fail(f"{where}{error.strerror or error}", EXIT_FAILED)
    if code == EXIT_INTERRUPTED:  # typer may have turned the interrupt into this code
        verb = next(iter(sys.argv[1:] if arguments is None else arguments), "")
        return _fail(STOPPED_RACE if verb == "compare" else "stopped", EXIT_INTERRUPTED)
    return code if isinstance(code, int) else 0


def _fail(message: str, code: int) -> int:
    sys.stdout.flush()
    from photofinish.report.names import printable

    # A file may be called what it likes.
    typer.echo(f"photofinish: {printable(' '.join(message.split()))}", err=True)
    return code


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    """Treat a request to terminate or a closed terminal like Ctrl-C: stop the running cell, keep the finished ones."""
    raise KeyboardInterrupt
