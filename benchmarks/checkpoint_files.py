"""Writing and reading a checkpoint's file: in one pass with its digest, against the library and a second pass.

Command: `python benchmarks/checkpoint_files.py [--folder FOLDER] [--rounds 5]`

Arrays of the size of EfficientNetV2-L with Adam (118 million parameters, thrice, float32: 1.4 GB), in 1,000 pieces. The
ways take turns; disk and digest are measured alone in each turn, too, because a shared disk is another one every
minute. Reading comes after the file was dropped from the memory of the system. Writes
`results/<date>-checkpoint-files.json`.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import safetensors.numpy
from saving import save

from photofinish.storage.download import checksum
from photofinish.storage.tensors import read_tensors, write_tensors

PARAMETERS, COPIES, PIECES = 118_000_000, 3, 1000


def _sync(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())


def _forget(path: Path) -> None:
    """Drop a file from the memory of the system."""
    with path.open("rb") as file:
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def _library_write(path: Path, arrays: dict[str, np.ndarray]) -> str:
    safetensors.numpy.save_file(arrays, path)
    digest = checksum(path, "SHA-256")
    _sync(path)
    return digest


def _library_read(path: Path, digest: str) -> None:
    if checksum(path, "SHA-256") != digest:
        raise RuntimeError("the file was changed")
    safetensors.numpy.load_file(path)


def _disk_write(path: Path, arrays: dict[str, np.ndarray]) -> str:
    with path.open("wb", buffering=0) as file:
        for array in arrays.values():
            file.write(memoryview(array).cast("B"))
        os.fsync(file.fileno())
    return ""


def _disk_read(path: Path, _: str) -> None:
    buffer = bytearray(16 << 20)
    with path.open("rb", buffering=0) as file:
        while file.readinto(buffer):
            pass


def _digest(arrays: dict[str, np.ndarray]) -> None:
    digest = hashlib.sha256()
    for array in arrays.values():
        digest.update(memoryview(array).cast("B"))


WAYS = {"two passes": (_library_write, _library_read), "one pass": (write_tensors, read_tensors),
        "disk alone": (_disk_write, _disk_read)}  # fmt: skip


def timed(action: Callable[[], object]) -> tuple[float, object]:
    """Return the seconds that an action takes, and what it returns."""
    start = time.perf_counter()
    found = action()
    return time.perf_counter() - start, found


def main() -> None:
    """Measure all ways in turns and print them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    generator = np.random.default_rng(0)
    size = PARAMETERS * COPIES // PIECES
    arrays = {f"{piece:04d}": generator.random(size, np.float32) for piece in range(PIECES)}
    rows: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        path = Path(folder) / "state.safetensors"
        for _ in range(arguments.rounds):
            rows.setdefault("digest alone", []).append(timed(lambda: _digest(arrays))[0])
            for name, (write, read) in WAYS.items():
                seconds, digest = timed(lambda write=write: write(path, arrays))
                rows.setdefault(f"{name}, write", []).append(seconds)
                _forget(path)
                seconds, _ = timed(lambda read=read, digest=digest: read(path, digest))
                rows.setdefault(f"{name}, read", []).append(seconds)
                path.unlink()
    for name, seconds in rows.items():
        print(f"{name:>20}: {statistics.median(seconds):5.2f} s  ({' '.join(f'{one:.2f}' for one in seconds)})")
    print(save("checkpoint-files", {"bytes": 4 * size * PIECES, "seconds": rows}))


if __name__ == "__main__":
    main()
