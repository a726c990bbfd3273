"""Depthwise 3x3 convolutions on the device at hand: Keras' own operation, and sums of shifted products, shape by shape.

Command: `python benchmarks/depthwise.py [--batch-size 64] [--precision bfloat16]`

The shapes are those of EfficientNetV2-S at 224 pixels and of B0 at 64. Milliseconds of the forward pass, and of the
forward and backward pass, medians of 9 runs that take turns. On processors the product uses sums of shifted products
for all of them, elsewhere Keras' own operation until this table says otherwise. Writes
`benchmarks/results/<date>-depthwise.json`.
"""

from __future__ import annotations

import argparse
import statistics
import time

import jax
import jax.numpy as jnp
from saving import save

from photofinish import backend

backend.select("jax")

import keras  # noqa: E402  # the backend comes first

from photofinish.backend.options import compiler_options  # noqa: E402  # likewise
from photofinish.models.depthwise import shifted_depthwise  # noqa: E402  # likewise

# Rows and columns of the input, channels, stride.
SHAPES = [
    (28, 256, 2), (14, 512, 1), (14, 768, 1), (14, 960, 1), (14, 960, 2), (7, 1536, 1), (8, 192, 2), (4, 384, 1),
    (4, 672, 1), (4, 672, 2), (2, 1152, 1),
]  # fmt: skip
RUNS, CALLS = 9, 10


def library(images: jax.Array, kernel: jax.Array, stride: int) -> jax.Array:
    """Keras' own operation."""
    return keras.ops.depthwise_conv(images, kernel[..., None], strides=stride, padding="same")


def shifted(images: jax.Array, kernel: jax.Array, stride: int) -> jax.Array:
    """What the product does on processors."""
    return shifted_depthwise(images, kernel, stride, "same")


def milliseconds(function, *arguments) -> float:
    """Time some calls in a row, each."""
    start = time.perf_counter()
    for _ in range(CALLS):
        done = function(*arguments)
    jax.block_until_ready(done)
    return 1000 * (time.perf_counter() - start) / CALLS


def compiled(convolve, stride: int, passes: str):
    """Compile as the product does."""

    def forward(images, kernel):
        return convolve(images, kernel, stride)

    def loss(images, kernel):
        return (forward(images, kernel).astype("float32") ** 2).sum()

    function = forward if passes == "forward" else jax.grad(loss, argnums=(0, 1))
    return jax.jit(function, compiler_options=compiler_options())


def main() -> None:
    """Print the table and write it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--precision", choices=("float32", "bfloat16"), default="float32")
    arguments = parser.parse_args()
    rows = []
    print("map  channels stride   library forward     both   shifted forward     both   (ms)")
    for size, channels, stride in SHAPES:
        images = jnp.ones((arguments.batch_size, size, size, channels), arguments.precision)
        kernel = jnp.ones((3, 3, channels), arguments.precision)
        programs = {
            f"{name} {passes}": compiled(convolve, stride, passes)
            for name, convolve in (("library", library), ("shifted", shifted))
            for passes in ("forward", "both")
        }
        times = {name: [] for name in programs}
        for _ in range(RUNS + 1):
            for name, function in programs.items():
                times[name].append(milliseconds(function, images, kernel))
        row = {name: statistics.median(values[1:]) for name, values in times.items()}
        rows.append({"map": size, "channels": channels, "stride": stride, **row})
        print(
            f"{size:3} {channels:9} {stride:6} {row['library forward']:17.3f} {row['library both']:8.3f}"
            f"{row['shifted forward']:18.3f} {row['shifted both']:8.3f}",
            flush=True,
        )
    print(save("depthwise", {"arguments": vars(arguments), "device": backend.device_name(), "rows": rows}))


if __name__ == "__main__":
    main()
