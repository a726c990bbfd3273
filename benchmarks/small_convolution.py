"""3x3 convolutions on small feature maps under XLA on the CPU: the library's, and sums of shifted matrix products.

Command: `python benchmarks/small_convolution.py`

Milliseconds of the forward pass, and of the forward and backward pass, batch 32, float32, medians of 9 runs that
take turns; compiled as the product compiles. Writes `benchmarks/results/<date>-small-convolution.json`. The limit
`LARGEST_TINY_MAP` in `models/layers.py` comes from this table.
"""

from __future__ import annotations

import statistics
import time

import jax
import jax.numpy as jnp
from saving import save

from photofinish import backend

backend.select("jax")

from photofinish.backend.options import compiler_options  # noqa: E402  # the backend comes first
from photofinish.models.layers import shifted_convolution  # noqa: E402  # the backend comes first

SHAPES = [(1, 512), (2, 64), (2, 256), (2, 512), (3, 64), (3, 256), (3, 512), (4, 128), (4, 256), (8, 64)]
BATCH, RUNS = 32, 9


def library(images: jax.Array, kernel: jax.Array) -> jax.Array:
    """XLA's own convolution."""
    return jax.lax.conv_general_dilated(images, kernel, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC"))


def milliseconds(function, *arguments) -> float:
    """Time one call."""
    start = time.perf_counter()
    jax.block_until_ready(function(*arguments))
    return 1000 * (time.perf_counter() - start)


def both_passes(convolve):
    """Return the gradient of a sum of squares."""
    return compiled(jax.grad(lambda images, kernel: (convolve(images, kernel) ** 2).sum(), argnums=(0, 1)))


def compiled(function):
    """Compile as the product does."""
    return jax.jit(function, compiler_options=compiler_options())


def main() -> None:
    """Print the table and write it."""
    contestants = {"library": library, "shifted": shifted_convolution}
    rows = []
    print("map      channels   library forward  both   shifted forward  both   (ms)")
    for size, channels in SHAPES:
        images, kernel = jnp.ones((BATCH, size, size, channels)), jnp.ones((3, 3, channels, channels))
        programs = {
            (name, passes): compiled(convolve) if passes == "forward" else both_passes(convolve)
            for name, convolve in contestants.items()
            for passes in ("forward", "both")
        }
        times = {key: [] for key in programs}
        for _ in range(RUNS + 1):
            for key, function in programs.items():
                times[key].append(milliseconds(function, images, kernel))
        row = {f"{name} {passes}": statistics.median(values[1:]) for (name, passes), values in times.items()}
        rows.append({"map": size, "channels": channels, **row})
        print(
            f"{size}x{size}{channels:12}{row['library forward']:18.2f}{row['library both']:8.2f}"
            f"{row['shifted forward']:14.2f}{row['shifted both']:8.2f}"
        )
    print(save("small-convolution", {"rows": rows}))


if __name__ == "__main__":
    main()
