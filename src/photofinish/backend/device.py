"""What the device that computes is, and what it is doing."""

from __future__ import annotations

import math
import threading
from typing import Any

import numpy as np
from numpy.typing import NDArray

from photofinish.backend.choice import active, on_cpu

# Of an accelerator's memory, so much may be pictures: a step needs the rest.
LARGEST_SHARE = 0.25
# Bytes. What begins at a multiple of it XLA takes on a processor as it is.
ALIGNMENT = 64
# What JAX, TensorFlow and torch say when memory runs out.
SAYS_OUT_OF_MEMORY = (
    "RESOURCE_EXHAUSTED", "ResourceExhausted", "OutOfMemory", "ut of memory", "bad_alloc", "t allocate memory",
)  # fmt: skip
_zeros: list[NDArray[np.float32]] = []
_zeros_lock = threading.Lock()


def unset(shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Return an array to be filled, so placed in memory that JAX computes with it on a processor without copying it."""
    needed = math.prod(shape) * np.dtype(np.float32).itemsize
    memory = np.empty(needed + ALIGNMENT, np.uint8)
    begin = -memory.ctypes.data % ALIGNMENT
    return memory[begin : begin + needed].view(np.float32).reshape(shape)


def zeros(shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Return zeros to begin with, not to be changed.

    Under JAX on a processor all of them are the same memory, which costs nothing, and a step that would work in place
    writes elsewhere the first time: what Adam keeps for EfficientNetV2-L is a gigabyte.
    """
    if active() != "jax" or not on_cpu():
        return np.zeros(shape, np.float32)
    count = math.prod(shape)
    with _zeros_lock:
        if not _zeros or _zeros[0].size < count:
            _zeros[:] = [unset((count,))]
            _zeros[0].fill(0)
            _zeros[0].flags.writeable = False
        return _zeros[0][:count].reshape(shape)


def on_device(values: NDArray[Any]) -> Any:
    """Return a tensor of these values where the backend computes; they are not to be changed after that.

    What Keras calls, `jax.numpy.asarray`, compiles a program for every shape: 0.9 of the 5 s in which EfficientNetV2-L
    was built.
    """
    if active() == "jax":
        import jax

        return jax.device_put(values)
    import keras

    return keras.ops.convert_to_tensor(values)


def resident(images: NDArray[Any]) -> Any:
    """Return pictures whose batches are gathered where the backend computes, or the same array where that is here.

    On an accelerator no batch then goes from the host to the device while a step waits for it. Under JAX only, and only
    where they leave most of the device's memory free.

    Args:
        images: (examples, ...), to be indexed by arrays of places.
    """
    if active() != "jax" or on_cpu():
        return images
    import jax

    memory = (jax.local_devices()[0].memory_stats() or {}).get("bytes_limit", 0)
    return OnDevice(images) if images.nbytes <= memory * LARGEST_SHARE else images


class OnDevice:
    """An array on the device, indexed by arrays of places there.

    Args:
        values: (examples, ...).
    """

    def __init__(self, values: NDArray[Any]) -> None:
        import jax

        self._values = jax.device_put(values)
        self._gather = jax.jit(lambda values, places: values[places])

    def __getitem__(self, places: NDArray[np.integer[Any]]) -> Any:
        """Return the values at these places; the device gathers them when it has computed what came before."""
        return self._gather(self._values, places.astype(np.int32))


def wait(value: Any) -> None:
    """Wait until the device has finished computing `value`."""
    name = active()
    if name == "jax":
        import jax

        jax.block_until_ready(value)
    elif name == "tensorflow":
        import tensorflow

        tensorflow.test.experimental.sync_devices()
    elif name == "torch":
        import torch

        if torch.cuda.is_available():
            torch.cuda.synchronize()


def is_idle(value: Any) -> bool:
    """Return whether the device has nothing left to compute, so that whatever the host does now keeps it waiting.

    JAX computes while the host goes on, on processors too; the others do so on accelerators only. TensorFlow does not
    tell what an accelerator is doing: there the answer is always yes, and what follows from it an upper bound.

    Args:
        value: What was dispatched last, or None where nothing was.
    """
    if value is None:
        return True
    name = active()
    if name == "jax":
        import jax

        return all(leaf.is_ready() for leaf in jax.tree.leaves(value))
    if name == "tensorflow" or on_cpu():
        return True
    import torch

    return bool(torch.cuda.current_stream().query())


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether an error says that memory ran out, on the accelerator or here, whichever library says so.

    Examples:
        >>> is_out_of_memory(MemoryError()), is_out_of_memory(RuntimeError("RESOURCE_EXHAUSTED: Out of memory"))
        (True, True)
        >>> is_out_of_memory(ValueError("too few memories"))
        False
    """
    said = f"{type(error).__name__}: {error}"
    return isinstance(error, MemoryError) or any(words in said for words in SAYS_OUT_OF_MEMORY)


def peak_device_memory() -> int | None:
    """Return the largest number of bytes in use on the accelerator so far, or None where there is none."""
    name = active()
    if on_cpu():
        return None
    if name == "jax":
        import jax

        return int((jax.local_devices()[0].memory_stats() or {}).get("peak_bytes_in_use", 0)) or None
    if name == "tensorflow":
        import tensorflow

        return int(tensorflow.config.experimental.get_memory_info("GPU:0")["peak"])
    import torch

    return int(torch.cuda.max_memory_allocated())


def device_name() -> str:
    """Return the name of the device that computes, for the record."""
    name = active()
    if on_cpu():
        return "cpu"
    if name == "jax":
        import jax

        return str(jax.local_devices()[0].device_kind)
    if name == "tensorflow":
        import tensorflow

        device = tensorflow.config.list_physical_devices("GPU")[0]
        return str(tensorflow.config.experimental.get_device_details(device).get("device_name", "GPU"))
    import torch

    return str(torch.cuda.get_device_name())
