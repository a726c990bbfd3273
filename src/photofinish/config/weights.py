"""Which weights each model of a comparison starts from.

One name or path serves all models, or each has its own: `MODEL=WEIGHTS,MODEL=WEIGHTS`, because a file fits one network
only. A path whose first part holds a `=` is written with a leading `./`.
"""

from __future__ import annotations

import re

from photofinish.errors import SettingsError

_MODEL = r"[A-Za-z0-9][A-Za-z0-9._-]*="
_NONE = "none"


def weights_by_model(weights: str) -> dict[str, str | None] | None:
    """Return the weights of each model that a list names, or None where the setting is no such list.

    Raises:
        SettingsError: A model is named twice, or without weights.

    Examples:
        >>> weights_by_model("efficientnetv2-b0=b0.h5,resnet50=none")
        {'efficientnetv2-b0': 'b0.h5', 'resnet50': None}
        >>> weights_by_model("imagenet") is None
        True
    """
    if not re.match(_MODEL, weights):
        return None
    found: dict[str, str | None] = {}
    for item in re.split(rf",(?={_MODEL})", weights):
        model, _, chosen = item.partition("=")
        if not chosen.strip(", "):
            raise SettingsError(
                f"weights={weights!r}: nothing stands after {model}=; write {model}=none for random ones"
            )
        if model in found:
            raise SettingsError(f"weights={weights!r}: {model} is named twice")
        found[model] = None if chosen == _NONE else chosen
    return found


def weights_for(weights: str | None, model: str) -> str | None:
    """Return the weights that one model starts from.

    Args:
        weights: The setting: None, a name or path for all models, or `MODEL=WEIGHTS,MODEL=WEIGHTS`.
        model: The model's name.

    Raises:
        SettingsError: The setting is such a list and the model is not in it.

    Examples:
        >>> weights_for("imagenet", "resnet50")
        'imagenet'
        >>> weights_for("efficientnetv2-b0=b0.h5,resnet50=imagenet", "resnet50")
        'imagenet'
    """
    if weights == _NONE:
        return None
    chosen = weights_by_model(weights) if weights is not None else None
    if chosen is None:
        return weights
    if model not in chosen:
        raise SettingsError(
            f"weights={weights!r} names no weights for {model}; add {model}=imagenet, a path, or {model}=none"
        )
    return chosen[model]
