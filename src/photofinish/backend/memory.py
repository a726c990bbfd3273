"""Freed memory that a process keeps, so that the next step need not have it cleared again by the kernel."""

from __future__ import annotations

import contextlib
import ctypes
import functools
import platform
from collections.abc import Iterator
from xml.etree import ElementTree

# Parameters of mallopt(3), from glibc's malloc.h.
M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_MAX, M_ARENA_MAX = -1, -2, -4, -8
NEVER = -1
PAD = 16 << 20
# Bytes: from where a list holds several sizes, to where pieces are worth having.
FRAGMENT = range(1 << 10, 1 << 22)
# Bytes, more than a thread keeps for itself: taking so much sorts what was freed into the lists.
SORTED_BY = 2048
# What is cut off a piece that is taken is a smaller piece.
PASSES = 4


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


@contextlib.contextmanager
def fragments_aside() -> Iterator[None]:
    """Around a compilation: give back what the compiler leaves free, and let nothing look for memory there any more.

    LLVM leaves thousands of free pieces of as many sizes. glibc keeps those of more than some kilobytes in lists sorted
    by size, which it walks for each piece that is taken or was freed, while other threads wait: a step then takes
    longer in the process that compiled it than in one that read it from the cache. The pieces' pages go back to the
    kernel, and the pieces themselves, now little more than addresses, are taken until the next compilation, which may
    use them again. A part of the difference is left (`benchmarks/variants.py` has both).
    """
    if not keep_freed_memory():
        yield
        return
    library = ctypes.CDLL(None)
    library.malloc.restype = ctypes.c_void_p
    library.malloc.argtypes = (ctypes.c_size_t,)
    library.free.argtypes = (ctypes.c_void_p,)
    while _aside:
        library.free(_aside.pop())
    yield
    library.malloc_trim(0)
    library.free(library.malloc(SORTED_BY))
    for _ in range(PASSES):
        # What malloc returns is the smallest that fits, so every piece of a list in turn.
        for smallest, count in _free_pieces(library):
            _aside.extend(library.malloc(smallest - ctypes.sizeof(ctypes.c_size_t)) for _ in range(count))


_aside: list[int] = []


def _free_pieces(library: ctypes.CDLL) -> list[tuple[int, int]]:
    """Return for each list of free pieces of sizes in `FRAGMENT` the smallest size and how many it holds."""
    library.open_memstream.restype = ctypes.c_void_p
    library.malloc_info.argtypes = (ctypes.c_int, ctypes.c_void_p)
    library.fclose.argtypes = (ctypes.c_void_p,)
    content, length = ctypes.c_char_p(), ctypes.c_size_t()
    stream = library.open_memstream(ctypes.byref(content), ctypes.byref(length))
    library.malloc_info(0, stream)
    library.fclose(stream)
    described = ElementTree.fromstring(content.value or b"<malloc/>")  # noqa: S314  # our own C library wrote it
    library.free(content)
    # The last three bits of a size are flags.
    lists = [
        (int(one.attrib["from"]) & ~7, int(one.attrib["to"]) & ~7, int(one.attrib["count"]))
        for one in described.iterfind("heap[@nr='0']/sizes/size")
    ]
    return [(smallest, count) for smallest, largest, count in lists if smallest in FRAGMENT and largest in FRAGMENT]
