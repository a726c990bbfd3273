"""The verbs as Python functions; the command line calls these."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from photofinish.config import BenchmarkSettings, CellSettings, resolve
from photofinish.data import Progress
from photofinish.errors import PhotofinishError, SettingsError
from photofinish.report import write_report
from photofinish.runs import RunFolder, RunRecord, StudyFolder, cell_name
from photofinish.runs.benchmark import BenchmarkRecord
from photofinish.study.benchmark.conduct import run_benchmark
from photofinish.study.execute import Observer, execute, only_one, refuse_another_run
from photofinish.study.plan import Plan
from photofinish.study.race import Race, prepare_race, run_race
from photofinish.study.results import Results

DEFAULT_BACKEND = "jax"


@dataclass(frozen=True)
class Study:
    """A finished comparison.

    Attributes:
        folder: Where everything lies.
        results: The figures.
        report: The report as a page.
        failed: The cells that failed, in words.
    """

    folder: Path
    results: Results
    report: Path
    failed: tuple[str, ...]


def compare(  # noqa: PLR0913  # what every comparison is asked for, all but two by name
    models: Sequence[str] = (),
    data: str | None = None,
    *,
    recipe: str | None = None,
    seeds: int | Sequence[int] = 1,
    output: str | Path | None = None,
    backend: str = DEFAULT_BACKEND,
    observer_for: Callable[[Plan, StudyFolder], Observer] = lambda *_: Observer(),
    progress: Progress | None = None,
    command: str = "",
    **settings: Any,
) -> Study:
    """Train several classifiers under equal conditions, evaluate them on untouched pictures, write a report.

    Running it again with the same arguments goes on where it stopped; more models and seeds may join.

    Args:
        models: Names from the catalog, or `path/to/model.py:function`; none takes the recipe's.
        data: `digits`, `cifar10`, `cifar100`, or the path of a folder or archive; None takes the recipe's.
        recipe: Name of a recipe; None means `quick` on the digits, and our defaults on other data.
        seeds: How many seeds, counted from 0, or which.
        output: The study folder; None names one under `studies/`.
        backend: `jax`, `tensorflow` or `torch`.
        observer_for: Makes what is told how the cells fare.
        progress: Is told of downloads and preparation.
        command: The command line, for the record.
        settings: Any setting of `DataSettings` and `TrainingSettings`, for example `epochs=3`.

    Raises:
        PhotofinishError: Something that the message names, and how to mend it.
    """
    resolved = resolve(recipe, data, settings)
    chosen = tuple(models) or resolved.models
    if not chosen:
        raise SettingsError("no models: name at least one, for example efficientnetv2-b0 resnet50")
    race = Race(
        models=tuple(dict.fromkeys(chosen)),
        seeds=tuple(range(seeds)) if isinstance(seeds, int) else tuple(dict.fromkeys(seeds)),
        data=resolved.data,
        training=resolved.training,
        recipe=resolved.recipe,
        backend=backend,  # type: ignore[arg-type]  # checked when the plan is made
        command=command,
    )
    folder, results, records = run_race(race, Path(output) if output else None, observer_for, progress)
    with only_one(folder.path):
        write_report(folder)
    failed = [f"{one.settings.model} seed {one.settings.seed}" for one in records if one.status == "failed"]
    return Study(folder.path, results, folder.report_html, tuple(failed))


def train(
    model: str,
    data: str | None = None,
    *,
    recipe: str | None = None,
    seed: int = 0,
    output: str | Path | None = None,
    backend: str = DEFAULT_BACKEND,
    observer: Observer | None = None,
    progress: Progress | None = None,
    **settings: Any,
) -> tuple[Path, RunRecord]:
    """Train one classifier, save it and store its predictions.

    Args:
        model: A name from the catalog, or `path/to/model.py:function`.
        data: As for `compare`.
        recipe: As for `compare`.
        seed: Decides initial values, order and augmentation.
        output: The run folder; None names one under `runs/`.
        backend: As for `compare`.
        observer: Is told how the run fares.
        progress: Is told of downloads and preparation.
        settings: As for `compare`.

    Returns:
        The run folder and its record.

    Raises:
        PhotofinishError: Something that the message names, and how to mend it.
    """
    resolved = resolve(recipe, data, settings)
    race = Race((model,), (seed,), resolved.data, resolved.training, resolved.recipe, backend)  # type: ignore[arg-type]  # checked next
    prepared = prepare_race(race, progress)
    cell = CellSettings.of(
        {
            "model": model,
            "seed": seed,
            "backend": backend,
            "data": resolved.data,
            "training": resolved.training,
        }
    )
    name = f"{cell_name(model)}-{cell_name(prepared.record.name)}-seed-{seed}"
    folder = RunFolder(Path(output) if output else Path("runs") / name)
    with only_one(folder.path):
        refuse_another_run(cell, prepared.record, folder)
        record = execute(cell, prepared.folder, folder, observer or Observer())
    if record.status == "failed":
        raise PhotofinishError(f"{model} failed: {record.error}")
    return folder.path, record


def benchmark(
    models: Sequence[str],
    *,
    backend: str = DEFAULT_BACKEND,
    output: str | Path | None = None,
    notify: Callable[[str], None] = lambda _: None,
    command: str = "",
    **settings: Any,
) -> BenchmarkRecord:
    """Time models beside each other on this machine, each in its own process, taking turns.

    Training and prediction are those of `compare`, on pictures of noise: what is in them changes no time.

    Args:
        models: Names from the catalog, or `path/to/model.py:function`.
        backend: As for `compare`.
        output: A folder for the dated record; None writes none.
        notify: Is told what is being done.
        command: The command line, for the record.
        settings: Any setting of `BenchmarkSettings`, for example `image_size=224`.

    Returns:
        The record; a model that failed has an `error` and no figures.

    Raises:
        PhotofinishError: Something that the message names, and how to mend it.
    """
    chosen = {"models": tuple(dict.fromkeys(models)), "backend": backend, **settings}
    record = run_benchmark(BenchmarkSettings.of(chosen), notify, command)
    if output is not None:
        record.write(Path(output))
    return record
