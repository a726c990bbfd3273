"""A trained network on disk: tensors in one safetensors file, and a manifest that says what they belong to.

The architecture comes from our code (or the user's own file), the tensors are data: nothing in the folder is executed.
"""

from __future__ import annotations

import collections
import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import safetensors.numpy
from keras import ops

from photofinish.catalog.manifest import MANIFEST, TENSORS, SavedModel, read_manifest, verified_tensors
from photofinish.catalog.tensor_files import open_tensors
from photofinish.config import is_custom
from photofinish.errors import WeightsError
from photofinish.models.building import Entrant, Head, build
from photofinish.models.describe import count_parameters
from photofinish.models.filling import fill
from photofinish.storage import require_free_space, write_json, writing
from photofinish.storage.download import checksum


def saving(
    entrant: Entrant, folder: Path, *, class_names: tuple[str, ...], image_size: int, head: Head, name: str
) -> Callable[[], None]:
    """Copy a trained network, which may then change, and return what writes the copy.

    The tensors are written first, then the manifest that vouches for them. Where the disk is full a PhotofinishError is
    raised, and what was there before still is.

    Args:
        entrant: The network.
        folder: Created when absent.
        class_names: In the order of the logits.
        image_size: Height and width in pixels.
        head: The head it was built with.
        name: The model as it was asked for.
    """
    tensors = {
        # In one piece, as safetensors needs them; `ascontiguousarray` would make a line of a single number.
        path: np.array(ops.convert_to_numpy(variable.value), order="C")
        for path, variable in _named(entrant.model)
    }
    needed = saved_bytes(entrant.model)

    def write() -> None:
        require_free_space(folder, needed, "the trained model")
        with writing(folder / TENSORS) as temporary:
            safetensors.numpy.save_file(tensors, temporary)
        manifest = SavedModel(
            name=name,
            class_names=class_names,
            image_size=image_size,
            head_units=head.units,
            dropout=head.dropout,
            input_scaling=entrant.input_scaling,
            weights=entrant.weights,
            sha256=checksum(folder / TENSORS, "SHA-256"),
        )
        write_json(folder / MANIFEST, manifest.model_dump(mode="json"))

    return write


def saved_bytes(model: keras.Model) -> int:
    """Return about how many bytes a saved network takes."""
    return 4 * count_parameters(model) + (1 << 20)


def load(folder: Path, *, own_model: str | None = None) -> tuple[Entrant, SavedModel]:
    """Build a saved network again and fill it with its tensors.

    Args:
        folder: Where it was saved.
        own_model: `path/to/model.py:function` for a network that is no part of the catalog. Its code is run, so it is
            the caller who names it; what the folder says is not enough.

    Raises:
        WeightsError: A file is missing, damaged, or does not fit.
    """
    manifest = read_manifest(folder)
    path = verified_tensors(folder, manifest)
    if is_custom(manifest.name) and own_model is None:
        raise WeightsError(
            f"{folder} holds weights of someone's own model, {manifest.name}; "
            "to have its code run, name it: --model path/to/file.py:function, or "
            "pf.load(RUN, model='path/to/file.py:function')"
        )
    head = Head(len(manifest.class_names), manifest.dropout, manifest.head_units)
    entrant = build(
        own_model if own_model and is_custom(manifest.name) else manifest.name,
        head,
        image_size=manifest.image_size,
        seed=None,
        input_scaling=manifest.input_scaling,
    )
    with open_tensors(path) as arrays:
        fill(dict(_named(entrant.model)), arrays, path=path, model=entrant.model.name)
    return dataclasses.replace(entrant, weights=manifest.weights), manifest


def _named(model: keras.Model) -> list[tuple[str, Any]]:
    """Return the variables that make up the network, with their paths; generators' state is not among them."""
    seen: collections.Counter[str] = collections.Counter()
    named = []
    for variable in model.weights:
        seen[variable.path] += 1
        # Layers of two models inside a model may have one name; the order of a network's variables is fixed.
        number = f"#{seen[variable.path]}" if seen[variable.path] > 1 else ""
        named.append((variable.path + number, variable))
    return named
