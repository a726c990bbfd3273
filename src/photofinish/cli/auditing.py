"""What `photofinish data audit` prints and writes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import typer
from rich.console import Console
from rich.table import Table as ScreenTable

from photofinish.cli.display import PreparationProgress
from photofinish.config import resolve
from photofinish.report.audit import findings, groups_table, suspects_table, unreadable_table
from photofinish.report.audit_text import render_audit
from photofinish.report.names import printable
from photofinish.report.tables import Field, Table
from photofinish.runs import AuditRecord
from photofinish.storage import write_text
from photofinish.study.audit import Network, audit

ROWS = 10
JSON_NAME, TEXT_NAME = "audit.json", "audit.md"


def print_audit(
    source: str,
    settings: dict[str, Any],
    model: str,
    weights: str | None,
    backend: Any,
    output: Path | None,
    *,
    as_json: bool,
) -> None:
    """Audit a source, print what was found, and write it where that is asked for.

    Args:
        source: `digits`, `cifar10`, `cifar100`, or the path of a folder or archive.
        settings: Settings of the data.
        model: The network whose features are asked where weights are given.
        weights: Its weights, or None to do without.
        backend: The library it computes with.
        output: A folder for `audit.json` and `audit.md`, or None.
        as_json: Print JSON.
    """
    progress = PreparationProgress(Console(stderr=as_json))
    network = Network(model, weights, backend) if weights is not None else None
    try:
        record = audit(resolve(None, source, settings).data, network, progress=progress)
    finally:
        progress.close()
    if output is not None:
        record.write(output / JSON_NAME)
        write_text(output / TEXT_NAME, render_audit(record))
    if as_json:
        typer.echo(record.model_dump_json(indent=1))
        return
    _print_findings(record)
    if output is not None:
        typer.echo(f"\nwritten: {output / TEXT_NAME} and {output / JSON_NAME}")


def _print_findings(record: AuditRecord) -> None:
    # A file may be called [red].
    console = Console(markup=False, highlight=False)
    console.print(f"{printable(record.name)}: {record.pictures:,} pictures, {len(record.classes):,} classes")
    bullets = ScreenTable.grid(padding=(0, 1, 0, 0))
    bullets.add_column()
    bullets.add_column(overflow="fold")
    for sentence in findings(record):
        bullets.add_row("-", printable(sentence))
    console.print(bullets)
    for table in (unreadable_table(record, ROWS), groups_table(record, ROWS), suspects_table(record, ROWS)):
        if table is not None:
            console.print(f"\n{printable(table.caption)}")
            console.print(_on_screen(table))


def _on_screen(table: Table) -> ScreenTable:
    screen = ScreenTable(box=None, pad_edge=False)
    for number, column in enumerate(table.columns):
        screen.add_column(
            column.title, justify="right" if column.number else "left", overflow="fold", ratio=None if number else 1
        )
    for row in table.rows:
        screen.add_row(*(_text(field) for field in row))
    return screen


def _text(field: Field) -> str:
    return printable(f"{field.text} ({field.detail})" if field.detail else field.text)
