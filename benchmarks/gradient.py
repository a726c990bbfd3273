"""What our layers and the order of operations do for the gradient of a network, on JAX.

Command: `python benchmarks/gradient.py [--model efficientnetv2-b0] [--image-size 32] [--batch-size 32] [--rounds 9]`

In one process and in turn: with Keras' BatchNormalization and operations in the order that XLA's CPU compiler chooses,
with Keras' and in the order that needs least memory, with ours in either order, and with ours and the gradient that we
give to matrix products, as the product trains. Prints milliseconds for a gradient (medians) and how many times faster
each is than the first; writes `benchmarks/results/<date>-gradient-<model>-<size>.json`.
"""

from __future__ import annotations

import argparse
import contextlib
import statistics
import time
from collections.abc import Callable
from typing import Any
from unittest import mock

import numpy as np

from photofinish import backend

backend.select("jax")

import jax  # noqa: E402  # the backend comes first
import keras  # noqa: E402  # the backend comes first
from saving import save  # noqa: E402  # the backend comes first

from photofinish.models import Head, all_layers, build, layers  # noqa: E402  # the backend comes first
from photofinish.models.normalization import OnePassNormalization  # noqa: E402  # the backend comes first
from photofinish.training.losses import cross_entropy, smoothed_targets  # noqa: E402  # the backend comes first

LEAST_MEMORY = {"xla_cpu_scheduler_type": "CPU_SCHEDULER_TYPE_MEMORY_OPTIMIZED"}
CLASSES, CALLS = 10, 10


def gradient(
    name: str, size: int, batch: int, *, ours: bool, products: bool = False, options: dict[str, str] | None
) -> Callable[[], Any]:
    """Compile the gradient of a network; return what computes it once."""
    model = build(name, Head(CLASSES), image_size=size).model
    if not ours:
        for layer in all_layers(model):
            if isinstance(layer, OnePassNormalization):
                layer.__class__ = keras.layers.BatchNormalization
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (batch, size, size, 3), np.uint8)
    targets = smoothed_targets(random.integers(0, CLASSES, batch), CLASSES, 0.0)

    def objective(trained: Any, others: Any, images: Any) -> Any:
        logits, others = model.stateless_call(trained, others, images, training=True)
        return cross_entropy(targets, logits).mean(), others

    program = jax.jit(jax.value_and_grad(objective, has_aux=True), compiler_options=options)
    values = [[one.value for one in some] for some in (model.trainable_variables, model.non_trainable_variables)]
    with contextlib.nullcontext() if products else mock.patch.object(layers, "pixel_product", keras.ops.matmul):
        jax.block_until_ready(program(*values, images))
    return lambda: program(*values, images)


def main() -> None:
    """Time them in turn and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="efficientnetv2-b0")
    parser.add_argument("--image-size", type=int, default=32)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=9)
    arguments = parser.parse_args()
    network = arguments.model, arguments.image_size, arguments.batch_size
    contestants = {
        "Keras' normalisation, XLA's order": gradient(*network, ours=False, options=None),
        "Keras' normalisation, least memory": gradient(*network, ours=False, options=LEAST_MEMORY),
        "one pass, XLA's order": gradient(*network, ours=True, options=None),
        "one pass, least memory": gradient(*network, ours=True, options=LEAST_MEMORY),
        "the same, products' gradient": gradient(*network, ours=True, products=True, options=LEAST_MEMORY),
    }
    rounds: dict[str, list[float]] = {name: [] for name in contestants}
    for _ in range(arguments.rounds):
        for name, compute in contestants.items():
            start = time.perf_counter()
            for _ in range(CALLS):
                outputs = compute()
            jax.block_until_ready(outputs)
            rounds[name].append(1e3 * (time.perf_counter() - start) / CALLS)
    first = next(iter(rounds.values()))
    table = {}
    for name, values in rounds.items():
        ratio = statistics.median(before / after for before, after in zip(first, values, strict=True))
        table[name] = {"milliseconds": statistics.median(values), "faster_by": ratio}
        print(f"{name:38}{statistics.median(values):8.1f} ms{ratio:7.2f}")
    content = {"settings": vars(arguments), "rounds": rounds, "table": table}
    print(save(f"gradient-{arguments.model}-{arguments.image_size}", content))


if __name__ == "__main__":
    main()
