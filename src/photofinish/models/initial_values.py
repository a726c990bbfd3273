"""Initial values from NumPy: one counter-based generator, keyed by the seed and each variable's path.

Keras' initialisers run operation by operation under JAX, which compiles a program for every shape: 20 to 50 s to
build EfficientNetV2-L. Here the network is built with its variables left empty, and each is then filled from NumPy
according to the initialiser it was given. The values depend on nothing but (seed, path, shape), and so are the same
on every backend.
"""

from __future__ import annotations

import contextlib
import hashlib
import math
import random
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import keras
import numpy as np
from numpy.typing import NDArray

from photofinish import backend
from photofinish.runs.environment import usable_cores

Built = TypeVar("Built")


def build_with_initial_values(build: Callable[[], Built], seed: int | None) -> Built:
    """Build a model or an optimiser and fill its variables from NumPy.

    Args:
        build: Makes an object with an attribute `variables`.
        seed: Decides the values; None fills random kernels with zeros, for descriptions that need no values.

    Returns:
        What `build` returned.

    Examples:
        >>> make = lambda: keras.Sequential([keras.Input((4,)), keras.layers.Dense(2, name="head")], name="net")
        >>> first, second = (build_with_initial_values(make, seed=0) for _ in range(2))
        >>> bool((first.get_weights()[0] == second.get_weights()[0]).all())
        True
    """
    # Keras fills variables that were created inside a stateless scope when the scope ends, in this order. NumPy draws
    # without the interpreter's lock, and every variable has a generator of its own.
    with ThreadPoolExecutor(usable_cores()) as pool, keras_seeds(seed or 0), _deep_recursion(), keras.StatelessScope():
        built = build()
        variables = built.variables  # type: ignore[attr-defined]  # models and optimisers share no base class
        for variable in variables:
            if variable._initializer is not None:  # noqa: SLF001  # Keras has no public way to replace it
                variable._initializer = _from_numpy(variable, seed, pool)  # noqa: SLF001
    return built


@contextlib.contextmanager
def keras_seeds(seed: int) -> Iterator[None]:
    """Make the seeds that Keras draws for itself, for dropout and its own initialisers, a function of `seed`.

    `keras.utils.set_random_seed` does so for good, for the whole process, and imports TensorFlow where it is
    installed, ten seconds and more.
    """
    before, before_numpy = random.getstate(), np.random.get_state()  # noqa: NPY002  # a user's function may draw from it
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002  # as above
    try:
        yield
    finally:
        random.setstate(before)
        np.random.set_state(before_numpy)  # noqa: NPY002  # as above


@contextlib.contextmanager
def _deep_recursion() -> Iterator[None]:
    """Let Keras walk the thousand layers of EfficientNetV2-XL, which it does by recursion."""
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(max(before, 20_000))
    try:
        yield
    finally:
        sys.setrecursionlimit(before)


def _from_numpy(variable: keras.Variable, seed: int | None, pool: ThreadPoolExecutor) -> Callable[..., Any]:
    """Return an initialiser with the distribution of a variable's own and values from NumPy, drawn from now on."""
    initializer, path = variable._initializer, variable.path  # noqa: SLF001  # Keras has no public way to read it
    drawn = pool.submit(_draw, initializer, tuple(variable.shape), seed, path)

    def initial(shape: tuple[int, ...], dtype: str | None = None) -> Any:
        values = drawn.result()
        if values is None:
            return initializer(shape, dtype=dtype)
        return backend.on_device(values.astype(dtype or "float32", copy=False))

    return initial


def _draw(initializer: Any, shape: tuple[int, ...], seed: int | None, path: str) -> NDArray[Any] | None:
    """Return values, or None for an initialiser that is not known here."""
    kinds = keras.initializers
    if isinstance(initializer, kinds.Ones | kinds.Constant):
        return np.full(shape, getattr(initializer, "value", 1), np.float32)
    is_drawn = isinstance(initializer, kinds.VarianceScaling | kinds.RandomNormal | kinds.RandomUniform)
    if isinstance(initializer, kinds.Zeros) or (is_drawn and seed is None):
        return backend.zeros(shape)
    if not is_drawn or seed is None:
        return None
    source = generator(seed, path)
    if isinstance(initializer, kinds.RandomNormal):
        return normal(source, shape, initializer.stddev) + np.float32(initializer.mean)
    if isinstance(initializer, kinds.RandomUniform):
        return source.uniform(initializer.minval, initializer.maxval, shape).astype(np.float32)
    return _variance_scaling(source, shape, initializer)


def generator(seed: int, *keys: object) -> np.random.Generator:
    """Return a counter-based generator for a seed and any keys.

    Args:
        seed: The run's seed.
        keys: What the numbers are for, for example a variable's path.
    """
    text = "/".join(str(key) for key in (seed, *keys))
    key = int.from_bytes(hashlib.sha256(text.encode()).digest()[:16], "little")
    return np.random.Generator(np.random.Philox(key=key))


def _variance_scaling(source: np.random.Generator, shape: tuple[int, ...], initializer: Any) -> NDArray[np.float32]:
    """Draw with variance scale / fan (He et al. 2015; Glorot and Bengio 2010)."""
    receptive = math.prod(shape[:-2])
    fan_in, fan_out = (shape[-2] * receptive, shape[-1] * receptive) if len(shape) > 1 else (shape[0], shape[0])
    fan = {"fan_in": fan_in, "fan_out": fan_out, "fan_avg": (fan_in + fan_out) / 2}[initializer.mode]
    variance = initializer.scale / max(1.0, fan)
    if initializer.distribution == "uniform":
        limit = math.sqrt(3 * variance)
        return source.uniform(-limit, limit, shape).astype(np.float32)
    if initializer.distribution == "untruncated_normal":
        return normal(source, shape, math.sqrt(variance))
    # The standard deviation of a normal cut at two standard deviations is 0.8796 of the uncut one's.
    return truncated_normal(source, shape, math.sqrt(variance) / 0.87962566103423978)


def normal(source: np.random.Generator, shape: tuple[int, ...], deviation: float) -> NDArray[np.float32]:
    """Draw from N(0, deviation^2)."""
    values = backend.unset(shape)
    source.standard_normal(dtype=np.float32, out=values)
    values *= np.float32(deviation)
    return values


def truncated_normal(source: np.random.Generator, shape: tuple[int, ...], deviation: float) -> NDArray[np.float32]:
    """Draw from N(0, deviation^2), anew wherever a value lies beyond two deviations."""
    values = source.standard_normal(shape, dtype=np.float32)
    while (outside := np.abs(values) > 2).any():
        values[outside] = source.standard_normal(int(outside.sum()), dtype=np.float32)
    values *= np.float32(deviation)
    return values
