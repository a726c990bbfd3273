"""Command-line options made from the settings themselves: one truth for names, types, choices and help."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Annotated, Any, Literal, get_args, get_origin

import typer

from photofinish.config import BenchmarkSettings, DataSettings, Ramp, Settings, TrainingSettings
from photofinish.config.memory import PROBED

Panels = dict[str, type[Settings]]
DATA_PANEL: Panels = {"Data": DataSettings}
ALL_PANELS: Panels = {**DATA_PANEL, "Training": TrainingSettings}
BENCHMARK_PANEL: Panels = {"Benchmark": BenchmarkSettings}
# `--data`, the arguments and `--backend` set them.
NOT_OPTIONS = frozenset({"source", "models", "backend"})
# What is typed to take back a recipe's value, as in `--weights none`.
NONE = "none"


def with_settings(command: Callable[..., None], panels: Panels = ALL_PANELS) -> Callable[..., None]:
    """Give a command an option for every setting; those that were used arrive as the argument `settings`.

    Args:
        command: Takes `settings`, a dictionary, among its arguments.
        panels: The groups of settings that the command heeds, by the headings of its help.
    """

    @functools.wraps(command)
    def wrapped(**arguments: Any) -> None:
        settings = {name: arguments.pop(name) for name in options}
        given = {name: value for name, value in settings.items() if value is not None}
        command(**arguments, settings={name: None if value == NONE else value for name, value in given.items()})

    options = {
        name: _option(group, name, panel)
        for panel, group in panels.items()
        for name in group.model_fields
        if name not in NOT_OPTIONS
    }
    own = inspect.signature(command, eval_str=True)
    kept = [parameter for name, parameter in own.parameters.items() if name != "settings"]
    added = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=annotation)
        for name, annotation in options.items()
    ]
    keywords = [parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY) for parameter in kept]
    wrapped.__signature__ = own.replace(parameters=[*keywords, *added])  # type: ignore[attr-defined]  # read by typer
    wrapped.__annotations__ = {parameter.name: parameter.annotation for parameter in [*kept, *added]}
    return wrapped


def with_data_settings(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command an option for every setting of the data; see `with_settings`."""
    return with_settings(command, DATA_PANEL)


def with_benchmark_settings(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command an option for every setting of a benchmark; see `with_settings`."""
    return with_settings(command, BENCHMARK_PANEL)


def _option(group: type[Settings], name: str, panel: str) -> Any:
    """Return the annotation of an option for one setting."""
    is_probed = group is TrainingSettings and name in PROBED
    kind = str if is_probed else _kind(group.model_fields[name].annotation)
    flag = f"--{name.replace('_', '-')}"
    declaration = f"{flag}/--no-{name.replace('_', '-')}" if kind is bool else flag
    information = typer.Option(
        declaration,
        help=group.explanations()[name].replace("`", ""),
        rich_help_panel=panel,
        show_default=False,
    )
    return Annotated[kind | None, information]


def _kind(annotation: Any) -> Any:
    """Return the plain type of a setting, without None; a literal stays one, and gives the option its choices."""
    if get_origin(annotation) is Annotated:
        return _kind(get_args(annotation)[0])
    if annotation is Ramp:
        return str
    if get_origin(annotation) is Literal:
        return annotation
    plain = [part for part in get_args(annotation) if part is not type(None)]
    return _kind(plain[0]) if plain else annotation
