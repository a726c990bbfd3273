"""RandAugment's operations that give each value of a channel another: one look-up in a table for each picture."""

from __future__ import annotations

from typing import Any

from keras import ops

from photofinish.data.augment.operations import Operation

_VALUES = 256


def change_tones(pictures: Any, operations: Any, level: float) -> Any:
    """Stretch, equalise, invert, posterise or solarise the pictures for which that was drawn.

    As Pillow's `ImageOps` does it.

    Args:
        pictures: (batch, height, width, 3) int32 in 0-255.
        operations: (batch,) int32, places in `Operation`.
        level: 1 takes 4 bits from Posterize, makes Solarize invert everything, and SolarizeAdd add 110.

    Returns:
        Pictures of the same shape.
    """
    batch, height, width, channels = pictures.shape
    pixels = ops.reshape(pictures, (batch, height * width, channels))
    tables = _tables(_histograms(pixels), operations, level)
    return ops.reshape(ops.take_along_axis(tables, pixels, axis=1), pictures.shape)


def _histograms(pixels: Any) -> Any:
    """Count how often each value occurs: (batch, pixels, channels) to (batch, values, channels)."""
    batch, _, channels = pixels.shape
    # Each picture's, value's and channel's place in one row. Comparing pixels with all values takes 256 times longer.
    first = ops.arange(batch, dtype="int32")[:, None, None] * (_VALUES * channels)
    places = ops.reshape(first + pixels * channels + ops.arange(channels, dtype="int32"), (-1,))
    counts = ops.segment_sum(ops.ones_like(places), places, num_segments=batch * _VALUES * channels)
    return ops.reshape(counts, (batch, _VALUES, channels))


def _tables(counts: Any, operations: Any, level: float) -> Any:
    """Return what becomes of each value, (batch, values, channels) like the histograms."""
    values = ops.arange(_VALUES, dtype="int32")[None, :, None]
    removed = 2 ** min(round(4 * level), 7)
    threshold = max(256 * (1 - level), 0)
    changed = {
        Operation.AUTO_CONTRAST: _stretched(counts, values),
        Operation.EQUALIZE: _equalized(counts, values),
        Operation.INVERT: 255 - values,
        Operation.POSTERIZE: values // removed * removed,
        Operation.SOLARIZE: ops.where(ops.cast(values, "float32") < threshold, values, 255 - values),
        Operation.SOLARIZE_ADD: ops.where(values < 128, ops.minimum(values + int(110 * level), 255), values),
    }
    tables = ops.zeros_like(counts) + values
    for operation, table in changed.items():
        tables = ops.where((operations == operation)[:, None, None], table, tables)
    return tables


def _stretched(counts: Any, values: Any) -> Any:
    """Return the tables that bring each channel's lowest value to 0 and its highest to 255."""
    lowest = ops.min(ops.where(counts > 0, values, _VALUES), axis=1, keepdims=True)
    highest = ops.max(ops.where(counts > 0, values, 0), axis=1, keepdims=True)
    table = ops.clip((values - lowest) * 255 // ops.maximum(highest - lowest, 1), 0, 255)
    return ops.where(highest > lowest, table, values)


def _equalized(counts: Any, values: Any) -> Any:
    """Return the tables that make each channel's values equally frequent, in steps as coarse as they are frequent.

    n(v) = (number of pixels below v + s / 2) / s, where s is 1/255 of the number of pixels below the highest value;
    divisions are between whole numbers.
    """
    highest = ops.max(ops.where(counts > 0, values, 0), axis=1, keepdims=True)
    step = ops.sum(ops.where(values < highest, counts, 0), axis=1, keepdims=True) // 255
    below = ops.cumsum(counts, axis=1) - counts
    table = ops.minimum((below + step // 2) // ops.maximum(step, 1), 255)
    return ops.where(step > 0, table, values)
