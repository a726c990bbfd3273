"""The verbs that tell what there is: `describe`, `models` and `recipes`."""

from __future__ import annotations

import json
from typing import Annotated

import typer
from rich.console import Console

from photofinish.cli.arguments import JsonOption, ModelArgument


def describe(
    model: ModelArgument,
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


def models(as_json: JsonOption = False) -> None:
    """List the models that can race."""
    from photofinish.catalog import CATALOG

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


def recipes(as_json: JsonOption = False) -> None:
    """List the recipes and what they claim."""
    from photofinish.config import RECIPES

    if as_json:
        typer.echo(json.dumps([make().model_dump(mode="json") for make in RECIPES.values()], indent=1))
        return
    for make in RECIPES.values():
        recipe = make()
        typer.echo(f"{recipe.name}: {' '.join(recipe.models)}\n    " + recipe.claim.replace("\n", "\n    ") + "\n")
