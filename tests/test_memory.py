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
