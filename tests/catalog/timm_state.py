"""Random weights under timm's names and pictures to go with them, the same on every machine.

Used by the tests and by `benchmarks/timm_parity.py`, which computes with timm what the tests compare with. Only NumPy
is needed, so that the tests need neither torch nor a file of weights.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]
Shapes = Mapping[str, tuple[int, ...]]


def state(shapes: Shapes, gain: float, classifier_scale: float) -> dict[str, Array]:
    """Draw a state dictionary, each tensor from a generator of its own.

    Initial weights would hide mistakes, being 0 or 1 in BatchNormalization. Residual branches are damped and `gain`
    is chosen for each network so that logits tell pictures apart without magnifying rounding.

    Args:
        shapes: Shape of each tensor by timm's name, in timm's order of axes.
        gain: Variance of convolutions as a multiple of 1 / fan in.
        classifier_scale: Factor on the classifier that brings logits to the order of one.
    """
    last = _last_normalizations(shapes)
    return {name: _draw(name, tuple(shape), gain, classifier_scale, last) for name, shape in shapes.items()}


def _draw(name: str, shape: tuple[int, ...], gain: float, classifier_scale: float, last: frozenset[str]) -> Array:
    layer, _, variable = name.rpartition(".")
    generator = np.random.Generator(np.random.Philox(int(hashlib.sha256(name.encode()).hexdigest()[:16], 16)))
    if variable == "num_batches_tracked":
        return np.array(7, np.int64)
    if layer == "classifier":
        values = classifier_scale * generator.normal(0, 1 / np.sqrt(shape[-1]), shape)
    elif len(shape) == 4:
        values = generator.normal(0, np.sqrt(gain / np.prod(shape[1:])), shape)
    elif variable == "weight" and layer in last:
        values = generator.uniform(0.1, 0.4, shape)
    elif variable in {"weight", "running_var"}:
        values = generator.uniform(0.5, 1.5, shape)
    else:
        values = generator.normal(0, 0.1, shape)
    return values.astype(np.float32)


def _last_normalizations(shapes: Shapes) -> frozenset[str]:
    """Return the BatchNormalization that ends each block, whose output the residual is added to."""
    last: dict[str, str] = {}
    for name in shapes:
        layer = name.rpartition(".")[0]
        block, _, own = layer.rpartition(".")
        if block.startswith("blocks.") and own.startswith("bn"):
            last[block] = max(last.get(block, ""), own)
    return frozenset(f"{block}.{own}" for block, own in last.items())


def pictures(size: int) -> Array:
    """Draw two pictures (2, size, size, 3) of 0-255 in coloured patches; a random network averages fine noise away."""
    patches = np.random.Generator(np.random.Philox(2)).uniform(0, 255, (2, 5, 5, 3))
    places = np.arange(size) * 5 // size
    return patches[:, places][:, :, places].astype(np.float32)
