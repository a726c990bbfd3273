"""What a layer computes, in words, for telling programs and features apart."""

from __future__ import annotations

import keras


def layer_facts(layer: keras.layers.Layer) -> dict[str, str]:
    """Return what a layer is and the plain values it was made with.

    `get_config` would say the same by way of Keras' serialisation, which imports TensorFlow where it is installed.
    """
    values = {name: value for name, value in vars(layer).items() if not name.startswith("_") and name != "name"}
    plain = {name: repr(value) for name, value in values.items() if _is_plain(value)}
    activation = getattr(layer, "activation", None)
    return {"class": type(layer).__name__, "activation": getattr(activation, "__name__", "none"), **plain}


def _is_plain(value: object) -> bool:
    if isinstance(value, tuple | list):
        return all(_is_plain(item) for item in value)
    return value is None or isinstance(value, bool | int | float | str)
