"""Errors whose message is meant for the person at the terminal.

Each message names what was wrong, where, and what to do next. The command line prints the message alone and
exits with `exit_code`; anything that is not a `PhotofinishError` is a defect of ours and keeps its traceback.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class PhotofinishError(Exception):
    """Base of all errors that a user can cause and mend."""

    exit_code = 1


class SettingsError(PhotofinishError):
    """An unknown or impossible setting, model or recipe."""

    exit_code = 2


class DataError(PhotofinishError):
    """Pictures or labels that cannot be used as they are."""


class DownloadError(PhotofinishError):
    """A file that could not be fetched, or was not the file that was expected."""


class WeightsError(PhotofinishError):
    """A weight file that does not fit the model, or that must not be read."""


class StudyError(PhotofinishError):
    """A study or run folder that belongs to something else, is in use, or is damaged."""


class TrainingError(PhotofinishError):
    """Training that cannot go on, for example because the loss is no longer a number."""


class InterruptedRunError(PhotofinishError):
    """A run that somebody stopped; the message says how to go on."""

    exit_code = 130


class StopRequestedError(Exception):
    """Somebody asked the process to end; no fault, and so none of the others."""


def nearest(word: str, possible: Iterable[str]) -> str:
    """Return a hint that names the closest of the possible words, or all of them when none is close.

    Args:
        word: What was asked for.
        possible: What exists.

    Examples:
        >>> nearest("resnet-50", ["resnet50", "mobilenetv2"])
        "did you mean 'resnet50'?"
        >>> nearest("zebra", ["resnet50", "mobilenetv2"])
        'choose one of: mobilenetv2, resnet50'
    """
    names = sorted(possible)
    close = difflib.get_close_matches(word.lower(), names, n=1, cutoff=0.6)
    if close:
        return f"did you mean '{close[0]}'?"
    return f"choose one of: {', '.join(names)}"
