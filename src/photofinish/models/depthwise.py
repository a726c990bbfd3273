"""Depthwise convolutions as sums of shifted products, for processors on which XLA's grouped convolution is slow."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from keras import ops

# Up to this height and width every pixel is written out. With batch 32 on 2 cores, forward and backward together, that
# takes 0.46 ms against 0.73 at 2x2 pixels and 672 channels, but 1.39 against 0.82 at 4x4 pixels and 192 channels.
LARGEST_WRITTEN_OUT = 2


def shifted_depthwise(inputs: Any, kernel: Any, stride: int, padding: str) -> Any:
    """Convolve each channel with its own kernel as a sum of shifted products.

    `outputs[b, y, x, c] = sum_ij inputs[b, y * stride + i, x * stride + j, c] * kernel[i, j, c]`

    Args:
        inputs: (batch, height, width, channels) with known height and width.
        kernel: (kernel height, kernel width, channels).
        stride: The same in both directions.
        padding: `same`, as TensorFlow pads (more at the end), or `valid`.

    Returns:
        (batch, new height, new width, channels).
    """
    height, width = inputs.shape[1], inputs.shape[2]
    rows, columns = kernel.shape[0], kernel.shape[1]
    pads = (0, 0), (0, 0)
    if padding == "same":
        pads = _same_padding(height, rows, stride), _same_padding(width, columns, stride)
    if max(height, width) <= LARGEST_WRITTEN_OUT:
        return _of_tiny(stride, pads)(inputs, kernel)
    return _with_gradient(stride, pads)(inputs, kernel)


Pads = tuple[tuple[int, int], tuple[int, int]]


def _same_padding(size: int, kernel: int, stride: int) -> tuple[int, int]:
    """Return the padding before and after that makes ceil(size / stride) outputs."""
    outputs = -(-size // stride)
    total = max((outputs - 1) * stride + kernel - size, 0)
    return total // 2, total - total // 2


def _padded(images: Any, pads: Pads) -> Any:
    return ops.pad(images, ((0, 0), *pads, (0, 0)))


def _windows(padded: Any, rows: int, columns: int, stride: int) -> Iterator[tuple[int, int, Any]]:
    """Yield for each place of the kernel what it meets: (batch, new height, new width, channels)."""
    bottom, right = padded.shape[1] - rows, padded.shape[2] - columns
    for i in range(rows):
        for j in range(columns):
            yield i, j, padded[:, i : i + bottom + 1 : stride, j : j + right + 1 : stride]


def _products(padded: Any, kernel: Any, stride: int) -> Any:
    windows = _windows(padded, kernel.shape[0], kernel.shape[1], stride)
    return functools.reduce(ops.add, (window * kernel[i, j] for i, j, window in windows))


def _with_gradient(stride: int, pads: Pads) -> Callable[[Any, Any], Any]:
    """Return the convolution with a gradient of its own.

    Left to itself, the inputs' gradient would be a sum of padded arrays, which XLA computes pixel by pixel with a
    condition for each.
    """

    @ops.custom_gradient  # type: ignore[untyped-decorator]
    def convolve(inputs: Any, kernel: Any) -> tuple[Any, Callable[[Any], tuple[Any, Any]]]:
        padded, size = _padded(inputs, pads), inputs.shape[1:3]

        def gradient(slopes: Any) -> tuple[Any, Any]:
            windows = _windows(padded, kernel.shape[0], kernel.shape[1], stride)
            sums = [ops.sum(window * slopes, axis=(0, 1, 2)) for _, _, window in windows]
            return _inputs_slopes(slopes, kernel, size, stride, pads), ops.reshape(ops.stack(sums), kernel.shape)

        return _products(padded, kernel, stride), gradient

    return convolve  # type: ignore[no-any-return]


def _inputs_slopes(slopes: Any, kernel: Any, size: tuple[int, int], stride: int, pads: Pads) -> Any:
    """Return the gradient of inputs of `size`: with stride 1 a convolution by the kernel turned round.

    Otherwise such convolutions by parts of the kernel, taken alternately: every input meets only the places of the
    kernel that are a whole number of strides apart.
    """
    rows, columns, channels = kernel.shape
    kernel = ops.pad(kernel, ((0, max(stride - rows, 0)), (0, max(stride - columns, 0)), (0, 0)))
    tops = [before for before, _ in pads]
    first = [top // stride for top in tops]
    last = [-(-(top + length) // stride) for top, length in zip(tops, size, strict=True)]

    def alternate(row: int, column: int) -> Any:
        part = ops.flip(kernel[row::stride, column::stride], axis=(0, 1))
        down, across = ((part.shape[axis] - 1 - first[axis], last[axis] - slopes.shape[axis + 1]) for axis in range(2))
        return _products(_padded(slopes, (down, across)), part, 1)

    lines = [ops.stack([alternate(row, column) for column in range(stride)], axis=3) for row in range(stride)]
    height, width = (stride * (end - begin) for begin, end in zip(first, last, strict=True))
    whole = ops.reshape(ops.stack(lines, axis=2), (-1, height, width, channels))
    top, left = (before - stride * begin for before, begin in zip(tops, first, strict=True))
    return whole[:, top : top + size[0], left : left + size[1]]


def _of_tiny(stride: int, pads: Pads) -> Callable[[Any, Any], Any]:
    """Return the convolution of tiny maps, every pixel written out, with a gradient of its own.

    The kernel's gradient is one sum over the pictures. Left to itself it would be one sum for each product, each of
    which XLA compiles, and begins, apart.
    """

    @ops.custom_gradient  # type: ignore[untyped-decorator]
    def convolve(inputs: Any, kernel: Any) -> tuple[Any, Callable[[Any], tuple[Any, Any]]]:
        height, width = inputs.shape[1], inputs.shape[2]
        rows, columns = kernel.shape[0], kernel.shape[1]
        (top, bottom), (left, right) = pads
        ys = range(-top, height + bottom - rows + 1, stride)
        xs = range(-left, width + right - columns + 1, stride)
        # Which pixel meets which place of the kernel for which pixel of the outputs; not those that meet padding.
        meetings = [
            ((y + i, x + j), (i, j), (row, column))
            for row, y in enumerate(ys)
            for column, x in enumerate(xs)
            for i in range(rows)
            for j in range(columns)
            if 0 <= y + i < height and 0 <= x + j < width
        ]

        def pixels(images: Any) -> dict[tuple[int, int], Any]:
            return {(y, x): images[:, y, x] for y in range(images.shape[1]) for x in range(images.shape[2])}

        def joined(sums: dict[tuple[int, int], Any], lines: int, places: int) -> Any:
            return ops.stack([ops.stack([sums[y, x] for x in range(places)], axis=-2) for y in range(lines)], axis=-3)

        seen, weights = pixels(inputs), pixels(kernel[None])
        outputs = _sums((outgoing, seen[met] * weights[place]) for met, place, outgoing in meetings)

        def gradient(slopes: Any) -> tuple[Any, Any]:
            slope, nothing = pixels(slopes), ops.zeros_like(inputs[:, 0, 0])
            of_inputs = _sums((met, slope[outgoing] * weights[place]) for met, place, outgoing in meetings)
            of_kernel = _sums((place, slope[outgoing] * seen[met]) for met, place, outgoing in meetings)
            everywhere = {(i, j): of_kernel.get((i, j), nothing) for i in range(rows) for j in range(columns)}
            everything = {(y, x): of_inputs.get((y, x), nothing) for y in range(height) for x in range(width)}
            return joined(everything, height, width), ops.sum(joined(everywhere, rows, columns), axis=0)

        return joined(outputs, len(ys), len(xs)), gradient

    return convolve  # type: ignore[no-any-return]


def _sums(products: Iterable[tuple[tuple[int, int], Any]]) -> dict[tuple[int, int], Any]:
    """Add up what belongs to the same place."""
    sums: dict[tuple[int, int], Any] = {}
    for place, product in products:
        sums[place] = sums[place] + product if place in sums else product
    return sums
