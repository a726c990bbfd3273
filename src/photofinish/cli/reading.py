"""The verbs that read what a training left: `evaluate`, `report` and `figures`."""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer

from photofinish.cli.arguments import JsonOption


def evaluate(
    run: Annotated[Path, typer.Argument(help="The folder of a trained model.")],
    data: Annotated[
        str | None,
        typer.Option("--data", help="Other pictures, predicted anew: their test part, or all where they have none."),
    ] = None,
    split: Annotated[str, typer.Option("--split", help="test or validation.")] = "test",
    model: Annotated[
        str | None, typer.Option("--model", help="path/to/model.py:function, where your own model is to predict anew.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Print accuracy, loss, confusion, per-class figures and calibration of a trained model."""
    from photofinish.cli.evaluation import print_evaluation

    print_evaluation(run, data, split, own_model=model, as_json=as_json)


def report(
    studies: Annotated[list[Path], typer.Argument(help="A study folder, or several that are to be joined.")],
    output: Annotated[
        Path | None, typer.Option("--output", help="Where to write a joined study; a single one is then copied.")
    ] = None,
) -> None:
    """Compute a study's figures anew and write its report again; several studies are joined into one."""
    from photofinish import api
    from photofinish.errors import SettingsError
    from photofinish.report.page import write_report
    from photofinish.runs import StudyFolder
    from photofinish.study.cells import read_plan
    from photofinish.study.collect import collect
    from photofinish.study.locks import only_one

    if output is not None:
        command = shlex.join(["photofinish", *sys.argv[1:]])
        typer.echo(f"report: {api.join(studies, output, command=command).report}")
        return
    if len(studies) > 1:
        raise SettingsError("several studies are joined into a new folder: name it with --output FOLDER")
    folder = StudyFolder(studies[0])
    read_plan(folder)
    with only_one(folder.path):
        collect(folder).write(folder.results)
        write_report(folder)
    typer.echo(f"report: {folder.report_html}")


def figures(
    study: Annotated[Path, typer.Argument(help="A study folder.")],
    formats: Annotated[
        list[str] | None, typer.Option("--format", help="svg, png or pdf; may be repeated. All three by default.")
    ] = None,
    output: Annotated[Path | None, typer.Option("--output", help="figures/ in the study by default.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Write a study's plots and its LaTeX table for a paper."""
    from photofinish.report.papers import FORMATS, write_figures
    from photofinish.runs import StudyFolder

    written = write_figures(StudyFolder(study), formats or FORMATS, output)
    if as_json:
        typer.echo(json.dumps([str(path) for path in written], indent=1))
        return
    for path in written:
        typer.echo(path)
