"""The verbs that read what a training left: `evaluate`, `report` and `figures`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from photofinish.cli.arguments import JsonOption


def evaluate(
    run: Annotated[Path, typer.Argument(help="The folder of a trained model.")],
    data: Annotated[
        str | None,
        typer.Option("--data", help="Other pictures, all of whose test pictures are predicted anew."),
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


def report(study: Annotated[Path, typer.Argument(help="A study folder.")]) -> None:
    """Compute a study's figures anew from its cells and write its report again."""
    from photofinish.report import write_report
    from photofinish.runs import StudyFolder
    from photofinish.study.cells import read_plan
    from photofinish.study.collect import collect
    from photofinish.study.execute import only_one

    folder = StudyFolder(study)
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
