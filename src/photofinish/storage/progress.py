"""How long work tells whoever started it how far it has come."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """Called now and then with what is being done and how much of it is done.

    The unit is whatever the stage counts: bytes for a download, pictures for decoding.
    """

    def __call__(self, stage: str, done: int, total: int | None, /) -> None:
        """Show progress.

        Args:
            stage: What is being done, for example `decoding pictures`.
            done: How much of it is done.
            total: How much there is, or None where nobody knows.
        """


def silent(stage: str, done: int, total: int | None, /) -> None:
    """Show nothing."""
