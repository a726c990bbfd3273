"""Freed memory that a process keeps, so that the next step need not have it cleared again by the kernel."""

from __future__ import annotations

import ctypes
import functools
import platform

# Parameters of mallopt(3), from glibc's malloc.h.
M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_MAX, M_ARENA_MAX = -1, -2, -4, -8
NEVER = -1
PAD = 16 << 20


@functools.cache
def keep_freed_memory() -> bool:
    """Let the C library keep what is freed instead of giving it back to the kernel, in this process.

    A step of a network takes hundreds of megabytes and frees them again. glibc has the kernel map large pieces anew
    every time, and the kernel clears them page by page (`benchmarks/variants.py` measures what that takes of a step).
    All threads take from one arena: others hold 64 MB at most, and larger pieces would be mapped after all.

    Returns:
        Whether the C library is one that can be told so.
    """
    if platform.libc_ver()[0] != "glibc":
        return False
    library = ctypes.CDLL(None)
    return all(
        library.mallopt(parameter, value)
        for parameter, value in ((M_ARENA_MAX, 1), (M_MMAP_MAX, 0), (M_TRIM_THRESHOLD, NEVER), (M_TOP_PAD, PAD))
    )
