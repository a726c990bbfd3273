"""Random numbers of which a step needs only a few, without the loops that JAX draws them in on processors."""

from __future__ import annotations

from typing import Any

# Threefry-2x32 with 20 rounds (Salmon and others 2011, "Parallel random numbers: as easy as 1, 2, 3", section 3): how
# far the second word turns in each round, and what the key's third word is made with.
TURNS = ((13, 15, 26, 6), (17, 29, 16, 24))
PARITY = 0x1BD11BDA
GROUPS = 5


def few_uniform(seed: Any, count: int) -> Any:
    """Draw what `jax.random.uniform` draws, to the bit, in one elementwise operation. Under JAX only.

    JAX writes the rounds as loops on processors, where every loop is compiled into several functions: a tenth of what
    EfficientNetV2-L takes to compile segment by segment, whose blocks draw one number for each picture.

    Args:
        seed: (2,) of uint32, the key.
        count: How many.

    Returns:
        (count,) of float32, from 0 to less than 1.
    """
    import jax
    from jax import numpy as jnp

    first, second = seed[0], seed[1]
    keys = first, second, first ^ second ^ jnp.uint32(PARITY)
    # Each number has a place of 64 bits; the high ones are zero.
    x = jnp.zeros(count, "uint32") + keys[0]
    y = jax.lax.iota("uint32", count) + keys[1]
    for group in range(GROUPS):
        for turn in TURNS[group % 2]:
            x = x + y
            y = x ^ ((y << turn) | (y >> (32 - turn)))
        x = x + keys[(group + 1) % 3]
        y = y + keys[(group + 2) % 3] + jnp.uint32(group + 1)
    # 23 bits behind the exponent of 1.
    between_one_and_two = jax.lax.bitcast_convert_type(((x ^ y) >> 9) | jnp.uint32(0x3F800000), "float32")
    return between_one_and_two - 1
