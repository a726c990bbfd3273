"""Programs that a process will need, read by threads while it still imports, builds and opens.

The second seed of a model needs the programs of the first one. Which these are is only known for certain when its
network has been built and every program asked for by its digest; until then one of two cores would wait. So whoever
knows what a process will do names it, and what the last process of that name needed is read ahead. A program is still
asked for by the digest of everything that decides it: one that was foreseen wrongly is never used.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from pydantic import BaseModel, TypeAdapter, ValidationError

from photofinish.backend.choice import active, found_for_another, keeps_programs
from photofinish.backend.exported import lowered_ahead
from photofinish.backend.options import compiler_options
from photofinish.storage.programs import read_program, write_program


class Needed(BaseModel, frozen=True):
    """A program that a process needed.

    Attributes:
        digest: Under which it is kept.
        donated: Places of the arguments whose memory it may use for what it returns.
        soon: As for `compiler_options`.
    """

    digest: str
    donated: tuple[int, ...]
    soon: bool


Count = Callable[[], None]
LIST = TypeAdapter(list[Needed])


class Foreseen:
    """What this process will need, and what it did need."""

    def __init__(self) -> None:
        self._digest: str | None = None
        self._expected: list[Needed] = []
        self._needed: list[Needed] = []
        self._programs: dict[str, Future[tuple[Any, Future[Count]]]] = {}
        # Lowering is Python's work and reading is not, so that both go on at once.
        self._lowering = ThreadPoolExecutor(1, "foreseen lowering")
        self._reading = ThreadPoolExecutor(1, "foreseen reading")

    def begin(self, name: str) -> None:
        """Begin to read what the last process of this name needed.

        Args:
            name: In words, everything that decides what this process computes first.
        """
        if not keeps_programs(active()):
            return
        # What the threads use must have been imported: they work while this one imports other things.
        import jax.export  # noqa: F401

        self._digest = hashlib.sha256(name.encode()).hexdigest()
        with contextlib.suppress(ValidationError):
            self._expected = LIST.validate_json(read_program(self._digest) or b"[]")
        for one in self._expected:
            self._programs[one.digest] = self._lowering.submit(_lower, one, self._reading)

    def take(self, digest: str) -> tuple[Any, Callable[[], None]] | None:
        """Return a program that is read ahead, and what waits until it is, or None where it is not."""
        lowered = self._programs.pop(digest, None)
        if lowered is None or lowered.cancelled() or lowered.exception() is not None:
            # Whatever is wrong, whoever needs the program will find out now, and say.
            return None
        program, reading = lowered.result()

        def wait() -> None:
            with contextlib.suppress(Exception):
                reading.result()()

        return program, wait

    def note(self, digest: str, donated: tuple[int, ...], *, soon: bool) -> None:
        """Note that this process needs a program.

        Args:
            digest: As of `Needed`.
            donated: Likewise.
            soon: Likewise.
        """
        if self._digest is not None:
            self._needed.append(Needed(digest=digest, donated=donated, soon=soon))

    def end(self) -> None:
        """Keep what has been needed so far for the next process of the same name; note and read nothing more."""
        if self._digest is not None and self._needed != self._expected:
            write_program(self._digest, LIST.dump_json(self._needed))
        self._digest = None
        self._needed, self._expected = [], []
        self.close()

    def close(self) -> None:
        """Give up what nobody has asked for: whoever ends early does not wait for it."""
        for one in self._programs.values():
            one.cancel()
        self._programs.clear()


def _lower(one: Needed, reading: ThreadPoolExecutor) -> tuple[Any, Future[Count]]:
    """Read the portable form of a program, and begin to read what was compiled of it."""
    content = read_program(one.digest)
    if content is None:
        raise LookupError(one.digest)
    program, lowered = lowered_ahead(content, one.donated, compiler_options(soon=one.soon))
    return program, reading.submit(_read, lowered)


def _read(lowered: Any) -> Count:
    """Read what a program was compiled to; return what counts that for whoever takes it."""
    with found_for_another() as count:
        lowered.compile()
    return count


foreseen = Foreseen()
