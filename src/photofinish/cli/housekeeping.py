"""The verbs that look after folders of runs: `runs list`, `runs check` and `runs prune`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from photofinish.cli.arguments import JsonOption
from photofinish.storage.sizes import size


def list_runs(
    folders: Annotated[list[Path] | None, typer.Argument(help="Folders that hold runs; this one by default.")] = None,
    as_json: JsonOption = False,
) -> None:
    """List the runs below folders: model, seed, status, test accuracy, size, age."""
    from rich.console import Console
    from rich.table import Table

    from photofinish.report.names import printable
    from photofinish.study.upkeep.inventory import find_runs, summarize

    summaries = [summarize(found) for found in find_runs(folders or [Path()])]
    if as_json:
        typer.echo(json.dumps([one.model_dump() for one in summaries], indent=1))
        return
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for title in ("model", "seed", "status", "test accuracy", "size", "age", "folder"):
        right = title in {"seed", "test accuracy", "size", "age"}
        table.add_column(title, justify="right" if right else "left", no_wrap=title != "folder", overflow="fold")
    for one in summaries:
        table.add_row(
            printable(one.model.rsplit("/", 1)[-1]), "" if one.seed is None else str(one.seed), one.status,
            "" if one.accuracy is None else f"{100 * one.accuracy:.2f}%", size(one.bytes), age(one.age_seconds),
            printable(one.folder),
        )  # fmt: skip
    console = Console(markup=False, highlight=False)
    console.print(table)
    runs = "1 run" if len(summaries) == 1 else f"{len(summaries)} runs"
    console.print(f"{runs}, {size(sum(one.bytes for one in summaries))}")


def check(
    folder: Annotated[Path, typer.Argument(help="A run folder or a study folder.")], as_json: JsonOption = False
) -> None:
    """Verify a run or a study: records, predictions, models and their checksums, settings against the plan."""
    from photofinish.errors import StudyError
    from photofinish.report.names import printable
    from photofinish.study.upkeep.verify import check_folder

    defects = check_folder(folder)
    if as_json:
        typer.echo(json.dumps([one.model_dump() for one in defects], indent=1))
    else:
        for one in defects:
            typer.echo(f"{printable(one.file)}: {printable(one.problem)}")
    if defects:
        things = "1 thing is" if len(defects) == 1 else f"{len(defects)} things are"
        raise StudyError(f"{printable(str(folder))}: {things} wrong")
    if not as_json:
        typer.echo(f"{printable(str(folder))}: nothing is wrong")


def prune(
    folder: Annotated[Path, typer.Argument(help="A folder that holds runs or studies.")],
    yes: Annotated[bool, typer.Option("--yes", help="Delete what is listed.")] = False,
    as_json: JsonOption = False,
) -> None:
    """List half-written files, failed and abandoned runs and checkpoints no longer needed; delete them with --yes."""
    from photofinish.report.names import printable
    from photofinish.study.upkeep.prune import find_leftovers, remove

    leftovers, in_use = find_leftovers(folder)
    if as_json:
        typer.echo(json.dumps([one.model_dump() for one in leftovers], indent=1))
    else:
        for one in leftovers:
            typer.echo(f"{size(one.bytes):>9}  {printable(one.path)}  ({one.why})")
        for found in in_use:
            typer.echo(f"in use, left alone: {printable(str(found.run.path))}")
    total = size(sum(one.bytes for one in leftovers))
    if yes:
        remove(leftovers)
    if not as_json:
        done = "deleted" if yes else "nothing was deleted; --yes deletes this"
        things = "1 leftover" if len(leftovers) == 1 else f"{len(leftovers)} leftovers"
        typer.echo(f"{things}, {total}: {done}" if leftovers else "nothing to delete")


def age(seconds: float) -> str:
    """Return how long ago something was, in its largest unit.

    Examples:
        >>> age(40), age(7_300), age(400_000)
        ('40 s', '2 h', '5 d')
    """
    for unit, length in (("d", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= length:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds:.0f} s"
