"""Settings: frozen, validated, complete. A typing error in a setting is refused, never swallowed."""

from photofinish.config.base import Settings
from photofinish.config.recipes import RECIPES, Recipe, find_recipe
from photofinish.config.resolve import Resolved, read_settings_file, resolve
from photofinish.config.settings import CellSettings, DataSettings, TrainingSettings

__all__ = [
    "RECIPES",
    "CellSettings",
    "DataSettings",
    "Recipe",
    "Resolved",
    "Settings",
    "TrainingSettings",
    "find_recipe",
    "read_settings_file",
    "resolve",
]
