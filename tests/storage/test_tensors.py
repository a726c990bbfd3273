"""Arrays are written and read in one pass with their digest, in a format that its library reads too."""

from __future__ import annotations

import hashlib
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest
import safetensors.numpy

from photofinish.storage import tensors
from photofinish.storage.sealed import DamagedError
from photofinish.storage.tensors import read_tensors, write_tensors

KINDS = ("bool", "uint8", "int8", "uint16", "int16", "uint32", "int32", "uint64", "int64", "float16", "float32",
         "float64")  # fmt: skip
ARRAYS = {f"of {kind}/\u00e9": np.arange(15).reshape(3, 5).astype(kind) for kind in KINDS} | {
    "scalar": np.array(7, np.uint32),
    "nothing": np.zeros((0, 4), np.float32),
    "transposed": np.arange(12, dtype=np.float32).reshape(3, 4).T,
    "bfloat16": np.arange(6).astype(ml_dtypes.bfloat16),
}


def as_bytes(arrays: dict[str, np.ndarray]) -> dict[str, tuple[object, ...]]:
    return {name: (one.dtype, one.shape, one.tobytes()) for name, one in arrays.items()}


@pytest.mark.parametrize("chunk", [1, 7, 16 << 20])
def test_what_is_read_is_what_was_written_whatever_the_chunks(
    chunk: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tensors, "_CHUNK", chunk)
    path = tmp_path / "a.safetensors"
    digest = write_tensors(path, ARRAYS)
    assert digest == hashlib.sha256(path.read_bytes()).hexdigest()
    assert as_bytes(read_tensors(path, digest)) == as_bytes(ARRAYS)


def test_the_library_reads_what_we_write(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    write_tensors(path, ARRAYS)
    assert as_bytes(safetensors.numpy.load_file(path)) == as_bytes(ARRAYS)


def test_every_flipped_bit_and_every_cut_is_found(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    digest = write_tensors(path, {"a": np.arange(6, dtype=np.float32), "b": np.array(1, np.uint8)})
    whole = path.read_bytes()
    for place in range(len(whole)):
        changed = (whole[:place] + bytes([whole[place] ^ (1 << place % 8)]) + whole[place + 1 :], whole[:place])
        for content in (*changed, whole + b"x"):
            path.write_bytes(content)
            with pytest.raises(DamagedError, match=r"a\.safetensors"):
                read_tensors(path, digest)
    path.unlink()
    with pytest.raises(DamagedError, match="No such file"):
        read_tensors(path, digest)


def test_what_was_read_may_be_changed_and_the_file_is_not(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    digest = write_tensors(path, {"a": np.zeros(3, np.float32)})
    found = read_tensors(path, digest)["a"]
    found += 1
    assert hashlib.sha256(path.read_bytes()).hexdigest() == digest
    path.unlink()
    assert found.tolist() == [1, 1, 1], "what was read outlives its file"
