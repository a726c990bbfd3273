"""The verb before a race: `plan`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from photofinish.cli.arguments import (
    BackendOption,
    DataOption,
    JsonOption,
    ModelsArgument,
    RecipeOption,
    SettingsOption,
    from_file,
)
from photofinish.cli.options import with_settings
from photofinish.storage.sizes import size

if TYPE_CHECKING:
    from photofinish.study.forecast import Detectable, Forecast, ModelCost


@with_settings
def plan(  # noqa: PLR0913  # each argument is an option
    models: ModelsArgument = None,
    data: DataOption = None,
    recipe: RecipeOption = None,
    seeds: Annotated[int, typer.Option("--seeds", min=1, help="Repeat every model with this many seeds.")] = 3,
    output: Annotated[Path | None, typer.Option("--output", help="The study folder of the race to come.")] = None,
    settings_file: SettingsOption = None,
    backend: BackendOption = "jax",
    as_json: JsonOption = False,
    *,
    like: Annotated[
        Path | None, typer.Option("--like", help="An earlier study whose figures are taken; cost on the same machine.")
    ] = None,
    accuracy: Annotated[float | None, typer.Option("--accuracy", help="Expected accuracy, for example 0.9.")] = None,
    disagreement: Annotated[
        float | None,
        typer.Option("--disagreement", help="Share of test pictures that one of two models gets right, not both."),
    ] = None,
    seed_disagreement: Annotated[
        float | None, typer.Option("--seed-disagreement", help="The same of two seeds of one model.")
    ] = None,
    seed_spread: Annotated[
        float | None,
        typer.Option("--seed-spread", help="Standard deviation of accuracy between seeds, 0.01 for one point."),
    ] = None,
    measure: Annotated[
        bool, typer.Option("--measure/--no-measure", help="Time a few steps of every model on this machine.")
    ] = True,
    settings: dict[str, Any],
) -> None:
    """Say how small a difference a race can show and what it will cost, before it is run."""
    from photofinish import api
    from photofinish.cli.display import PreparationProgress

    console = Console(stderr=as_json, markup=False)
    preparation = PreparationProgress(console)

    def on_model(model: str) -> None:
        preparation("timing a few steps of " + model, 0, None)

    try:
        found = api.plan(
            models or (), data, recipe=recipe, seeds=seeds, output=output, backend=backend, like=like,
            accuracy=accuracy, disagreement=disagreement, seed_disagreement=seed_disagreement, seed_spread=seed_spread,
            measure=measure, progress=preparation, on_model=on_model, **{**from_file(settings_file), **settings},
        )  # fmt: skip
    finally:
        preparation.close()
    if as_json:
        typer.echo(found.model_dump_json(indent=1))
    else:
        print_forecast(found, console)


def print_forecast(found: Forecast, console: Console) -> None:
    """Print what a race can show and what it costs."""
    from photofinish.report.memory import in_words
    from photofinish.report.names import printable

    def say(text: str = "") -> None:
        console.print(printable(text), markup=False, highlight=False)

    data = found.data
    say(
        f"{data.name}: {data.train} training, {data.validation} validation, {data.test} test pictures, "
        f"{len(data.classes)} classes; study folder {found.folder}"
    )
    if found.memory:
        say(in_words(found.memory, found.training))
    say()
    if found.detectable:
        pairs = "1 pair" if found.pairs == 1 else f"{found.pairs} pairs (Holm's correction)"
        say(f"Smallest true difference that is found in {found.power:.0%} of races, at {found.level:.0%} for {pairs}:")
        console.print(_detectable_table(found.detectable, found.seeds))
        if any(row.difference is None for row in found.detectable):
            say("none: at this accuracy no difference is large enough to be found so often.")
        for line in _assumed(found):
            say(line)
        say()
    say("Cost in wall time, one cell after the other:")
    console.print(_cost_table(found.costs))
    for line in _cost_notes(found):
        say(line)


def _detectable_table(rows: tuple[Detectable, ...], asked: int) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for title, justify in (("seeds", "left"), ("difference, points", "right"), ("each accuracy, points", "right")):
        table.add_column(title, justify=justify, no_wrap=True)  # type: ignore[arg-type]  # literals above
    for row in rows:
        table.add_row(
            f"{row.seeds}{'  asked for' if row.seeds == asked else ''}",
            "none" if row.difference is None else f"{100 * row.difference:.1f}",
            f"+- {100 * row.accuracy_margin:.1f}",
        )
    return table


def _assumed(found: Forecast) -> list[str]:
    """Say what the statistics rest on."""
    expected = found.assumptions
    named = {
        "accuracy about": (expected.accuracy, "--accuracy"),
        "two models disagree on": (expected.disagreement, "--disagreement"),
        "two seeds of one model on": (expected.seed_disagreement, "--seed-disagreement"),
        "seeds spread by": (expected.seed_spread, "--seed-spread"),
    }
    parts = [f"{words} {100 * one.value:.1f}% ({one.source}; {option})" for words, (one, option) in named.items()]
    caution = (
        "With one seed each two trained networks are told apart, not two models: a pair of equal models would be "
        f"called different in {found.false_alarms:.0%} of races."
    )
    return [f"Expected: {'; '.join(parts)}.", caution]


def _cost_table(costs: tuple[ModelCost, ...]) -> Table:
    from photofinish.cli.board import duration
    from photofinish.report.names import printable

    with_features = any(one.cost and one.cost.features for one in costs)
    titles = ["model", "cells", "each cell", "training", "compiling", "memory"]
    titles[5:5] = ["features"] if with_features else []
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for number, title in enumerate(titles):
        table.add_column(title, justify="left" if number == 0 else "right", no_wrap=True)
    for one in costs:
        name, cells = printable(one.model.rsplit("/", 1)[-1]), str(one.seeds)
        if one.cost is None:
            table.add_row(name, cells, "not measured" if one.seeds else "")
            continue
        table.add_row(
            name, cells, duration(one.cost.every_seed), duration(one.cost.train),
            duration(one.cost.compile + one.cost.compile_other),
            *([duration(one.cost.features)] if with_features else []), size(one.cost.peak_memory_bytes),
        )  # fmt: skip
    return table


def _cost_notes(found: Forecast) -> list[str]:
    from photofinish.cli.board import duration

    sources = dict.fromkeys(f"{one.model.rsplit('/', 1)[-1]} {one.cost.source}" for one in found.costs if one.cost)
    once = all(one.cost.compiles_once for one in found.costs if one.cost)
    how_often = "once for all seeds of a model, and not in each cell" if once else "in each cell: nothing is kept"
    notes = [f"{'; '.join(sources)}. Compiling is {how_often}."] if sources else []
    done = found.seeds * len(found.costs) - sum(one.seeds for one in found.costs)
    if done:
        notes.append(f"Cells that are finished already and cost nothing more: {done}.")
    busy = {one.model.rsplit("/", 1)[-1]: one.cost.load for one in found.costs if one.cost and one.cost.load}
    heavy = [f"{name} ({load.evidence})" for name, load in busy.items() if load.is_heavy]
    if heavy:
        notes.append(f"Measured beside other heavy work: {', '.join(heavy)}. A quiet machine takes less.")
    if any(one.cost and one.cost.load for one in found.costs):
        notes.append("Measuring leaves no compiled programs behind. --no-measure does without, --like takes a study's.")
    if found.seconds is None:
        notes.append("In all: not known, some models were not measured (--measure).")
    else:
        memory = f", at most {size(found.peak_memory_bytes)} of memory" if found.peak_memory_bytes else ""
        notes.append(f"In all: about {duration(found.seconds)}{memory}.")
    return notes
