"""What `photofinish data check` prints."""

from __future__ import annotations

from typing import Any

import typer
from rich.console import Console

from photofinish.cli.display import PreparationProgress
from photofinish.config import resolve
from photofinish.data import prepare

NAMED_CLASSES = 20


def print_data(source: str, settings: dict[str, Any], *, as_json: bool) -> None:
    """Prepare a source and print what it holds.

    Args:
        source: `digits`, `cifar10`, `cifar100`, or the path of a folder or archive.
        settings: Settings of the data.
        as_json: Print JSON.
    """
    progress = PreparationProgress(Console(stderr=as_json))
    try:
        record = prepare(resolve(None, source, settings).data, progress=progress).record
    finally:
        progress.close()
    if as_json:
        typer.echo(record.model_dump_json(indent=1))
        return
    height, width = record.stored_size
    names = ", ".join(record.classes[:NAMED_CLASSES]) + (", ..." if len(record.classes) > NAMED_CLASSES else "")
    typer.echo(f"{record.name}: {record.train} training, {record.validation} validation, {record.test} test pictures")
    typer.echo(f"{len(record.classes)} classes: {names}")
    typer.echo(f"kept at {height}x{width} pixels; fingerprint {record.fingerprint}")
    if record.repeated_across_splits:
        typer.echo(f"{record.repeated_across_splits} pictures are in more than one split, byte for byte")
    for skipped in record.skipped:
        typer.echo(f"left out: {skipped}")
