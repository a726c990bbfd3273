"""Memory that is freed stays with the process."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

# In a thread, as XLA allocates; the kernel counts every page that it has to clear.
FAULTS = """
import ctypes, resource, threading
from photofinish.backend.memory import keep_freed_memory

library = ctypes.CDLL(None)
library.malloc.restype, library.malloc.argtypes = ctypes.c_void_p, [ctypes.c_size_t]
library.free.argtypes = [ctypes.c_void_p]
found = []

def work():
    for _ in range(3):
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        piece = library.malloc({megabytes} << 20)
        ctypes.memset(piece, 1, {megabytes} << 20)
        library.free(piece)
        found.append(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)

if {kept}:
    assert keep_freed_memory()
thread = threading.Thread(target=work)
thread.start()
thread.join()
print(found[-1])
"""

# As a compiler does, leaves free every other one of many pieces, of as many sizes.
FRAGMENTS = """
import ctypes, os, re
from photofinish.backend import memory

assert memory.keep_freed_memory()
library = ctypes.CDLL(None)
library.malloc.restype, library.malloc.argtypes = ctypes.c_void_p, [ctypes.c_size_t]
library.free.argtypes = [ctypes.c_void_p]

def resident():
    return int(re.search(r"VmRSS:\\s+(\\d+)", open("/proc/self/status").read())[1]) // 1024

def compile():
    pieces = []
    for place in range(8000):
        size = 1024 + (place * 7919) % 65536
        pieces.append(library.malloc(size))
        ctypes.memset(pieces[-1], 1, size)
    for piece in pieces[::2]:
        library.free(piece)
    return pieces[1::2]

def free():
    return sum(count for _, count in memory._free_pieces(library))

if {aside}:
    with memory.fragments_aside():
        pieces = compile()
else:
    pieces = compile()
first, left = resident(), free()
for piece in pieces:
    library.free(piece)
for _ in range(4):
    with memory.fragments_aside():
        for piece in compile():
            library.free(piece)
print(left, first, resident())
"""


def fragments(*, aside: bool) -> list[int]:
    done = subprocess.run(
        [sys.executable, "-c", FRAGMENTS.format(aside=aside)], capture_output=True, text=True, check=True
    )
    return [int(number) for number in done.stdout.split()]


def faults(megabytes: int, *, kept: bool) -> int:
    program = FAULTS.format(megabytes=megabytes, kept=kept)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return int(done.stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc can be told to keep what is freed")
@pytest.mark.parametrize("megabytes", [100, 200])
def test_large_pieces_are_not_cleared_anew_in_any_thread(megabytes: int) -> None:
    pages = megabytes << 8
    assert faults(megabytes, kept=True) < pages / 20
    assert faults(megabytes, kept=False) > pages / 2


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc says what is free")
def test_what_a_compiler_leaves_is_not_searched_goes_back_and_is_used_by_the_next() -> None:
    left, resident, afterwards = fragments(aside=True)
    left_otherwise, resident_otherwise, _ = fragments(aside=False)
    assert left_otherwise > 2000
    assert left < 100
    # Half of 8,000 pieces of 33 kB on average is 130 MB, most of it in whole pages.
    assert resident < resident_otherwise - 80
    assert afterwards < resident_otherwise
