"""The verbs that train: `compare` and `train`."""

from __future__ import annotations

import contextlib
import shlex
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from photofinish.cli.arguments import (
    BackendOption,
    CheckpointOption,
    DataOption,
    JsonOption,
    ModelsArgument,
    OptionalModelArgument,
    RecipeOption,
    SettingsOption,
    from_file,
)
from photofinish.cli.options import with_settings
from photofinish.cli.reading import evaluate

MUCH_LARGER = 16
"""Times the pixels that the pictures have, from where on it is said: the digits are shown enlarged so much."""


@with_settings
def compare(  # noqa: PLR0913  # each argument is an option
    models: ModelsArgument = None,
    data: DataOption = None,
    recipe: RecipeOption = None,
    seeds: Annotated[int, typer.Option("--seeds", min=1, help="Repeat every model with this many seeds.")] = 1,
    output: Annotated[Path | None, typer.Option("--output", help="The study folder.")] = None,
    settings_file: SettingsOption = None,
    backend: BackendOption = "jax",
    as_json: JsonOption = False,
    *,
    checkpoint_every: CheckpointOption = None,
    settings: dict[str, Any],
) -> None:
    """Train several models under equal conditions, evaluate them on untouched pictures, write a report."""
    from photofinish import api
    from photofinish.cli.display import LineBoard, LiveBoard, PreparationProgress
    from photofinish.cli.tables import results_table
    from photofinish.errors import PhotofinishError
    from photofinish.report.memory import in_words
    from photofinish.report.names import printable, with_short_names
    from photofinish.report.verdict import cost_sentence, verdict_sentence

    console = Console(stderr=as_json, markup=False)
    boards: list[LiveBoard | LineBoard] = []

    def observer_for(plan: Any, folder: Any) -> LiveBoard | LineBoard:
        preparation.close()
        console.print(
            f"{plan.data.name}: {plan.data.train} training, {plan.data.validation} validation, {plan.data.test} test "
            f"pictures, {len(plan.data.classes)} classes, seen at {plan.data_settings.image_size} pixels; "
            f"recipe {plan.recipe}, {plan.backend}; study folder {folder.path}",
            markup=False, highlight=False,
        )  # fmt: skip
        if enlarged := _enlarged(plan.data.stored_size, plan.data_settings.image_size):
            console.print(enlarged, highlight=False)
        if plan.memory:
            console.print(printable(in_words(plan.memory, plan.training)), markup=False, highlight=False)
        board = (LiveBoard if console.is_terminal else LineBoard)(plan.cells(), console)
        boards.append(board)
        return board.__enter__()

    preparation = PreparationProgress(console)
    try:
        study = api.compare(
            models or (),
            data,
            recipe=recipe,
            seeds=seeds,
            output=output,
            backend=backend,
            observer_for=observer_for,
            progress=preparation,
            command=shlex.join(["photofinish", *sys.argv[1:]]),
            checkpoint_every=checkpoint_every or 1,
            **{**from_file(settings_file), **settings},
        )
    except KeyboardInterrupt as interrupt:
        raise _stopped(interrupt) from None
    finally:
        preparation.close()
        for board in boards:
            board.__exit__()
    if as_json:
        typer.echo(study.results.model_dump_json(by_alias=True, indent=1))
    shown = with_short_names(study.results)
    console.print()
    console.print(results_table(shown))
    console.print()
    for sentence in (verdict_sentence(shown), cost_sentence(shown), *shown.warnings):
        if sentence:
            console.print(printable(sentence), markup=False, highlight=False)
    console.print(f"\nreport: {study.report}", markup=False, highlight=False, soft_wrap=True)
    if study.failed:
        cells = "1 cell" if len(study.failed) == 1 else f"{len(study.failed)} cells"
        raise PhotofinishError(f"{cells} failed: {', '.join(study.failed)}; the report has the rest")


@with_settings
def train(  # noqa: PLR0913  # each argument is an option
    model: OptionalModelArgument = None,
    data: DataOption = None,
    recipe: RecipeOption = None,
    seed: Annotated[
        int | None, typer.Option("--seed", min=0, help="Decides initial values, order and augmentation (0).")
    ] = None,
    output: Annotated[Path | None, typer.Option("--output", help="The run folder.")] = None,
    settings_file: SettingsOption = None,
    backend: Annotated[str | None, typer.Option("--backend", help="jax (default), tensorflow or torch.")] = None,
    as_json: JsonOption = False,
    *,
    checkpoint_every: CheckpointOption = None,
    resume: Annotated[
        Path | None,
        typer.Option("--resume", metavar="RUN", help="Go on with an interrupted run; its folder has all settings."),
    ] = None,
    settings: dict[str, Any],
) -> None:
    """Train one model, save it and store its predictions."""
    from photofinish import api
    from photofinish.cli.display import LineBoard, LiveBoard, PreparationProgress
    from photofinish.config import CellSettings
    from photofinish.errors import SettingsError

    others = (recipe, seed, output, settings_file, backend, settings)
    if resume and any(one not in (None, {}) for one in others):
        raise SettingsError(
            "--resume takes the settings from the run folder: leave them and --output out; name a model or --data only "
            "where your own model or the pictures were moved"
        )
    if not resume and model is None:
        raise SettingsError("no model: name one, for example efficientnetv2-b0, or a run to go on with: --resume RUN")
    console = Console(stderr=as_json, markup=False)
    preparation = PreparationProgress(console)
    with contextlib.ExitStack() as boards:

        def board_for(cell: CellSettings) -> LiveBoard | LineBoard:
            board = (LiveBoard if console.is_terminal else LineBoard)([cell], console)
            boards.callback(board.__exit__)
            return board.__enter__()

        try:
            if resume:
                folder, record = api.resume(
                    resume, model=model, data=data, observer_for=board_for, progress=preparation,
                    checkpoint_every=checkpoint_every,
                )  # fmt: skip
            else:
                folder, record = api.train(
                    str(model), data, recipe=recipe, seed=seed or 0, output=output,
                    backend=backend or api.DEFAULT_BACKEND,
                    observer=board_for(CellSettings.of({"model": model, "seed": seed or 0})), progress=preparation,
                    checkpoint_every=checkpoint_every or 1, **{**from_file(settings_file), **settings},
                )  # fmt: skip
        except KeyboardInterrupt as interrupt:
            raise _stopped(interrupt) from None
        finally:
            preparation.close()
    if as_json:
        typer.echo(record.model_dump_json(indent=1))
        return
    evaluate(folder)
    console.print(f"run folder: {folder}", markup=False, highlight=False, soft_wrap=True)


def _enlarged(stored: tuple[int, int], image_size: int) -> str | None:
    """Say what it costs where all pictures are much smaller than the models see them."""
    times = image_size**2 / (stored[0] * stored[1])
    if times <= MUCH_LARGER:
        return None
    return (
        f"All pictures are {stored[1]}x{stored[0]} pixels and are enlarged to {image_size}: "
        f"--image-size {max(stored)} passes {times:.0f} times fewer pixels through the networks"
    )


def _stopped(interrupt: KeyboardInterrupt) -> BaseException:
    """Return what says how to go on, where the interrupt knows it: typer lets no message of an interrupt through."""
    from photofinish.errors import InterruptedRunError

    return InterruptedRunError(str(interrupt)) if str(interrupt) else interrupt
