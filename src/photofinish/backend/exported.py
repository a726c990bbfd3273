"""Programs in the portable form that JAX promises to read (`jax.export`): data, and no code of Python's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def jitted(function: Callable[..., Any], donated: tuple[int, ...], options: dict[str, str] | None) -> Any:
    """Return a function that is compiled for this process' first device.

    Args:
        function: Takes and returns trees of arrays.
        donated: Places of the arguments whose memory may be used for what is returned.
        options: What XLA is told.
    """
    import jax

    # What a program that was kept returns is bound to its device, and what is not yet bound counts as placed
    # otherwise: without saying where everything is, the second step would be compiled once more.
    place = jax.sharding.SingleDeviceSharding(jax.local_devices()[0])
    return jax.jit(function, in_shardings=place, donate_argnums=donated, compiler_options=options)


def lowered_ahead(content: bytes, donated: tuple[int, ...], options: dict[str, str] | None) -> tuple[Any, Any]:
    """Have a kept program ready to be compiled before its arguments are there.

    Args:
        content: The program.
        donated: As for `jitted`.
        options: As for `jitted`.

    Returns:
        The function, as of `jitted`, and its lowered form: what that is compiled to, a call of the function finds.
    """
    import jax

    exported = jax.export.deserialize(bytearray(content))
    shapes = [jax.ShapeDtypeStruct(one.shape, one.dtype) for one in exported.in_avals]
    arguments, named = jax.tree.unflatten(exported.in_tree, shapes)
    function = jitted(exported.call, donated, options)
    return function, function.trace(*arguments, **named).lower()
