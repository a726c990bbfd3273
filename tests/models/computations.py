"""Computations that every backend has to do alike. Run as a program they are stored for the tests to compare.

`KERAS_BACKEND=tensorflow python computations.py FILE.npz`
"""

from __future__ import annotations

import hashlib
import os
import re
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from photofinish import backend

backend.select()

import keras  # noqa: E402  # the backend comes first
from keras import ops  # noqa: E402  # as above

from photofinish.catalog.scaling import OWN as OWN_SCALING  # noqa: E402  # as above
from photofinish.catalog.variants import Stage  # noqa: E402  # as above
from photofinish.config import TrainingSettings  # noqa: E402  # as above
from photofinish.data import PreparedData  # noqa: E402  # as above
from photofinish.data.augment import Augmentation, augment, augmentation_draws, mix, resize  # noqa: E402  # as above
from photofinish.models import Entrant, Head, build, build_with_initial_values  # noqa: E402  # as above
from photofinish.models.efficientnetv2 import _fused_block, _mbconv_block  # noqa: E402  # as above
from photofinish.runs import unheard  # noqa: E402  # as above
from photofinish.runs.records import DataRecord  # noqa: E402  # as above
from photofinish.training import train, train_entrant  # noqa: E402  # as above

Arrays = dict[str, np.ndarray[Any, Any]]

# Every kind of block, with and without stride and residual, at odd and even sizes.
BLOCKS = {
    "fused1": (Stage("fused", 1, 8, 1, 1), 1, 8),
    "fused4-residual-odd": (Stage("fused", 1, 8, 4, 1), 1, 7),
    "fused4-stride2-even": (Stage("fused", 1, 16, 4, 2), 2, 8),
    "fused4-stride2-odd": (Stage("fused", 1, 16, 4, 2), 2, 7),
    "mbconv4-stride2-even": (Stage("mbconv", 1, 16, 4, 2), 2, 8),
    "mbconv4-stride2-odd": (Stage("mbconv", 1, 16, 4, 2), 2, 7),
    "mbconv6-residual-odd": (Stage("mbconv", 1, 8, 6, 1), 1, 5),
}
INPUT_CHANNELS = 8


def numpy(value: Any) -> np.ndarray[Any, Any]:
    # Torch hands out its own memory, which the next step changes.
    return np.array(ops.convert_to_numpy(value))


def perturb(variables: Any, seed: int) -> None:
    """Move every variable off the zeros and ones it starts with; the values come from NumPy."""
    generator = np.random.default_rng(seed)
    for variable in variables:
        variable.assign(numpy(variable.value) + generator.uniform(0.05, 0.2, tuple(variable.shape)).astype(np.float32))


def randomise(model: keras.Model, seed: int, gain: float) -> None:
    """Give every variable a random value; initial ones would hide mistakes, being 0 or 1 in BatchNormalization.

    Residual branches are damped and `gain` chosen so that pictures are told apart by the logits, which random
    networks of this depth easily lose, and rounding is not magnified.
    """
    generator = np.random.default_rng(seed)
    for variable in model.weights:
        shape = tuple(variable.shape)
        if variable.name == "gamma" and "project_bn" in variable.path:
            values = generator.uniform(0.1, 0.4, shape)
        elif variable.name in {"gamma", "moving_variance"}:
            values = generator.uniform(0.5, 1.5, shape)
        elif variable.name == "kernel":
            summed = shape[:2] if shape[-1] == 1 else shape[:-1]
            values = generator.normal(0, np.sqrt(gain / np.prod(summed)), shape)
        else:
            values = generator.normal(0, 0.1, shape)
        variable.assign(values.astype(np.float32))


def two_pictures(size: int) -> np.ndarray[Any, Any]:
    """Draw two pictures of coloured patches; fine noise would look the same to a random network."""
    patches = np.random.default_rng(2).uniform(0, 255, (2, 5, 5, 3))
    places = np.arange(size) * 5 // size
    return patches[:, places][:, :, places].astype(np.float32)


def block_arrays(name: str) -> Arrays:
    """Compute a block's output, and its gradients and new averages in training."""
    stage, stride, size = BLOCKS[name]
    block = _fused_block if stage.kind == "fused" else _mbconv_block

    def assemble() -> keras.Model:
        inputs = keras.Input((size, size, INPUT_CHANNELS))
        return keras.Model(inputs, block(inputs, stage, stride, 0.0, "block_"))

    model = build_with_initial_values(assemble, seed=3)
    perturb(model.weights, seed=4)
    generator = np.random.default_rng(5)
    images = generator.normal(size=(3, size, size, INPUT_CHANNELS)).astype(np.float32)
    slopes = generator.normal(size=(3, *model.output_shape[1:])).astype(np.float32)

    infer = backend.compiled(lambda x: model(x, training=False), model.variables, assigns=False)
    with backend.no_gradient():
        arrays = {"inference": numpy(infer(images))}
    variables = model.trainable_variables

    def step(x: Any, cotangents: Any) -> Any:
        def objective() -> tuple[Any, Any]:
            outputs = model(x, training=True)
            return ops.sum(outputs * cotangents), outputs

        return backend.gradients(objective, variables)

    outputs, gradients = backend.compiled(step, model.variables)(images, slopes)
    arrays["training"] = numpy(ops.stop_gradient(outputs))
    arrays |= {f"gradient of {v.path}": numpy(g) for v, g in zip(variables, gradients, strict=True)}
    arrays |= {v.path: numpy(v.value) for v in model.non_trainable_variables}
    return arrays


