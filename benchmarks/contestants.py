"""What people would run instead, and photofinish, each in a process of its own, told by `turns.py` when to run.

Started as `python benchmarks/contestants.py NAME SETTINGS`, SETTINGS being JSON with `task` (`train` or `predict`),
`model`, `image_size`, `batch_size`, `classes`, `turn_seconds` and `precision`. It prepares and warms up, prints one
line of JSON (versions, seconds to the first step), and for each line on standard input takes a turn and prints what it
took. Every contestant is given random pictures of bytes in memory, as they come from a decoder, on an accelerator in
the accelerator's; all train with Adam and sparse cross-entropy.

    photofinish        the product's training loop and predictor, on JAX, as in a long training after its beginning
    photofinish-begins       as in the beginning of a long training
    photofinish-chained      the same segment by segment, as in a short training
    photofinish-gives-back   as `photofinish`, but freed memory goes back to the kernel
    photofinish-xla-order    as `photofinish`, but with operations in the order that XLA's CPU compiler chooses
    photofinish-xla-kernels  as `photofinish`, but with the kernels that XLA's CPU compiler chooses
    photofinish-jax-product  as `photofinish`, but 1x1 convolutions have the gradient that JAX derives
    photofinish-keras-norm   as `photofinish`, but with Keras' BatchNormalization
    photofinish-compiles     as `photofinish`, but in the process that has compiled its programs, as a first seed is
    photofinish-fragments    the same, but what the compiler left free is where memory is looked for
    keras-jax          keras.applications and `fit` / `predict`, on JAX
    keras-tensorflow   the same on TensorFlow
    timm               timm's network, torch eager, float32
    timm-channels      the same in channels-last
    timm-bfloat16      the same in channels-last, autocast to bfloat16
    timm-compiled      the same through `torch.compile`, with torch's fused Adam on an accelerator
"""

from __future__ import annotations

import contextlib
import json
import os
import resource
import sys
import time
import types
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

NAMES = ("photofinish", "keras-jax", "keras-tensorflow", "timm", "timm-channels", "timm-bfloat16", "timm-compiled")
WARM_UP, CALIBRATING, MOST_PICTURES = 3, 3, 4096
LONG = 1000
KERAS = {
    "efficientnetv2-b0": "EfficientNetV2B0",
    "efficientnetv2-s": "EfficientNetV2S",
    "efficientnetv2-l": "EfficientNetV2L",
    "resnet50": "ResNet50",
    "mobilenetv2": "MobileNetV2",
}
TIMM = {
    "efficientnetv2-b0": "tf_efficientnetv2_b0",
    "efficientnetv2-s": "tf_efficientnetv2_s",
    "efficientnetv2-l": "tf_efficientnetv2_l",
    "resnet50": "resnet50",
    "mobilenetv2": "mobilenetv2_100",
}
Run = Callable[[int], None]
OURS = (
    "photofinish",
    "photofinish-begins",
    "photofinish-chained",
    "photofinish-gives-back",
    "photofinish-xla-order",
    "photofinish-xla-kernels",
    "photofinish-jax-product",
    "photofinish-keras-norm",
    "photofinish-compiles",
    "photofinish-fragments",
)


@dataclass(frozen=True)
class Settings:
    """What is to be run.

    Attributes:
        task: `train` or `predict`.
        model: Its name in our catalog.
        image_size: Height and width in pixels.
        batch_size: Pictures in a batch.
        classes: Number of classes.
        turn_seconds: About so long is a turn; with 0 there is none, and the process ends after its first step.
        precision: `float32` or `bfloat16`: what photofinish and Keras compute in; timm's contestants say it by name.
    """

    task: str
    model: str
    image_size: int
    batch_size: int
    classes: int
    turn_seconds: float
    precision: str = "float32"

    def pictures(self, count: int) -> tuple[np.ndarray, np.ndarray]:
        """Return random pictures, (count, height, width, 3), and labels."""
        random = np.random.default_rng(0)
        shape = (count, self.image_size, self.image_size, 3)
        return random.integers(0, 256, shape, np.uint8), random.integers(0, self.classes, count, np.int32)


