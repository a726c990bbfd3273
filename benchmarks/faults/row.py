"""What a fault of the campaign came to."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from photofinish.errors import PhotofinishError


@dataclass(frozen=True)
class Row:
    """A fault that was really made, and what became of it.

    Attributes:
        number: Of the fault in the campaign.
        fault: What was done.
        figure: What was seen, with how often out of how many.
        passed: Whether that is what must be seen.
    """

    number: int
    fault: str
    figure: str
    passed: bool


def refused_in_words(action: Callable[[], object]) -> bool:
    """Return whether an action is refused as users are told of it; any other error goes on."""
    try:
        action()
    except PhotofinishError:
        return True
    return False


def show(rows: Sequence[Callable[[], Row]]) -> int:
    """Make the faults one after the other, print what became of them, and return how many went wrong."""
    wrong = 0
    for make in rows:
        row = make()
        wrong += not row.passed
        print(f"{row.number:>3}  {'pass' if row.passed else 'FAIL'}  {row.fault}: {row.figure}", flush=True)
    return wrong
