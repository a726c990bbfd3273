"""The verb that times models: `benchmark`."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from photofinish.cli.arguments import BackendOption, JsonOption
from photofinish.cli.options import with_benchmark_settings


@with_benchmark_settings
def benchmark(
    models: Annotated[list[str], typer.Argument(help="Names, or path/to/model.py:function.")],
    output: Annotated[Path | None, typer.Option("--output", help="A folder for the dated record.")] = None,
    backend: BackendOption = "jax",
    as_json: JsonOption = False,
    *,
    settings: dict[str, Any],
) -> None:
    """Time models beside each other on this machine: training, inference, latency, compilation, memory."""
    from photofinish import api
    from photofinish.cli.speeds import print_speeds
    from photofinish.errors import PhotofinishError
    from photofinish.report.names import printable

    console = Console(stderr=as_json, markup=False)
    record = api.benchmark(
        models,
        backend=backend,
        output=output,
        notify=lambda text: console.print(printable(text), markup=False, highlight=False, soft_wrap=True),
        command=shlex.join(["photofinish", *sys.argv[1:]]),
        **settings,
    )
    if as_json:
        typer.echo(record.model_dump_json(indent=1))
    print_speeds(record, console)
    if output is not None:
        console.print(f"\nrecord: {output / record.file_name}", markup=False, highlight=False, soft_wrap=True)
    failed = [model.name for model in record.models if model.error]
    if failed:
        raise PhotofinishError(f"{len(failed)} of {len(record.models)} models failed: {', '.join(failed)}")
