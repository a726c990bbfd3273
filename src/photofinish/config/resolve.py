"""From a recipe, a data source and changes to complete settings."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from photofinish.config.memory import Probed, take_probed
from photofinish.config.recipes import find_recipe
from photofinish.config.settings import DataSettings, TrainingSettings
from photofinish.errors import SettingsError, nearest

DEFAULT_RECIPE = "quick"
CUSTOM = "custom"
SMALL_SOURCES = frozenset({"digits", "cifar10", "cifar100"})
SMALL_SIZE, PHOTOGRAPH_SIZE = 32, 224


@dataclass(frozen=True)
class Resolved:
    """Complete settings.

    Attributes:
        recipe: Where they came from: a recipe's name, one with changes, or `custom`.
        models: The recipe's models, none for `custom`.
        data: Which pictures.
        training: How to train.
        probed: Which of these settings is only a beginning: the largest that fits into memory is to be found.
    """

    recipe: str
    models: tuple[str, ...]
    data: DataSettings
    training: TrainingSettings
    probed: Probed | None = None


def resolve(recipe: str | None = None, source: str | None = None, changes: Mapping[str, Any] | None = None) -> Resolved:
    """Complete settings from a recipe, a data source and changes.

    Args:
        recipe: Its name. None means `quick` on the digits, and our defaults on any other data.
        source: Name or path of the data; None takes the recipe's.
        changes: Settings of `DataSettings` and `TrainingSettings` by name; they win. `batch_size` or
            `micro_batch_size` may be `auto`.

    Raises:
        SettingsError: A name is unknown or a value impossible; the nearest valid one is named.

    Examples:
        >>> resolve("quick", changes={"epochs": 3}).training.epochs
        3
        >>> resolve("quick", changes={"epoch": 3})
        Traceback (most recent call last):
        ...
        photofinish.errors.SettingsError: unknown setting 'epoch': did you mean 'epochs'?
    """
    changes, probed = take_probed(changes or {})
    for_data, for_training = _divide(changes)
    if source is not None:
        for_data["source"] = source
    if for_training.get("epochs") is not None:
        if for_training.get("steps") is not None:
            raise SettingsError("epochs and steps both say how long to train: give one of them")
        # A recipe may count steps; whoever counts epochs means epochs.
        for_training["steps"] = None
    if recipe is None and for_data.get("source", "digits") == "digits":
        recipe = DEFAULT_RECIPE
    if recipe is None:
        size = SMALL_SIZE if for_data["source"] in SMALL_SOURCES else PHOTOGRAPH_SIZE
        data = DataSettings.of({"image_size": size, **for_data})
        return Resolved(CUSTOM, (), data, TrainingSettings.of(for_training), probed)
    base = find_recipe(recipe)
    data, training = base.data.but(**for_data), base.training.but(**for_training)
    changed = probed is not None or training != base.training or data != base.data.but(source=data.source)
    return Resolved(f"{recipe} with changes" if changed else recipe, base.models, data, training, probed)


def read_settings_file(path: Path) -> dict[str, Any]:
    """Read settings from a TOML file of `name = value` lines.

    Raises:
        SettingsError: The file is missing, is not TOML, or names something unknown.
    """
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SettingsError(f"the settings file {path} cannot be read: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise SettingsError(f"the settings file {path} is not TOML: {error}") from error
    _divide(content)
    return content


def _divide(changes: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Divide settings into those of the data and those of training."""
    of_data, of_training = DataSettings.model_fields, TrainingSettings.model_fields
    for name in changes:
        if name not in of_data and name not in of_training:
            raise SettingsError(f"unknown setting '{name}': {nearest(name, {*of_data, *of_training})}")
    return (
        {name: value for name, value in changes.items() if name in of_data},
        {name: value for name, value in changes.items() if name in of_training},
    )
