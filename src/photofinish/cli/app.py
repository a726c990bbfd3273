"""The command line's verbs, by name."""

from __future__ import annotations

from typing import Annotated

import typer

from photofinish.cli import benchmarking, housekeeping, listing, pictures, planning, racing, reading


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


app = typer.Typer(
    help="Race image classifiers on your own pictures and get a verdict you can trust.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
app.callback(invoke_without_command=True)(version)
for verb in (planning.plan, racing.compare, racing.train, benchmarking.benchmark):
    app.command()(verb)
for verb in (reading.evaluate, reading.report, reading.figures):
    app.command()(verb)
for verb in (listing.describe, listing.models, listing.recipes):
    app.command()(verb)

data_app = typer.Typer(help="Fetch, check and audit pictures.", no_args_is_help=True, rich_markup_mode=None)
for verb in (pictures.check, pictures.audit, pictures.fetch):
    data_app.command()(verb)
app.add_typer(data_app, name="data")

runs_app = typer.Typer(help="List, verify and tidy up runs.", no_args_is_help=True, rich_markup_mode=None)
runs_app.command("list")(housekeeping.list_runs)
for verb in (housekeeping.check, housekeeping.prune):
    runs_app.command()(verb)
app.add_typer(runs_app, name="runs")
