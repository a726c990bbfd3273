"""The verbs that train: `compare` and `train`."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from photofinish.cli.arguments import (
    BackendOption,
    DataOption,
    JsonOption,
    ModelArgument,
    ModelsArgument,
    RecipeOption,
    SettingsOption,
    from_file,
)
from photofinish.cli.options import with_settings
from photofinish.cli.reading import evaluate


@with_settings
def compare(  # noqa: PLR0913  # each argument is an option
    models: ModelsArgument = None,
    data: DataOption = None,
    recipe: RecipeOption = None,
    seeds: Annotated[int, typer.Option("--seeds", min=1, help="Repeat every model with this many seeds.")] = 1,
    output: Annotated[Path | None, typer.Option("--output", help="The study folder.")] = None,
    settings_file: SettingsOption = None,
    backend: BackendOption = "jax",
    as_json: JsonOption = False,
    *,
    settings: dict[str, Any],
) -> None:
    """Train several models under equal conditions, evaluate them on untouched pictures, write a report."""
    from photofinish import api
    from photofinish.cli.display import LineBoard, LiveBoard, PreparationProgress
    from photofinish.cli.tables import results_table
    from photofinish.errors import PhotofinishError
    from photofinish.report.names import printable, with_short_names
    from photofinish.report.verdict import cost_sentence, verdict_sentence

    console = Console(stderr=as_json, markup=False)
    boards: list[LiveBoard | LineBoard] = []

    def observer_for(plan: Any, folder: Any) -> LiveBoard | LineBoard:
        preparation.close()
        console.print(
            f"{plan.data.name}: {plan.data.train} training, {plan.data.validation} validation, {plan.data.test} test "
            f"pictures, {len(plan.data.classes)} classes, seen at {plan.data_settings.image_size} pixels; "
            f"recipe {plan.recipe}, {plan.backend}; study folder {folder.path}",
            markup=False, highlight=False,
        )  # fmt: skip
        board = (LiveBoard if console.is_terminal else LineBoard)(plan.cells(), console)
        boards.append(board)
        return board.__enter__()

    preparation = PreparationProgress(console)
    try:
        study = api.compare(
            models or (),
            data,
            recipe=recipe,
            seeds=seeds,
            output=output,
            backend=backend,
            observer_for=observer_for,
            progress=preparation,
            command=shlex.join(["photofinish", *sys.argv[1:]]),
            **{**from_file(settings_file), **settings},
        )
    finally:
        preparation.close()
        for board in boards:
            board.__exit__()
    if as_json:
        typer.echo(study.results.model_dump_json(by_alias=True, indent=1))
    shown = with_short_names(study.results)
    console.print()
    console.print(results_table(shown))
    console.print()
    for sentence in (verdict_sentence(shown), cost_sentence(shown), *shown.warnings):
        if sentence:
            console.print(printable(sentence), markup=False, highlight=False)
    console.print(f"\nreport: {study.report}", markup=False, highlight=False, soft_wrap=True)
    if study.failed:
        raise PhotofinishError(f"{len(study.failed)} cells failed: {', '.join(study.failed)}; the report has the rest")


@with_settings
def train(  # noqa: PLR0913  # each argument is an option
    model: ModelArgument,
    data: DataOption = None,
    recipe: RecipeOption = None,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Decides initial values, order and augmentation.")] = 0,
    output: Annotated[Path | None, typer.Option("--output", help="The run folder.")] = None,
    settings_file: SettingsOption = None,
    backend: BackendOption = "jax",
    as_json: JsonOption = False,
    *,
    settings: dict[str, Any],
) -> None:
    """Train one model, save it and store its predictions."""
    from photofinish import api
    from photofinish.cli.display import LineBoard, LiveBoard, PreparationProgress
    from photofinish.config import CellSettings

    console = Console(stderr=as_json, markup=False)
    preparation = PreparationProgress(console)
    cell = CellSettings.of({"model": model, "seed": seed})
    board = (LiveBoard if console.is_terminal else LineBoard)([cell], console)
    try:
        with board:
            folder, record = api.train(
                model, data, recipe=recipe, seed=seed, output=output, backend=backend, observer=board,
                progress=preparation, **{**from_file(settings_file), **settings},
            )  # fmt: skip
    finally:
        preparation.close()
    if as_json:
        typer.echo(record.model_dump_json(indent=1))
        return
    evaluate(folder)
    console.print(f"run folder: {folder}", markup=False, highlight=False, soft_wrap=True)
