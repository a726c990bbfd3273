"""The verbs about pictures: `data check` and `data fetch`."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from photofinish.cli.arguments import JsonOption, SourceArgument
from photofinish.cli.options import with_data_settings

FETCHED = ("cifar10", "cifar100")


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


def fetch(name: Annotated[str, typer.Argument(help="cifar10 or cifar100.")]) -> None:
    """Download a data set, check it and keep it."""
    from photofinish.cli.checking import print_data
    from photofinish.errors import SettingsError, nearest

    if name not in FETCHED:
        raise SettingsError(f"unknown data set '{name}': {nearest(name, FETCHED)}")
    print_data(name, {}, as_json=False)
