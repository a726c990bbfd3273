"""Settings: frozen, validated, complete. A typing error in a setting is refused, never swallowed."""

from photofinish.config.base import Settings
from photofinish.config.benchmark import BenchmarkSettings
from photofinish.config.names import is_custom
from photofinish.config.ramps import Ramp
from photofinish.config.recipe import Published, PublishedFigure, Recipe
from photofinish.config.recipes import RECIPES, find_recipe
from photofinish.config.resolve import Resolved, read_settings_file, resolve
from photofinish.config.settings import CellSettings, DataSettings, TrainingSettings
from photofinish.config.weights import weights_by_model, weights_for

__all__ = [
    "RECIPES",
    "BenchmarkSettings",
    "CellSettings",
    "DataSettings",
    "Published",
    "PublishedFigure",
    "Ramp",
    "Recipe",
    "Resolved",
    "Settings",
    "TrainingSettings",
    "find_recipe",
    "is_custom",
    "read_settings_file",
    "resolve",
    "weights_by_model",
    "weights_for",
]