def photofinish(settings: Settings, without: str | None = None) -> Run:
    """Return what runs so many steps or batches of the product, with one of its ways left out where that is named."""
    from pathlib import Path

    from photofinish import backend
    from photofinish.runs import digest_of_our_code, versions

    EARLY.get(str(without), _nothing)()
    # As the product's worker does.
    with backend.lean_imports():
        backend.select("jax")
        backend.foreseen.begin(lambda: repr((settings, without, digest_of_our_code(), versions())))
        import keras

    LATE.get(str(without), _nothing)()

    from photofinish.config import TrainingSettings
    from photofinish.data import PreparedData
    from photofinish.models import Anatomy, Head, build
    from photofinish.models.inference import Predictor
    from photofinish.runs import DataRecord, unheard
    from photofinish.study.cell import PRECISION_POLICIES
    from photofinish.training.loop import Trainer
    from photofinish.training.programs import program_facts

    size, count = settings.image_size, _memory(settings)
    keras.config.set_dtype_policy(PRECISION_POLICIES[settings.precision])
    entrant = build(settings.model, Head(settings.classes), image_size=size)
    model = entrant.model
    images, labels = settings.pictures(count)
    if settings.task == "predict":
        predictor = Predictor(model, lambda pictures: pictures, size, count)
        at_hand = backend.resident(images)

        def predict(batches: int) -> None:
            predictor(at_hand, np.arange(batches * settings.batch_size) % count)

        return predict
    names = tuple(map(str, range(settings.classes)))
    record = DataRecord(
        name="random", fingerprint="", classes=names, train=count, validation=1, test=1, stored_size=(size, size)
    )
    indices = np.arange(count)
    splits = {"train": indices, "validation": indices[:1], "test": indices[:1]}
    data = PreparedData(Path(), record, images, labels, indices.astype(str), splits)
    epochs = LONG if without == "all but its beginning" else 1
    training = TrainingSettings(
        epochs=epochs, batch_size=settings.batch_size, learning_rate=1e-6, precision=settings.precision
    )
    # What is traced once for all processes is found by our code, of which a variant is another.
    program = None if without in LATE else program_facts(entrant, model, settings.model, size, training)
    chained = {"one program": True, "all but its beginning": None}.get(str(without), False)
    trainer = Trainer(model, data, size, training, 0, Anatomy(), unheard, program=program, chained=chained)
    trainer.begin_stage(trainer.stages[1])
    epochs = iter(range(1, 1 << 30))

    def train(steps: int) -> None:
        trainer.train_epoch(next(epochs), np.arange(steps * settings.batch_size) % count)

    return train


def _nothing() -> None:
    pass


def _without_kept_memory() -> None:
    from photofinish.backend import choice

    choice.keep_freed_memory = lambda: False


def _without_order() -> None:
    from photofinish.backend import options

    del options.CPU_OPTIONS[options.ORDER]


def _without_kernels() -> None:
    from photofinish.backend import options

    del options.CPU_OPTIONS[options.KERNELS]


def _without_product() -> None:
    import keras

    from photofinish.models import layers

    layers.pixel_product = keras.ops.matmul


def _without_normalization() -> None:
    from photofinish.models.normalization import OnePassNormalization

    OnePassNormalization.call = OnePassNormalization.__base__.call


def _without_cache() -> None:
    os.environ["PHOTOFINISH_COMPILATION_CACHE"] = "off"


def _without_setting_aside() -> None:
    from photofinish.backend import programs

    _without_cache()
    programs.fragments_aside = contextlib.nullcontext


# What is left out before a backend is chosen, and what once Keras can be imported.
EARLY = {
    "kept memory": _without_kept_memory,
    "cache": _without_cache,
    "setting aside": _without_setting_aside,
    "order": _without_order,
    "kernels": _without_kernels,
}
LATE = {
    "product": _without_product,
    "normalization": _without_normalization,
}


def _keras(settings: Settings, backend: str) -> Run:
    os.environ["KERAS_BACKEND"] = backend
    import keras

    if settings.precision == "bfloat16":
        keras.config.set_dtype_policy("mixed_bfloat16")
    network = getattr(keras.applications, KERAS[settings.model])
    size, count = settings.image_size, _memory(settings)
    model = network(weights=None, classes=settings.classes, input_shape=(size, size, 3), classifier_activation=None)
    images, labels = settings.pictures(count)
    if settings.task == "predict":
        # Its own way to go through memory: the largest batch that is quick is the caller's to find.
        return lambda batches: model.predict(
            images[np.arange(batches * settings.batch_size) % count], batch_size=settings.batch_size, verbose=0
        )
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer=keras.optimizers.Adam(1e-6), loss=loss, metrics=["accuracy"])

    def train(steps: int) -> None:
        chosen = np.arange(steps * settings.batch_size) % count
        model.fit(images[chosen], labels[chosen], batch_size=settings.batch_size, epochs=1, verbose=0)

    return train