def network_arrays() -> Arrays:
    """Compute B0's logits, odd sizes all the way down, and a digest of the initial values of several networks."""
    model = build("efficientnetv2-b0", Head(10), image_size=75, seed=5).model
    arrays = {"initial b0": digest(model)}
    randomise(model, seed=1, gain=4)
    images = two_pictures(75)

    def infer(x: Any) -> Any:
        return model(x, training=False)

    with backend.no_gradient():
        # TensorFlow needs a minute to compile what it computes in a second.
        jax = backend.active() == "jax"
        arrays["b0"] = numpy(backend.compiled(infer, model.variables, assigns=False)(images) if jax else infer(images))
    for name in ("resnet50", "mobilenetv2-0.35"):
        arrays[f"initial {name}"] = digest(build(name, Head(10, 0.1, 16), image_size=32, seed=6).model)
    return arrays


def digest(model: keras.Model) -> np.ndarray[Any, Any]:
    """Return a hash of all initial values, generators' state included."""
    total = hashlib.sha256()
    for variable in model.variables:
        value = numpy(variable.value)
        # The type of a generator's state differs from backend to backend.
        # Keras numbers the generators of a process.
        path = re.sub(r"generator_\d+/", "generator/", variable.path)
        total.update(path.encode() + value.astype(np.int64 if value.dtype.kind in "iu" else "<f4").tobytes())
    return np.array(total.hexdigest())


# What is computed on whole numbers alone is alike bit by bit.
AUGMENTATIONS = {
    "moved": (Augmentation(flip=True, shift=0.3), 10),
    "operated": (Augmentation(flip=True, randaugment=10, cutout=0.3), 10),
    "cropped": (Augmentation(flip=True, crop=0.25), 12),
    "mixed": (Augmentation(flip=True, shift=0.2, crop=0.25, randaugment=15, cutout=0.2, mixup=0.2, cutmix=0.5), 12),
}


def augment_arrays() -> Arrays:
    """Augment, mix and resize pictures in compiled steps."""
    generator = np.random.default_rng(7)
    images = generator.integers(0, 256, (64, 10, 10, 3), dtype=np.uint8)
    images[::2] = np.sort(np.sort(images[::2], axis=1), axis=2)
    arrays: Arrays = {}
    for name, (augmentation, size) in AUGMENTATIONS.items():

        def step(
            images: Any, targets: Any, draws: Any, augmentation: Augmentation = augmentation, size: int = size
        ) -> Any:
            return mix(augment(images, draws, augmentation, size), targets, draws, augmentation)

        draws = augmentation_draws(64, seed=8, epoch=2, augmentation=augmentation)
        targets = np.eye(4, dtype=np.float32)[np.arange(64) % 4]
        pictures, targets = backend.compiled(step, [])(images, targets, draws)
        arrays |= {name: numpy(pictures), f"targets of {name}": numpy(targets)}
    for size in (8, 5, 17, 9):
        resized = backend.compiled(lambda x, size=size: resize(x, size), [])(images[:9, :, :8])
        arrays[f"resized to {size}"] = numpy(resized)
    # TensorFlow's own resizing, compiled, is wrong at whole factors such as these.
    for size in (24, 40):
        resized = backend.compiled(lambda x, size=size: resize(x, size), [])(images[:9, :8, :8])
        arrays[f"resized to {size}"] = numpy(resized)
    return arrays


def backend_arrays() -> Arrays:
    """Differentiate w^3, and assign variables inside and outside the objective."""
    weights = keras.Variable(np.array([1.0, -2.0, 3.0], np.float32), name="w")
    unused = keras.Variable(np.zeros(2, np.float32), name="unused")
    inside = keras.Variable(np.float32(0), trainable=False, name="inside")
    outside = keras.Variable(np.float32(0), trainable=False, name="outside")

    def step(scale: Any) -> Any:
        outside.assign(outside + 10)

        def objective() -> tuple[Any, Any]:
            inside.assign(inside + scale)
            return ops.sum(weights**3) * scale, {"twice": ops.stop_gradient(weights) * 2}

        outputs, (slopes,) = backend.gradients(objective, [weights])
        with backend.no_gradient():
            weights.assign(weights - slopes)
        return outputs["twice"], slopes

    compiled = backend.compiled(step, [weights, unused, inside, outside])
    arrays: Arrays = {}
    for number in (1, 2):
        twice, slopes = compiled(np.float32(0.01))
        arrays |= {f"{number} twice": numpy(twice), f"{number} slopes": numpy(slopes)}
    state = {"weights": weights, "unused": unused, "inside": inside, "outside": outside}
    return arrays | {name: numpy(variable.value) for name, variable in state.items()}


