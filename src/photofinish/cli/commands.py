"""The verbs."""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from photofinish.cli.options import with_data_settings, with_settings

app = typer.Typer(
    help="Race image classifiers on your own pictures and get a verdict you can trust.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
data_app = typer.Typer(help="Fetch and check pictures.", no_args_is_help=True, rich_markup_mode=None)
app.add_typer(data_app, name="data")

FETCHED = ("cifar10", "cifar100")

DataOption = Annotated[
    str | None, typer.Option("--data", help="digits, cifar10, cifar100, or a folder or archive of pictures.")
]
RecipeOption = Annotated[str | None, typer.Option("--recipe", help="A named recipe; see: photofinish recipes.")]
SettingsOption = Annotated[
    Path | None, typer.Option("--settings", help="A TOML file of settings; options given here win over it.")
]
BackendOption = Annotated[str, typer.Option("--backend", help="jax, tensorflow or torch.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]


@app.callback(invoke_without_command=True)
def version(
    context: typer.Context,
    show: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    """Race image classifiers on your own pictures and get a verdict you can trust."""
    if show:
        from photofinish import __version__

        typer.echo(f"photofinish {__version__}")
        raise typer.Exit
    del context


@app.command()
@with_settings
def compare(  # noqa: PLR0913  # each argument is an option
    models: Annotated[list[str] | None, typer.Argument(help="Names, or path/to/model.py:function.")] = None,
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
    from photofinish.report.names import with_short_names
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
            **{**_from_file(settings_file), **settings},
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
            console.print(sentence, markup=False, highlight=False)
    console.print(f"\nreport: {study.report}", markup=False, highlight=False, soft_wrap=True)
    if study.failed:
        raise PhotofinishError(f"{len(study.failed)} cells failed: {', '.join(study.failed)}; the report has the rest")


@app.command()
@with_settings
def train(  # noqa: PLR0913  # each argument is an option
    model: Annotated[str, typer.Argument(help="A name, or path/to/model.py:function.")],
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
                progress=preparation, **{**_from_file(settings_file), **settings},
            )  # fmt: skip
    finally:
        preparation.close()
    if as_json:
        typer.echo(record.model_dump_json(indent=1))
        return
    evaluate(folder)
    console.print(f"run folder: {folder}", markup=False, highlight=False, soft_wrap=True)


@app.command()
def evaluate(
    run: Annotated[Path, typer.Argument(help="The folder of a trained model.")],
    data: Annotated[
        str | None,
        typer.Option("--data", help="Other pictures, all of whose test pictures are predicted anew."),
    ] = None,
    split: Annotated[str, typer.Option("--split", help="test or validation.")] = "test",
    model: Annotated[
        str | None, typer.Option("--model", help="path/to/model.py:function, where your own model is to predict anew.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Print accuracy, loss, confusion and per-class figures of a trained model."""
    from photofinish.cli.evaluation import print_evaluation

    print_evaluation(run, data, split, own_model=model, as_json=as_json)


@app.command()
def describe(
    model: Annotated[str, typer.Argument(help="A name, or path/to/model.py:function.")],
    image_size: Annotated[int | None, typer.Option("--image-size", min=8, help="Height and width in pixels.")] = None,
    classes: Annotated[int, typer.Option("--classes", min=2, help="Number of classes.")] = 1000,
    as_json: JsonOption = False,
) -> None:
    """Print a network stage by stage: operators, sizes, parameters, multiply-accumulates."""
    import dataclasses

    from photofinish.cli.tables import description_table
    from photofinish.models import describe as describe_model

    description = describe_model(model, image_size=image_size, classes=classes)
    if as_json:
        typer.echo(json.dumps(dataclasses.asdict(description), indent=1))
    else:
        Console(markup=False).print(description_table(description))


@app.command()
def models(as_json: JsonOption = False) -> None:
    """List the models that can race."""
    from photofinish.models import CATALOG

    if as_json:
        rows = [
            {"name": name, "image_size": entry.image_size, "weights": list(entry.weights)}
            for name, entry in CATALOG.items()
        ]
        typer.echo(json.dumps(rows, indent=1))
        return
    for name, entry in CATALOG.items():
        # A name a line: those of timm are long, and are there to be copied.
        first, *others = entry.weights or ["none published"]
        line = f"{name:<20} published at {entry.image_size} pixels   weights: "
        typer.echo(line + first)
        for weights in others:
            typer.echo(" " * len(line) + weights)
    typer.echo("path/to/model.py:function   your own keras.Model")


@app.command()
def recipes(as_json: JsonOption = False) -> None:
    """List the recipes and what they claim."""
    from photofinish.config import RECIPES

    if as_json:
        typer.echo(json.dumps([make().model_dump(mode="json") for make in RECIPES.values()], indent=1))
        return
    for make in RECIPES.values():
        recipe = make()
        typer.echo(f"{recipe.name}: {' '.join(recipe.models)}\n    " + recipe.claim.replace("\n", "\n    ") + "\n")


@app.command()
def report(study: Annotated[Path, typer.Argument(help="A study folder.")]) -> None:
    """Compute a study's figures anew from its cells and write its report again."""
    from photofinish.report import write_report
    from photofinish.runs import StudyFolder
    from photofinish.study.cells import read_plan
    from photofinish.study.collect import collect
    from photofinish.study.execute import only_one

    folder = StudyFolder(study)
    read_plan(folder)
    with only_one(folder.path):
        collect(folder).write(folder.results)
        write_report(folder)
    typer.echo(f"report: {folder.report_html}")


@data_app.command("check")
@with_data_settings
def check(
    source: Annotated[str, typer.Argument(help="digits, cifar10, cifar100, or a folder or archive of pictures.")],
    as_json: JsonOption = False,
    *,
    settings: dict[str, Any],
) -> None:
    """Read every picture, divide them, and print what was found."""
    from photofinish.cli.checking import print_data

    print_data(source, settings, as_json=as_json)


@data_app.command("fetch")
def fetch(name: Annotated[str, typer.Argument(help="cifar10 or cifar100.")]) -> None:
    """Download a data set, check it and keep it."""
    from photofinish.cli.checking import print_data
    from photofinish.errors import SettingsError, nearest

    if name not in FETCHED:
        raise SettingsError(f"unknown data set '{name}': {nearest(name, FETCHED)}")
    print_data(name, {}, as_json=False)


def _from_file(path: Path | None) -> dict[str, Any]:
    from photofinish.config import read_settings_file

    return read_settings_file(path) if path else {}
