"""The verbs about pictures: `data check`, `data audit` and `data fetch`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from photofinish.cli.arguments import BackendOption, JsonOption, SourceArgument
from photofinish.cli.options import with_data_settings

FETCHED = ("cifar10", "cifar100")
DEFAULT_NETWORK = "efficientnetv2-b0"


@with_data_settings
def check(
    source: SourceArgument,
    as_json: JsonOption = False,
    *,
    settings: dict[str, Any],
) -> None:
    """Read every picture, divide them, and print what was found."""
    from photofinish.cli.checking import print_data

    print_data(source, settings, as_json=as_json)


@with_data_settings
def audit(
    source: SourceArgument,
    model: Annotated[
        str, typer.Option("--model", help="The network to ask, where weights are given.")
    ] = DEFAULT_NETWORK,
    weights: Annotated[
        str | None,
        typer.Option(
            "--weights",
            help="A published set or a file: have this network's features look for wrong labels and duplicates too.",
        ),
    ] = None,
    backend: BackendOption = "jax",
    output: Annotated[
        Path | None, typer.Option("--output", help="Write audit.json and audit.md to this folder.")
    ] = None,
    as_json: JsonOption = False,
    *,
    settings: dict[str, Any],
) -> None:
    """Look for unreadable and repeated pictures, uneven classes, odd sizes and encodings, and wrong labels."""
    from photofinish.cli.auditing import print_audit

    print_audit(source, settings, model, weights, backend, output, as_json=as_json)


def fetch(name: Annotated[str, typer.Argument(help="cifar10 or cifar100.")]) -> None:
    """Download a data set, check it and keep it."""
    from photofinish.cli.checking import print_data
    from photofinish.errors import SettingsError, nearest

    if name not in FETCHED:
        raise SettingsError(f"unknown data set '{name}': {nearest(name, FETCHED)}")
    print_data(name, {}, as_json=False)
