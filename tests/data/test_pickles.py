from __future__ import annotations

import builtins
import os
import pickle
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from photofinish.data.pickles import read_pickle
from photofinish.errors import DataError


@pytest.mark.parametrize("protocol", [0, 1, 2, 3, 4])
def test_plain_dicts_with_integer_arrays_are_read_at_every_protocol(protocol: int, tmp_path: Path) -> None:
    data = np.arange(24, dtype=np.uint8).reshape(4, 6)
    path = tmp_path / "batch"
    path.write_bytes(pickle.dumps({"data": data, "labels": [1, 2, 3, 4], b"key": "text"}, protocol))
    read = read_pickle(path)
    np.testing.assert_array_equal(read["data"], data)
    assert read["labels"] == [1, 2, 3, 4]
    assert read["key"] == "text"


@pytest.mark.parametrize("dtype", ["<i8", ">i8", ">u2", "i4"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_byte_order_and_memory_order_are_kept(dtype: str, order: Any, tmp_path: Path) -> None:
    array = np.asarray(np.arange(12).reshape(3, 4), dtype=dtype, order=order)
    path = tmp_path / "batch"
    path.write_bytes(pickle.dumps({"data": array}, 2))
    np.testing.assert_array_equal(read_pickle(path)["data"], array)


def python2_batch() -> bytes:
    """Spell out what Python 2 wrote: byte strings throughout and the old module names."""
    return (
        b"\x80\x02}q\x01(U\x04dataq\x02cnumpy.core.multiarray\n_reconstruct\nq\x03cnumpy\nndarray\nq\x04K\x00"
        b"\x85U\x01b\x87Rq\x05(K\x01K\x02K\x03\x86cnumpy\ndtype\nq\x06U\x02u1K\x00K\x01\x87Rq\x07(K\x03"
        b"U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89U\x06\x00\x01\x02\xfd\xfe\xfftb"
        b"U\x06labelsq\x08]q\x09(K\x05K\x06eu."
    )


def test_what_python_2_wrote_is_read(tmp_path: Path) -> None:
    path = tmp_path / "batch"
    path.write_bytes(python2_batch())
    read = read_pickle(path)
    assert read["data"].tolist() == [[0, 1, 2], [253, 254, 255]]
    assert read["labels"] == [5, 6]


class Calls:
    """Pickles as a call of a function."""

    def __init__(self, function: Callable[..., Any], *arguments: Any) -> None:
        self.call = (function, arguments)

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return self.call


def array_pickle(shape: str, dtype: bytes, raw: bytes) -> bytes:
    """Write protocol 0, in which every part of an array's state can be forged."""
    return (
        b"(dS'data'\ncnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(I0\ntS'b'\ntR(I1\n("
        + shape.encode()
        + b"tcnumpy\ndtype\n(S'"
        + dtype
        + b"'\nI0\nI1\ntR(I3\nS'|'\nNNNI-1\nI-1\nI0\ntbI00\nS'"
        + raw
        + b"'\ntbs."
    )


def nested_tuples(depth: int) -> bytes:
    return b"\x80\x02})" + b"\x85" * depth + b"K\x01s."


HOSTILE: dict[str, Callable[[Path], bytes]] = {
    "os.system": lambda path: pickle.dumps({"data": Calls(os.system, f"touch {path}")}),
    "builtins.eval": lambda path: pickle.dumps({"data": Calls(builtins.eval, f"open({str(path)!r}, 'w')")}),
    "builtins.open": lambda path: pickle.dumps({"data": Calls(builtins.open, str(path), "w")}),
    "protocol 0 global": lambda path: f"cposix\nsystem\n(S'touch {path}'\ntR.".encode(),
    "numpy.load": lambda path: pickle.dumps({"data": Calls(np.load, str(path))}),
    "numpy.fromfile": lambda _: pickle.dumps({"data": np.fromfile}),
    "called ndarray": lambda _: b"\x80\x02cnumpy\nndarray\nJ\xff\xff\xff\x7f\x85R.",
    "object array": lambda _: pickle.dumps({"data": np.array([{}, None], dtype=object)}, 2),
    "structured array": lambda _: pickle.dumps({"data": np.zeros(2, dtype=[("a", "u1")])}, 2),
    "float array": lambda _: pickle.dumps({"data": np.zeros(3)}, 2),
    "huge shape": lambda _: array_pickle(f"I{2**40}\nI{2**20}\n", b"u1", b"abc"),
    "negative shape": lambda _: array_pickle("I-3\nI-1\n", b"u1", b"abc"),
    "shape that is no number": lambda _: array_pickle("S'a'\n", b"u1", b"abc"),
    "object dtype with bytes": lambda _: array_pickle("I1\n", b"O", b"abcdefgh"),
    "persistent id": lambda _: b"Pxyz\n.",
    "extension registry": lambda _: b"\x80\x02\x82\x01.",
    "instance": lambda path: f"(S'touch {path}'\niposix\nsystem\n.".encode(),
    "new object": lambda _: b"\x80\x02cnumpy\ndtype\n)\x81.",
    "huge memo index": lambda _: b"\x80\x02}r\xff\xff\xff\x7f.",
    "bytes in another codec": lambda _: b"c_codecs\nencode\n(S'x'\nS'zlib'\ntR.",
    "nested tuples as a key": lambda _: nested_tuples(200_000),
    "no dict": lambda _: pickle.dumps([1, 2]),
    "truncated": lambda _: pickle.dumps({"data": np.zeros(100, np.uint8)}, 2)[:-20],
    "promises more bytes": lambda _: b"\x80\x04B" + struct.pack("<I", 2**31) + b"abc.",
    "no pickle": lambda _: b"<html>not found</html>",
    "empty": lambda _: b"",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_pickle_is_refused_in_one_line_and_executes_nothing(name: str, tmp_path: Path) -> None:
    trace = tmp_path / "executed"
    path = tmp_path / "data_batch_1"
    path.write_bytes(HOSTILE[name](trace))
    with pytest.raises(DataError, match="nothing in it was executed") as caught:
        read_pickle(path)
    assert "\n" not in str(caught.value)
    assert not trace.exists()
