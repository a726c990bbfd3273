"""A program that is compiled while something else computes: by another process, and read by a thread of this one."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Any, Generic

from photofinish.backend.compiling import CompilerProcess
from photofinish.backend.programs import AssigningProgram, Outputs


class ProgramBehind(Generic[Outputs]):
    """A step that assigns variables, which `begin` begins to compile and a call waits for.

    Args:
        step: As for `photofinish.backend.compiled`; traced in a thread of its own.
        variables: Likewise.
        kept_as: Everything that decides the program besides the shapes of its arguments, in words.
    """

    def __init__(self, step: Callable[..., Outputs], variables: Sequence[Any], kept_as: str) -> None:
        # One of its own: what else is compiled meanwhile is not to wait for this, nor to end it. However long it takes
        # to read what was compiled, nobody waits for it here.
        self._by = CompilerProcess()
        self._program = AssigningProgram(step, variables, kept_as, by=self._by, large=0, most=sys.maxsize)
        self._thread: ThreadPoolExecutor | None = None
        self._done: Future[None] | None = None
        self._is_closed = False

    def begin(self, *arguments: Any) -> None:
        """Begin to compile, where nothing has begun it before.

        Args:
            arguments: Of the shapes and types that calls will have.
        """
        if self._done is None:
            self._thread = ThreadPoolExecutor(1, "compile behind")
            self._done = self._thread.submit(self._compile, arguments)

    def is_ready_within(self, seconds: float) -> bool:
        """Wait so long for the compilation; return whether a call need not wait, or would begin it itself."""
        return self._done is None or bool(wait([self._done], seconds).done)

    def __call__(self, *arguments: Any) -> Outputs:
        """Take the step, after the compilation."""
        if self._done is not None:
            self._done.result()
            self._done = None
            self.close()
        return self._program(*arguments)

    def close(self) -> None:
        """End a compilation that nobody waits for any more; a part that is under way here ends first, in seconds."""
        self._is_closed = True
        self._by.stop()
        if self._thread is not None:
            self._thread.shutdown()

    def _compile(self, arguments: tuple[Any, ...]) -> None:
        _, compilation = self._program.ahead(*arguments)
        if not self._is_closed:
            self._by.wait_for_all()
        # While it was waited for or traced, it may have been closed.
        if self._is_closed:
            self._by.stop()
        else:
            compilation()
