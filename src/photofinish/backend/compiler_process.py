"""The process that compiles for another: reads which kept programs on its standard input, answers on its output.

It leaves nothing but entries in JAX's persistent cache. When its input ends, as when the other process is gone, it is
gone too, in the middle of a program if need be.
"""

from __future__ import annotations

import json
import os
import sys
from concurrent.futures import ThreadPoolExecutor

from photofinish.backend.exported import lowered_ahead
from photofinish.backend.imports import lean_imports
from photofinish.storage.programs import note_compiled, read_program

AT_ONCE = 2


def main() -> None:
    """Compile until the input ends."""
    with lean_imports():
        import jax

    for name, value in json.loads(sys.stdin.readline()).items():
        if jax.config.values[name] != value:
            jax.config.update(name, value)
    # Two at once: XLA uses all cores for a part of a program only. In threads, so that the end of the input is noticed.
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for line in sys.stdin:
            pool.submit(_compile, **json.loads(line))
        os._exit(0)


def _compile(digest: str, donated: list[int], options: dict[str, str] | None) -> None:
    try:
        content = read_program(digest)
        if content is not None:
            _, lowered = lowered_ahead(content, tuple(donated), options)
            lowered.compile()
            note_compiled(digest)
    finally:
        # Whoever asked looks into the cache, and compiles what is not there.
        # In one piece: two may answer at once.
        sys.stdout.write(f"{digest}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
