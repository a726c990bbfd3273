"""Our training loop beside `model.fit`, on the same pictures in the same run.

Command: `python benchmarks/fit_or_loop.py [--rounds 5] [--model efficientnetv2-b0] [--batch-size 32]`

Contestants, each in a process of its own, taking turns (A B C A B C ...):
    loop          our network, our loop
    fit           our network, `keras.Model.fit`
    applications  the network of keras.applications, `keras.Model.fit`
All on JAX, float32, 32x32 pixels, Adam, sparse categorical cross-entropy, random pictures. A round trains 40 steps
after 10 of warm-up and reports the median step. Writes `benchmarks/results/<date>-fit-or-loop-<model>.json`.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
from pathlib import Path

from saving import save

SIZE, CLASSES, WARM_UP, STEPS = 32, 10, 10, 40
CONTESTANTS = ("loop", "fit", "applications")


def measure(contestant: str, model_name: str, batch_size: int) -> dict[str, float]:
    """Train for a while in this process; return seconds to the first step and of the median step."""
    begin = time.perf_counter()
    from photofinish import backend

    backend.select("jax")
    import numpy as np

    random = np.random.default_rng(0)
    examples = batch_size * (WARM_UP + STEPS)
    images = random.integers(0, 256, (examples, SIZE, SIZE, 3), dtype=np.uint8)
    labels = random.integers(0, CLASSES, examples, dtype=np.int32)
    run = _with_loop if contestant == "loop" else _with_fit
    ends = run(contestant, model_name, images, labels, batch_size)
    steps = [later - earlier for earlier, later in zip(ends[WARM_UP:], ends[WARM_UP + 1 :], strict=False)]
    return {"first_step_after": ends[0] - begin, "median_step": statistics.median(steps)}


def _with_loop(_contestant, model_name, images, labels, batch_size):
    import numpy as np

    from photofinish import backend
    from photofinish.config import TrainingSettings
    from photofinish.data import PreparedData
    from photofinish.models import Anatomy, Head, build
    from photofinish.runs import DataRecord, unheard
    from photofinish.training.loop import Trainer

    record = DataRecord(
        name="random", fingerprint="", classes=tuple("abcdefghij"), train=len(images), validation=1, test=1,
        stored_size=(SIZE, SIZE),
    )  # fmt: skip
    indices = np.arange(len(images))
    splits = {"train": indices, "validation": indices[:1], "test": indices[:1]}
    data = PreparedData(Path(), record, images, labels, indices.astype(str), splits)
    model = build(model_name, Head(CLASSES), image_size=SIZE, batch_normalization_momentum=0.9).model
    ends = []

    class Ends:
        """Stands in for the clock: waits after each step, as the other contestants do."""

        def __getattr__(self, name):
            return lambda *_: None

        def end(self, outputs):
            backend.wait(outputs)
            ends.append(time.perf_counter())
            return False

    trainer = Trainer(model, data, SIZE, TrainingSettings(batch_size=batch_size), 0, Anatomy(), unheard, chained=False)
    trainer.clock = Ends()
    trainer.begin_stage(trainer.stages[1])
    trainer.train_epoch(1)
    return ends


def _with_fit(contestant, model_name, images, labels, batch_size):
    import keras

    ends = []

    class Ends(keras.callbacks.Callback):
        """Notes the end of each step; reading the logs waits for the device."""

        def on_train_batch_end(self, batch, logs=None):
            float((logs or {})["loss"])
            ends.append(time.perf_counter())

    model = _applications(model_name) if contestant == "applications" else _ours(model_name)
    model.compile(
        optimizer=keras.optimizers.Adam(1e-3),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    model.fit(images, labels, batch_size=batch_size, epochs=1, shuffle=False, verbose=0, callbacks=[Ends()])
    return ends


def _ours(model_name):
    from photofinish.models import Head, build

    return build(model_name, Head(CLASSES), image_size=SIZE, batch_normalization_momentum=0.9).model


def _applications(model_name):
    import keras

    networks = {
        "efficientnetv2-b0": keras.applications.EfficientNetV2B0,
        "resnet50": keras.applications.ResNet50,
        "mobilenetv2": keras.applications.MobileNetV2,
    }
    return networks[model_name](weights=None, classes=CLASSES, input_shape=(SIZE, SIZE, 3), classifier_activation=None)


def main() -> None:
    """Take turns, print the table, write the results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--model", default="efficientnetv2-b0")
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--contestant", choices=CONTESTANTS, help="measure one in this process (used internally)")
    arguments = parser.parse_args()
    if arguments.contestant:
        print(json.dumps(measure(arguments.contestant, arguments.model, arguments.batch_size)))
        return
    rounds = []
    for number in range(arguments.rounds):
        rounds.append({name: _in_a_process(name, arguments) for name in CONTESTANTS})
        print(number + 1, {name: f"{1000 * one['median_step']:.0f} ms" for name, one in rounds[-1].items()}, flush=True)
    medians = {name: statistics.median(one[name]["median_step"] for one in rounds) for name in CONTESTANTS}
    print(f"\n{arguments.model}, batch {arguments.batch_size}, {SIZE}x{SIZE}, medians of {arguments.rounds} rounds")
    for name, seconds in medians.items():
        ratios = [one[name]["median_step"] / one["loop"]["median_step"] for one in rounds]
        ratio = statistics.median(ratios)
        print(f"{name:14}{1000 * seconds:8.1f} ms{arguments.batch_size / seconds:8.0f} img/s   {ratio:.2f} x the loop")
    content = {"batch_size": arguments.batch_size, "rounds": rounds, "medians": medians}
    print(save(f"fit-or-loop-{arguments.model}", content))


def _in_a_process(name: str, arguments: argparse.Namespace) -> dict[str, float]:
    command = [sys.executable, __file__, "--contestant", name, "--model", arguments.model]
    command += ["--batch-size", str(arguments.batch_size)]
    output = subprocess.run(command, capture_output=True, text=True, check=True).stdout  # noqa: S603  # ourselves
    result: dict[str, float] = json.loads(output.strip().splitlines()[-1])
    return result


if __name__ == "__main__":
    main()
