"""Options that several verbs share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

DataOption = Annotated[
    str | None, typer.Option("--data", help="digits, cifar10, cifar100, or a folder or archive of pictures.")
]
SourceArgument = Annotated[str, typer.Argument(help="digits, cifar10, cifar100, or a folder or archive of pictures.")]
ModelArgument = Annotated[str, typer.Argument(help="A name, or path/to/model.py:function.")]
OptionalModelArgument = Annotated[str | None, typer.Argument(help="A name, or path/to/model.py:function.")]
ModelsArgument = Annotated[list[str] | None, typer.Argument(help="Names, or path/to/model.py:function.")]
RecipeOption = Annotated[str | None, typer.Option("--recipe", help="A named recipe; see: photofinish recipes.")]
SettingsOption = Annotated[
    Path | None, typer.Option("--settings", help="A TOML file of settings; options given here win over it.")
]
BackendOption = Annotated[str, typer.Option("--backend", help="jax, tensorflow or torch.")]
CheckpointOption = Annotated[
    str | None,
    typer.Option(
        "--checkpoint-every",
        metavar="MINUTES",
        help="Minutes from one checkpoint of a training to the next (1), or steps as in 500steps; 0 is never.",
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]


def from_file(path: Path | None) -> dict[str, Any]:
    """Return the settings in a file, none where no file is named."""
    from photofinish.config import read_settings_file

    return read_settings_file(path) if path else {}
