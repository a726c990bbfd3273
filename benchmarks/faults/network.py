"""A tiny network whose file, imported by the worker, injects the fault named in `FAULT` and keeps the order ledger.

`FAULT` is `module:function:count`: the process is killed with SIGKILL when that function is called for the n-th time.
`PACE` makes every step so many seconds longer.
`LEDGER` names a file that gets a line for each step taken: epoch, step in it, the indices that count.
"""

import importlib
import itertools
import json
import os
import signal
import time
import types
from pathlib import Path

import keras


def _patch(module, name, around):
    owner = importlib.import_module(module)
    setattr(owner, name, around(getattr(owner, name)))


def _killing(count):
    def around(function):
        calls = itertools.count(1)

        def call(*arguments, **options):
            if next(calls) == count:
                os.kill(os.getpid(), signal.SIGKILL)
            return function(*arguments, **options)

        return call

    return around


def _slowed(seconds):
    def around(function):
        def call(*arguments, **options):
            time.sleep(seconds)
            return function(*arguments, **options)

        return call

    return around


def _ledger(path):
    from photofinish.training import loop

    epoch = [0]
    file = Path(path).open("a", buffering=1)  # noqa: SIM115  # until the process ends
    order = loop.epoch_order

    def epoch_order(count, seed, number):
        epoch[0] = number
        return order(count, seed, number)

    def islice(drawn, taken, end):
        for step, batch in enumerate(itertools.islice(drawn, taken, end), start=taken):
            chosen = batch.indices[batch.weights > 0].tolist()
            file.write(json.dumps([epoch[0], step, chosen]) + "\n")
            yield batch

    loop.epoch_order = epoch_order
    loop.itertools = types.SimpleNamespace(islice=islice)


if "FAULT" in os.environ:
    _module, _name, _count = os.environ["FAULT"].split(":")
    _patch(_module, _name, _killing(int(_count)))
if "PACE" in os.environ:
    _patch("photofinish.training.loop", "learning_rate", _slowed(float(os.environ["PACE"])))
if "LEDGER" in os.environ:
    _ledger(os.environ["LEDGER"])


def features():
    """Return the feature map of a network with everything that has state: BatchNormalization, dropout's generator."""
    layers = keras.layers
    inputs = keras.Input((None, None, 3))
    x = layers.Conv2D(8, 3, strides=4, name="conv")(layers.Rescaling(1 / 128, -1)(inputs))
    return keras.Model(inputs, layers.Dropout(0.2, name="drop")(layers.BatchNormalization(name="norm")(x)))


def tiny(classes):
    """Return it with a head of its own."""
    body = features()
    x = keras.layers.GlobalAveragePooling2D()(body.output)
    return keras.Model(body.input, keras.layers.Dense(classes, name="head")(x))
