"""Reading `.safetensors` files: our own, whose names are those of variables, and timm's EfficientNetV2."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
from numpy.typing import NDArray

from photofinish.catalog.stored import Arrays, StoredArray
from photofinish.errors import WeightsError

# bfloat16 and the eight-bit formats have no NumPy type.
READABLE = frozenset({"F64", "F32", "F16", "I64", "I32", "I16", "I8", "U8", "U32", "U64", "BOOL"})


@contextlib.contextmanager
def open_tensors(path: Path) -> Iterator[Arrays]:
    """Open a file and list its arrays by the names they have there.

    Raises:
        WeightsError: It is no such file, or holds numbers that cannot be read here.
    """
    with contextlib.ExitStack() as stack:
        try:
            file = stack.enter_context(safetensors.safe_open(path, framework="numpy"))
            parts = {name: file.get_slice(name) for name in file.keys()}  # noqa: SIM118  # it is no dictionary
        except (OSError, safetensors.SafetensorError) as error:
            raise WeightsError(f"{path} cannot be read as a .safetensors file: {error}") from error
        unreadable = [
            f"{name} is {part.get_dtype()}" for name, part in parts.items() if part.get_dtype() not in READABLE
        ]
        if unreadable:
            raise WeightsError(f"{path} cannot be read: {unreadable[0]}; save its tensors as float32")
        yield {
            name: StoredArray(tuple(part.get_shape()), functools.partial(_read, file, name))
            for name, part in parts.items()
        }


def _read(file: Any, name: str) -> NDArray[Any]:
    tensor: NDArray[Any] = file.get_tensor(name)
    # float16 and float64 become what the network computes with; whole numbers stay as they are.
    return tensor.astype(np.float32) if tensor.dtype.kind == "f" else tensor