class TinyData:
    """Twenty-two pictures of three classes, and as many as are needed to validate and test."""

    @staticmethod
    def make() -> PreparedData:
        generator = np.random.default_rng(9)
        labels = np.arange(30, dtype=np.int32) % 3
        images = generator.integers(0, 256, (30, 8, 8, 3)) // 2 + 60 * labels[:, None, None, None]
        record = DataRecord(
            name="tiny", fingerprint="0", classes=("a", "b", "c"), train=22, validation=5, test=3, stored_size=(8, 8)
        )
        splits = {"train": np.arange(22), "validation": np.arange(22, 27), "test": np.arange(27, 30)}
        ids = np.array([str(number) for number in range(30)])
        return PreparedData(Path(), record, images.astype(np.uint8), labels, ids, splits)


def tiny_network(seed: int = 1) -> keras.Model:
    def assemble() -> keras.Model:
        layers = keras.layers
        x = inputs = keras.Input((12, 12, 3))
        x = layers.Rescaling(1 / 255)(x)
        x = layers.Conv2D(4, 3, strides=2, use_bias=False, name="conv")(x)
        x = layers.BatchNormalization(momentum=0.9, name="bn")(x)
        x = layers.Activation("silu")(x)
        x = layers.GlobalAveragePooling2D()(x)
        return keras.Model(inputs, layers.Dense(3, name="head")(x))

    return build_with_initial_values(assemble, seed=seed)


def training_arrays() -> Arrays:
    """Train a tiny network with everything switched on that the backends share: there are no random masks in it."""
    model = tiny_network()
    settings = TrainingSettings(
        epochs=3,
        batch_size=8,
        learning_rate=0.01,
        optimizer="adamw",
        weight_decay=0.01,
        schedule="cosine",
        label_smoothing=0.1,
        ema_decay=0.9,
        flip=True,
        shift=0.2,
        reestimate_statistics="always",
    )
    records: list[Any] = []
    outcome = train(model, TinyData.make(), 12, settings, seed=2, record=records.append, notify=unheard)
    losses = [(record.train_loss, record.validation_loss, record.train_accuracy) for record in records]
    arrays = {"losses": np.array(losses), "steps": np.array(outcome.steps)}
    return arrays | {variable.path: numpy(variable.value) for variable in model.weights}


def staged_arrays() -> Arrays:
    """Train gradually through stages, from folded statistics, and a head on features; nothing is dropped at random."""

    def assemble() -> keras.Model:
        x = inputs = keras.Input((None, None, 3))
        for number in range(3):
            x = keras.layers.Conv2D(6, 3, padding="same", use_bias=False, name=f"conv{number}")(x)
            x = keras.layers.BatchNormalization(momentum=0.9, name=f"bn{number}")(x)
            x = keras.layers.Activation("silu")(x)
        return keras.Model(inputs, Head(3, 0.0)(x), name="mine")

    arrays: Arrays = {}
    shared = {"batch_size": 8, "learning_rate": 0.01, "reestimate_statistics": "never"}
    gradual = {"train": "gradual", "epochs": 4, "stages": 2, "training_size": "8:12", "mixup": "0:0.5", "flip": True}
    for name, changes in (("gradual", gradual), ("head", {"train": "head", "epochs": 2})):
        entrant = Entrant(build_with_initial_values(assemble, seed=3), OWN_SCALING, "imagenet", "a head")
        records: list[Any] = []
        settings = TrainingSettings.of(shared | changes)
        with tempfile.TemporaryDirectory() as cache:
            before = os.environ.get("PHOTOFINISH_CACHE")
            os.environ["PHOTOFINISH_CACHE"] = cache
            trained = train_entrant(
                entrant, "mine", TinyData.make(), 12, settings, 4, record=records.append, notify=unheard
            )
            os.environ.pop("PHOTOFINISH_CACHE") if before is None else os.environ.update(PHOTOFINISH_CACHE=before)
        arrays[f"losses, {name}"] = np.array([(record.train_loss, record.validation_loss) for record in records])
        arrays[f"unfolded, {name}"] = np.array(trained.statistics_unfolded)
        arrays |= {f"{name} {variable.path}": numpy(variable.value) for variable in entrant.model.weights}
    return arrays


def compute() -> Arrays:
    """Do all of it: arrays by the name of the computation and of the array."""
    found: dict[str, Callable[[], Arrays]] = {
        "network": network_arrays,
        "augment": augment_arrays,
        "backend": backend_arrays,
        "train": training_arrays,
        "staged": staged_arrays,
        **{name: lambda name=name: block_arrays(name) for name in BLOCKS},
    }
    return {f"{group}: {name}": array for group, make in found.items() for name, array in make().items()}


if __name__ == "__main__":
    np.savez(sys.argv[1], **compute())
