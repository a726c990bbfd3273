"""Compilations in a process of their own, so that what a compiler leaves behind is not where a training works."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from typing import IO

MODULE = "photofinish.backend.compiler_process"


class CompilerProcess:
    """Compiles kept programs into JAX's persistent cache, started when it is first needed.

    LLVM leaves thousands of free pieces of memory of as many sizes, and the C library looks through them for what a
    step takes. It also takes and frees more than anything else, from several threads at once, which wait for one
    another where all memory comes from one arena. A process of its own has arenas of its own, and takes everything with
    it when it is gone (`benchmarks/variants.py`, `benchmarks/start.py`).

    A process that does not start, or is killed, costs nothing but its work: whoever asked looks into the cache and
    compiles what is not there.
    """

    def __init__(self) -> None:
        self._process: subprocess.Popen[str] | None = None
        self._asked: list[str] = []
        self._done: set[str] = set()

    def start(self) -> bool:
        """Start it, where it has not been started: it takes a second until it can compile.

        Returns:
            Whether that may be: accelerators are for one process at a time.
        """
        import jax

        if jax.default_backend() != "cpu":
            return False
        if self._process is None:
            self._start()
            self._tell(dict(jax.config.values))
        return True

    def request(self, digest: str, donated: tuple[int, ...], options: dict[str, str] | None) -> bool:
        """Let it compile a program, after those that were requested before.

        Returns:
            As `start` does.
        """
        if not self.start():
            return False
        self._tell({"digest": digest, "donated": donated, "options": options})
        self._asked.append(digest)
        return True

    def _start(self) -> None:
        with contextlib.suppress(OSError):
            self._process = subprocess.Popen(  # noqa: S603  # our own module, by the interpreter we run in
                # -P: a file in the current folder must not stand in for a library of its name.
                [sys.executable, "-P", "-m", MODULE],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
                # Ctrl-C is for this process, which lets go of the other.
                start_new_session=True,
            )

    def wait(self, digest: str) -> None:
        """Wait until it is done with a program, or gone."""
        if self._process is None:
            return
        answers = self._pipe(self._process.stdout)
        while digest not in self._done and (line := answers.readline()):
            self._done.add(line.strip())

    def wait_for_all(self) -> None:
        """Wait until it is done with all programs that were requested, or gone."""
        for digest in tuple(self._asked):
            self.wait(digest)

    def stop(self) -> None:
        """Let go of it, whatever it does."""
        process, self._process = self._process, None
        self._asked.clear()
        self._done.clear()
        if process is not None:
            process.kill()
            for pipe in (process.stdin, process.stdout):
                with contextlib.suppress(BrokenPipeError):
                    self._pipe(pipe).close()
            process.wait()

    def _tell(self, fact: object) -> None:
        if self._process is not None:
            with contextlib.suppress(BrokenPipeError):
                print(json.dumps(fact), file=self._process.stdin, flush=True)

    @staticmethod
    def _pipe(pipe: IO[str] | None) -> IO[str]:
        if pipe is None:
            raise AssertionError("both pipes were asked for")
        return pipe
