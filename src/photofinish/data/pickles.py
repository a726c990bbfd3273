"""Reading CIFAR's Python archives, which are pickles, without giving a pickle the power that pickles have.

The unpickler hands out no function of NumPy's or Python's at all: the five names that such files mention
stand for small classes of this module, which accept plain integer arrays and refuse everything else.
"""

from __future__ import annotations

import io
import math
import pickle
import pickletools
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from photofinish.errors import DataError

_OPCODES: Final = frozenset(
    """
    PROTO FRAME STOP MARK POP POP_MARK DUP NONE NEWTRUE NEWFALSE INT BININT BININT1 BININT2 LONG LONG1 FLOAT
    BINFLOAT STRING BINSTRING SHORT_BINSTRING UNICODE BINUNICODE SHORT_BINUNICODE BINUNICODE8 BINBYTES
    SHORT_BINBYTES BINBYTES8 EMPTY_LIST LIST APPEND APPENDS EMPTY_TUPLE TUPLE TUPLE1 TUPLE2 TUPLE3 EMPTY_DICT
    DICT SETITEM SETITEMS GET BINGET LONG_BINGET PUT BINPUT LONG_BINPUT MEMOIZE GLOBAL STACK_GLOBAL REDUCE
    BUILD
    """.split()  # noqa: SIM905 - fifty quoted names would be harder to read
)
_TUPLE_LIMIT = 1000
_NUMBER_TYPES = frozenset({"u1", "i1", "u2", "i2", "u4", "i4", "u8", "i8"})
_REFUSALS = (
    pickle.UnpicklingError, ValueError, TypeError, KeyError, IndexError, AttributeError, EOFError,
    OverflowError, RecursionError, MemoryError,
)  # fmt: skip


def read_pickle(path: Path) -> dict[str, Any]:
    """Read a pickled dict of plain values and integer arrays.

    Args:
        path: A file such as `data_batch_1`, written by Python 2 or 3.

    Returns:
        The dict, its keys as str.

    Raises:
        DataError: The file is damaged, or asks for anything but plain containers, numbers, text and integer
            arrays. Nothing in it has been executed.
    """
    content = path.read_bytes()
    try:
        _check_opcodes(content)
        value = _unwrap(_RestrictedUnpickler(io.BytesIO(content), encoding="latin1").load())
        if not isinstance(value, dict):
            raise TypeError(f"it holds a {type(value).__name__} and not a dict")
    except _REFUSALS as error:
        raise DataError(
            f"{path} is not a CIFAR batch ({' '.join(str(error).split())}); nothing in it was executed: "
            "fetch the official archive again"
        ) from error
    return {key.decode("latin1") if isinstance(key, bytes) else str(key): item for key, item in value.items()}


def _check_opcodes(content: bytes) -> None:
    """Walk through the pickle without executing it."""
    tuples = 0
    for opcode, argument, _ in pickletools.genops(content):
        if opcode.name not in _OPCODES:
            raise pickle.UnpicklingError(f"it uses the opcode {opcode.name}")
        # The unpickler's memo is an array: one huge index would allocate gigabytes.
        if "PUT" in opcode.name and argument is not None and int(argument) > len(content):
            raise pickle.UnpicklingError("it has a memo index beyond its own length")
        # Hashing a tuple recurses in C: a hundred thousand nested ones as a key would overflow the stack.
        tuples += opcode.name.startswith("TUPLE")
    if tuples > _TUPLE_LIMIT:
        raise pickle.UnpicklingError("it has more tuples than any array needs")


class _Named:
    """Something that a pickle may mention but not call."""


class _Dtype:
    """Stands for `numpy.dtype`: one of the integer types, in either byte order."""

    def __init__(self, code: object, *_: object) -> None:
        if code not in _NUMBER_TYPES:
            raise pickle.UnpicklingError(f"it has an array of type {code!r}")
        self.value = np.dtype(str(code))

    def __setstate__(self, state: tuple[object, ...]) -> None:
        order, *structure = state[1:5]
        if order not in {"<", ">", "|", "="} or any(part is not None for part in structure):
            raise pickle.UnpicklingError("it has an array of a structured type")
        if order in {"<", ">"}:
            self.value = self.value.newbyteorder(order)


class _Array:
    """Stands for what `_reconstruct` returns: an array, once its state has been checked."""

    def __init__(self, *_: object) -> None:
        self.value: NDArray[Any] = np.empty(0, dtype=np.uint8)

    def __setstate__(self, state: tuple[object, ...]) -> None:
        _, shape, dtype, fortran, raw = state
        if isinstance(raw, str):
            raw = raw.encode("latin1")
        if not isinstance(dtype, _Dtype) or not isinstance(raw, bytes) or not isinstance(shape, tuple):
            raise pickle.UnpicklingError("it has an array that is not made of plain integers")
        if not all(isinstance(size, int) and size >= 0 for size in shape):
            raise pickle.UnpicklingError(f"it has an array of shape {shape!r}")
        if math.prod(shape) * dtype.value.itemsize != len(raw):
            raise pickle.UnpicklingError(f"it has an array of shape {shape} with {len(raw)} bytes")
        flat = np.frombuffer(raw, dtype=dtype.value)
        self.value = flat.reshape(shape, order="F" if fortran else "C")


def _encode(text: object, encoding: object) -> bytes:
    """Stands for `_codecs.encode`, by which Python 3 writes bytes in Python 2's protocol."""
    if not isinstance(text, str) or encoding != "latin1":
        raise pickle.UnpicklingError(f"it has bytes in the encoding {encoding!r}")
    return text.encode("latin1")


_NAMES: Final[dict[tuple[str, str], Any]] = {
    ("numpy.core.multiarray", "_reconstruct"): _Array,
    ("numpy._core.multiarray", "_reconstruct"): _Array,
    ("numpy", "ndarray"): _Named(),
    ("numpy", "dtype"): _Dtype,
    ("_codecs", "encode"): _encode,
}


class _RestrictedUnpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str, /) -> Any:
        try:
            return _NAMES[module, name]
        except KeyError:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}") from None


def _unwrap(value: Any) -> Any:
    """Put arrays in place of what stood for them, at the top level and in a dict's values."""
    if isinstance(value, _Array):
        return value.value
    if isinstance(value, dict):
        return {key: item.value if isinstance(item, _Array) else item for key, item in value.items()}
    return value
