"""Programs that a process will need, read by threads while it still imports, builds and opens.

The second seed of a model needs the programs of the first one. Which these are is only known for certain when its
network has been built and every program asked for by its digest; until then one of two cores would wait. So whoever
knows what a process will do names it, and what the last process of that name needed is read ahead. A program is still
asked for by the digest of everything that decides it: one that was foreseen wrongly is never used.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from pydantic import BaseModel, Field, TypeAdapter, ValidationError

from photofinish.backend.choice import active, found_for_another, keeps_programs
from photofinish.backend.exported import lowered_ahead
from photofinish.backend.options import compiler_options, settings_of_jax
from photofinish.storage.programs import read_program, write_program


class Needed(BaseModel, frozen=True):
    """A program that a process needed.

    Attributes:
        digest: Under which it is kept.
        donated: Places of the arguments whose memory it may use for what it returns.
        soon: As for `compiler_options`.
    """

    digest: str = Field(pattern="^[0-9a-f]{64}$")
    donated: tuple[int, ...]
    soon: bool


# When it first happens. While a thread lowers, another imports other things, and neither must find what the other has
# imported in part.
IMPORTED_BY_LOWERING = (
    "jax.export",
    "jaxlib.mlir.dialects.builtin",
    "scipy.linalg.cython_blas",
    "scipy.linalg.cython_lapack",
)
CountAsFound = Callable[[], None]
NEEDED = TypeAdapter(list[Needed])


class Foreseen:
    """What this process will need, and what it did need."""

    def __init__(self) -> None:
        self._digest: str | None = None
        self._expected: list[Needed] = []
        self._needed: dict[str, Needed] = {}
        self._programs: dict[str, Future[tuple[Any, Future[CountAsFound]]]] = {}
        self._threads: list[ThreadPoolExecutor] = []

    def begin(self, name: Callable[[], str]) -> bool:
        """Begin to read what the last process of this name needed.

        Args:
            name: Returns in words everything that decides what this process computes first, but for the settings of the
                library that computes.

        Returns:
            Whether that is known, as it is not of the first process of a name.
        """
        if not keeps_programs(active()):
            return False
        self._digest = hashlib.sha256(repr((name(), settings_of_jax())).encode()).hexdigest()
        with contextlib.suppress(ValidationError):
            self._expected = NEEDED.validate_json(read_program(self._digest) or b"[]")
        if not self._expected:
            return False
        for module in IMPORTED_BY_LOWERING:
            importlib.import_module(module)
        # Lowering is Python's work and reading is not, so that both go on at once.
        lowering, reading = ThreadPoolExecutor(1, "foreseen lowering"), ThreadPoolExecutor(1, "foreseen reading")
        self._threads = [lowering, reading]
        for one in self._expected:
            self._programs[one.digest] = lowering.submit(_lower, one, reading)
        return True

    def take(self, digest: str) -> tuple[Any, Callable[[], None]] | None:
        """Return a program that is read ahead, and what waits until it is, or None where it is not."""
        lowered = self._programs.pop(digest, None)
        if lowered is None or lowered.exception() is not None:
            # Whatever is wrong, whoever needs the program will find out now, and say.
            return None
        program, reading = lowered.result()

        def wait() -> None:
            # Cancelled or failed: whoever waits compiles it.
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
            self._needed[digest] = Needed(digest=digest, donated=donated, soon=soon)

    def end(self) -> None:
        """Keep what has been needed so far for the next process of the same name; note and read nothing more."""
        needed = list(self._needed.values())
        if self._digest is not None and needed != self._expected:
            write_program(self._digest, NEEDED.dump_json(needed))
        self._digest = None
        self._expected, self._needed = [], {}
        self.close()

    def close(self) -> None:
        """Read nothing more; the program under way in each thread ends first."""
        for thread in self._threads:
            thread.shutdown(wait=False, cancel_futures=True)
        self._programs.clear()


def _lower(one: Needed, reading: ThreadPoolExecutor) -> tuple[Any, Future[CountAsFound]]:
    """Read the portable form of a program, and begin to read what was compiled of it."""
    content = read_program(one.digest)
    if content is None:
        raise LookupError(one.digest)
    program, lowered = lowered_ahead(content, one.donated, compiler_options(soon=one.soon))
    return program, reading.submit(_read, lowered)


def _read(lowered: Any) -> CountAsFound:
    """Read what a program was compiled to; return what counts that for whoever takes it."""
    with found_for_another() as count:
        lowered.compile()
    return count


foreseen = Foreseen()
