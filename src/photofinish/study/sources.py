"""The files, other than ours, that decide what a model is."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from photofinish.catalog import deciding_file, find
from photofinish.config import TrainingSettings, is_custom, weights_for
from photofinish.storage.download import checksum


def hash_sources(models: Sequence[str], training: TrainingSettings) -> dict[str, str]:
    """Return the SHA-256 of every file that decides what models are: people's own models, and weight files.

    Args:
        models: As they were asked for.
        training: Says which weights they begin with.
    """
    paths: dict[str, Path] = {}
    for model in models:
        if is_custom(model):
            paths[model] = Path(model.rpartition(":")[0])
            continue
        weights = weights_for(training.weights, model)
        path = deciding_file(find(model), weights)
        if weights is not None and path is not None:
            paths[weights] = path
    return {name: checksum(path, "SHA-256") for name, path in paths.items()}