def _timm(settings: Settings, *, channels_last: bool, bfloat16: bool, compiles: bool = False) -> Run:
    # Registers operators that the CPU build of torch lacks.
    sys.modules["torchvision._meta_registrations"] = types.ModuleType("torchvision._meta_registrations")
    import timm
    import torch

    layout = torch.channels_last if channels_last else torch.contiguous_format
    kind = "cuda" if torch.cuda.is_available() else "cpu"
    model = timm.create_model(TIMM[settings.model], num_classes=settings.classes).to(kind, memory_format=layout)
    if bfloat16 and settings.task == "predict":
        model = model.to(torch.bfloat16)
    network = torch.compile(model) if compiles else model
    count = _memory(settings)
    images, labels = settings.pictures(count)
    # Bytes as they come from a decoder: to floats, scaled, in the layout of the network.
    pictures = torch.from_numpy(images).permute(0, 3, 1, 2).to(kind)
    answers = torch.from_numpy(labels).long().to(kind)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-6, fused=kind == "cuda" or None)
    loss = torch.nn.CrossEntropyLoss()
    model_type = next(model.parameters()).dtype

    def batch(step: int) -> tuple[Any, Any]:
        chosen = torch.arange(step * settings.batch_size, (step + 1) * settings.batch_size, device=kind) % count
        scaled = (pictures[chosen].float() / 255 - 0.5) / 0.5
        seen = scaled.to(model_type) if settings.task == "predict" else scaled
        return seen.to(memory_format=layout), answers[chosen]

    def wait() -> None:
        if kind == "cuda":
            torch.cuda.synchronize()

    def train(steps: int) -> None:
        model.train()
        for step in range(steps):
            seen, expected = batch(step)
            with torch.autocast(kind, torch.bfloat16, enabled=bfloat16):
                value = loss(network(seen), expected)
            optimizer.zero_grad(set_to_none=True)
            value.backward()
            optimizer.step()
        wait()

    def predict(batches: int) -> None:
        model.eval()
        with torch.inference_mode():
            torch.cat([network(batch(step)[0]) for step in range(batches)]).float().cpu()

    return train if settings.task == "train" else predict


def _memory(settings: Settings) -> int:
    """Return how many pictures lie in memory: whole batches, of at most some 200 MB."""
    most = min(MOST_PICTURES, 200_000_000 // (3 * settings.image_size**2))
    return max(1, most // settings.batch_size) * settings.batch_size


MAKERS: dict[str, Callable[[Settings], Run]] = {
    "photofinish": photofinish,
    "photofinish-begins": lambda settings: photofinish(settings, "all but its beginning"),
    "photofinish-chained": lambda settings: photofinish(settings, "one program"),
    "photofinish-gives-back": lambda settings: photofinish(settings, "kept memory"),
    "photofinish-xla-order": lambda settings: photofinish(settings, "order"),
    "photofinish-xla-kernels": lambda settings: photofinish(settings, "kernels"),
    "photofinish-jax-product": lambda settings: photofinish(settings, "product"),
    "photofinish-keras-norm": lambda settings: photofinish(settings, "normalization"),
    "photofinish-compiles": lambda settings: photofinish(settings, "cache"),
    "photofinish-fragments": lambda settings: photofinish(settings, "setting aside"),
    "keras-jax": lambda settings: _keras(settings, "jax"),
    "keras-tensorflow": lambda settings: _keras(settings, "tensorflow"),
    "timm": lambda settings: _timm(settings, channels_last=False, bfloat16=False),
    "timm-channels": lambda settings: _timm(settings, channels_last=True, bfloat16=False),
    "timm-bfloat16": lambda settings: _timm(settings, channels_last=True, bfloat16=True),
    "timm-compiled": lambda settings: _timm(settings, channels_last=True, bfloat16=True, compiles=True),
}


def main() -> None:
    """Prepare, warm up, and take turns as told."""
    begin = time.perf_counter()
    settings = Settings(**json.loads(sys.argv[2]))
    # Whatever libraries print must not be taken for an answer.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    run = MAKERS[sys.argv[1]](settings)
    run(1)
    first = time.perf_counter() - begin
    if settings.turn_seconds == 0:
        print(json.dumps({"seconds_to_first_step": first, "versions": _versions()}), file=answers, flush=True)
        return
    run(WARM_UP)
    start = time.perf_counter()
    run(CALIBRATING)
    calls = max(2, round(settings.turn_seconds / ((time.perf_counter() - start) / CALIBRATING)))
    if settings.task == "train":
        # `fit` makes its epochs of what it is given.
        run(calls)

    def say(**facts: object) -> None:
        print(json.dumps(facts), file=answers, flush=True)

    say(seconds_to_first_step=first, calls=calls, versions=_versions())
    for _ in sys.stdin:
        start = time.perf_counter()
        run(calls)
        say(seconds=time.perf_counter() - start, images=calls * settings.batch_size)
    # The last line: what it came to in memory.
    say(peak_memory_bytes=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)


def _versions() -> dict[str, str]:
    named = ("jax", "keras", "tensorflow", "torch", "timm", "numpy")
    return {name: sys.modules[name].__version__ for name in named if name in sys.modules}


if __name__ == "__main__":
    main()
