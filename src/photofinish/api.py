"""The verbs as Python functions; the command line calls these."""

from __future__ import annotations

import contextlib
import shlex
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from photofinish.config import BenchmarkSettings, CellSettings, is_custom, resolve
from photofinish.config.checkpoints import CheckpointEvery
from photofinish.config.memory import Probed
from photofinish.data import Progress
from photofinish.data.sources import KNOWN_SOURCES
from photofinish.errors import DataError, PhotofinishError, SettingsError
from photofinish.report.memory import in_words
from photofinish.runs import RunFolder, RunRecord, StudyFolder, cell_name
from photofinish.runs.benchmark import BenchmarkRecord
from photofinish.runs.memory import MemoryRecord
from photofinish.storage.folders import building
from photofinish.study.assumptions import Given
from photofinish.study.benchmark.conduct import run_benchmark
from photofinish.study.cell import choose_backend
from photofinish.study.cells import finished_run
from photofinish.study.collect import collect
from photofinish.study.execute import Observer, execute, refuse_another_run, waiting_worker
from photofinish.study.fitting import find_size, size_before
from photofinish.study.forecast import Forecast, forecast
from photofinish.study.joining import join_studies, require_joinable_into
from photofinish.study.locks import only_one
from photofinish.study.plan import Plan
from photofinish.study.probing import with_size
from photofinish.study.race import Race, prepare_race, run_race
from photofinish.study.results import Results
from photofinish.study.resuming import read_interrupted

if TYPE_CHECKING:  # this imports Keras
    from photofinish.evaluation.classifier import Classifier

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
    checkpoint_every: float | str = 1,
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
        checkpoint_every: Minutes between checkpoints of a training, or steps as in `"500steps"`; 0 is never.
        settings: Any setting of `DataSettings` and `TrainingSettings`, for example `epochs=3`.

    Raises:
        PhotofinishError: Something that the message names, and how to mend it.
    """
    race = _race(models, data, recipe, seeds, backend, settings, command)
    every = CheckpointEvery.parse(checkpoint_every)
    folder, results, records = run_race(race, Path(output) if output else None, observer_for, progress, every)
    # Not before the race: the first model would train a second later.
    from photofinish.report.page import write_report

    with only_one(folder.path):
        write_report(folder)
    failed = [f"{one.settings.model} seed {one.settings.seed}" for one in records if one.status == "failed"]
    return Study(folder.path, results, folder.report_html, tuple(failed))


def plan(  # noqa: PLR0913  # as `compare`, and what is known beforehand
    models: Sequence[str] = (),
    data: str | None = None,
    *,
    recipe: str | None = None,
    seeds: int | Sequence[int] = 3,
    output: str | Path | None = None,
    backend: str = DEFAULT_BACKEND,
    like: str | Path | None = None,
    accuracy: float | None = None,
    disagreement: float | None = None,
    seed_disagreement: float | None = None,
    seed_spread: float | None = None,
    measure: bool = True,
    progress: Progress | None = None,
    on_model: Callable[[str], None] = lambda _: None,
    **settings: Any,
) -> Forecast:
    """Say, before a race, how small a difference it can show and what it will cost.

    No study is written. What the race would need lies in the cache afterwards: the pictures, prepared, and weights and
    pictures that had to be fetched.

    Args:
        models: As for `compare`.
        data: As for `compare`.
        recipe: As for `compare`.
        seeds: As for `compare`.
        output: As for `compare`; what has been run in that folder already is learned from.
        backend: As for `compare`.
        like: Another study folder to learn from.
        accuracy: Accuracy about which the models are expected to lie, between 0 and 1.
        disagreement: Share of test pictures that one of two models is expected to get right and the other wrong.
        seed_disagreement: The same of two seeds of one model.
        seed_spread: Standard deviation of a seed's accuracy that is expected, 0.01 for one point.
        measure: Whether to run a few steps of every model that no earlier study tells the cost of.
        progress: Is told of downloads and preparation.
        on_model: Is told which model is measured next.
        settings: As for `compare`.

    Raises:
        PhotofinishError: Something that the message names, and how to mend it.
    """
    given = Given.of(
        {
            "accuracy": accuracy,
            "disagreement": disagreement,
            "seed_disagreement": seed_disagreement,
            "seed_spread": seed_spread,
        }
    )
    return forecast(
        _race(models, data, recipe, seeds, backend, settings),
        Path(output) if output else None,
        like=Path(like) if like else None,
        given=given,
        measuring=measure,
        progress=progress,
        on_model=on_model,
    )


def _race(
    models: Sequence[str],
    data: str | None,
    recipe: str | None,
    seeds: int | Sequence[int],
    backend: str,
    settings: Mapping[str, Any],
    command: str = "",
) -> Race:
    """Return a race from what was asked for, completed by its recipe."""
    resolved = resolve(recipe, data, settings)
    chosen = _names(models) or resolved.models
    if not chosen:
        raise SettingsError("no models: name at least one, for example efficientnetv2-b0 resnet50")
    return Race(
        models=_each_once(chosen),
        seeds=tuple(range(seeds)) if isinstance(seeds, int) else tuple(dict.fromkeys(seeds)),
        data=resolved.data,
        training=resolved.training,
        recipe=resolved.recipe,
        backend=backend,  # type: ignore[arg-type]  # checked when the plan is made
        command=command,
        probed=resolved.probed,
    )


def _names(models: str | Sequence[str]) -> tuple[str, ...]:
    """Return the names of the models; refuse what is no name: a race builds every model anew in other processes."""
    names = (models,) if isinstance(models, str) else tuple(models)
    for one in names:
        if not isinstance(one, str):
            raise SettingsError(
                f"models are given by name, not as a {type(one).__name__}: a name from the catalog, or "
                "path/to/file.py:function for a function that returns your keras.Model"
            )
    return names


def _each_once(models: Sequence[str]) -> tuple[str, ...]:
    """Return the models; refuse one that is named twice, which was meant to be another or to be repeated."""
    twice = [model for model, count in Counter(models).items() if count > 1]
    if twice:
        raise SettingsError(
            f"{', '.join(twice)} is named more than once: name each model once; a race repeats it with more seeds"
        )
    return tuple(models)


def join(studies: Sequence[str | Path], output: str | Path, *, command: str = "") -> Study:
    """Join several studies, of one machine or one day each, into one, and write its report.

    Args:
        studies: Study folders. They may not differ in pictures or treatment; what they may differ in, the report lists.
        output: The folder of the joined study. It must not exist, be empty, or be of an earlier joining.
        command: The command line, for the record.

    Raises:
        PhotofinishError: Something that the message names, and how to mend it.
    """
    from photofinish.report.page import write_report  # as in `compare`

    target = Path(output)
    sources = [Path(study) for study in studies]
    require_joinable_into(target, sources)
    # Built beside its place and moved there whole: what was joined before is kept until then.
    with building(target, lambda _: False) as temporary:
        folder = join_studies(sources, temporary, command)
        results = collect(folder)
        results.write(folder.results)
        write_report(folder)
    failed = [f"{model.name} seed {seed}" for model in results.models for seed in model.failed_seeds]
    return Study(target, results, StudyFolder(target).report_html, tuple(failed))


def load(run: str | Path, *, model: str | None = None, best: bool = False) -> Classifier:
    """Open the network of a finished run, ready to name what is on pictures.

    It computes with the backend and in the precision of the run.

    Args:
        run: A run folder; those of a study are its `cells/<model>/seed-<k>`.
        model: `path/to/model.py:function`, for a network that is no part of the catalog. Its code is run.
        best: The weights of the epoch with the highest validation accuracy, where a run kept them, instead of the last.

    Raises:
        StudyError: There is no finished run.
        SettingsError: The run's backend is not installed, or Keras already runs on another one.
        WeightsError: The saved network is missing or damaged.
    """
    folder, record, trained_on = finished_run(Path(run))
    choose_backend(record.settings)
    from photofinish.evaluation.classifier import Classifier

    return Classifier(folder, trained_on.stored_size, own_model=model, best=best)


def train(  # noqa: PLR0913  # as `compare`
    model: str,
    data: str | None = None,
    *,
    recipe: str | None = None,
    seed: int = 0,
    output: str | Path | None = None,
    backend: str = DEFAULT_BACKEND,
    observer: Observer | None = None,
    progress: Progress | None = None,
    checkpoint_every: float | str = 1,
    **settings: Any,
) -> tuple[Path, RunRecord]:
    """Train one classifier, save it and store its predictions.

    Run again with the same arguments, it goes on from its last checkpoint; `resume` needs nothing but its folder.

    Args:
        model: A name from the catalog, or `path/to/model.py:function`.
        data: As for `compare`.
        recipe: As for `compare`.
        seed: Decides initial values, order and augmentation.
        output: The run folder; None names one under `runs/`.
        backend: As for `compare`.
        observer: Is told how the run fares.
        progress: Is told of downloads and preparation.
        checkpoint_every: As for `compare`.
        settings: As for `compare`.

    Returns:
        The run folder and its record.

    Raises:
        PhotofinishError: Something that the message names, and how to mend it.
    """
    every = CheckpointEvery.parse(checkpoint_every)
    resolved = resolve(recipe, data, settings)
    cell = CellSettings.of(
        {
            "model": model,
            "seed": seed,
            "backend": backend,
            "data": resolved.data,
            "training": resolved.training,
        }
    )
    asked = _Asked(cell, Path(output) if output else None, every, resolved.probed)
    return _train_cell(asked, observer, progress)


def resume(
    run: str | Path,
    *,
    model: str | None = None,
    data: str | Path | None = None,
    observer_for: Callable[[CellSettings], Observer] = lambda _: Observer(),
    progress: Progress | None = None,
    checkpoint_every: float | str | None = None,
) -> tuple[Path, RunRecord]:
    """Go on with a training that was interrupted, from its last checkpoint, to the same result.

    Its settings come from its folder, which may have been moved. Relative paths in them mean what they meant when it
    was begun, or start from the current folder where that one is gone.

    Args:
        run: The run folder; those of a study are its `cells/<model>/seed-<k>`.
        model: Where your own model lies now, as `path/to/model.py:function`; None is where it lay. It must be the same.
        data: Where the pictures lie now; None is where they lay. They must be the same.
        observer_for: Makes what is told how the run fares.
        progress: Is told of downloads and preparation.
        checkpoint_every: As for `compare`; None keeps what it was begun with.

    Returns:
        The run folder and its record.

    Raises:
        StudyError: There is no interrupted run, or pictures, files or versions are no longer those it was begun with.
        PhotofinishError: As for `train`.
    """
    begun = read_interrupted(Path(run))
    every = begun.every if checkpoint_every is None else CheckpointEvery.parse(checkpoint_every)
    folder = Path(run).resolve()
    settings = begun.settings
    if data is not None:
        settings = settings.but(data=settings.data.but(source=_from_here(str(data))))
    if model is not None:
        settings = settings.but(model=_from_here(model))
    observer = observer_for(settings)
    with contextlib.chdir(begun.folder if Path(begun.folder).is_dir() else "."):
        _require_found(Path(run), settings)
        asked = _Asked(settings, folder, every, memory=begun.memory, resumes=True)
        _, record = _train_cell(asked, observer, progress)
    return Path(run), record


def _from_here(named: str) -> str:
    """Return a path as it is called from any folder, and whatever is no path as it is."""
    path, colon, function = named.rpartition(":") if is_custom(named) else (named, "", "")
    place = Path(path).expanduser()
    return f"{place.resolve()}{colon}{function}" if place.exists() else named


def _require_found(run: Path, settings: CellSettings) -> None:
    """Refuse a run to go on whose pictures or own model were moved, and say how to name their new place.

    Raises:
        DataError: The pictures are not where they lay.
        SettingsError: The file of the model is not where it lay.
    """
    source, model = settings.data.source, settings.model
    if source not in KNOWN_SOURCES and not Path(source).expanduser().exists():
        raise DataError(f"the pictures of {run} lay in {source}, which is not there; name their place with --data")
    if is_custom(model) and not Path(model.rpartition(":")[0]).is_file():
        raise SettingsError(
            f"the model of {run} lay in {model}, which is not there; name its place before --resume, as "
            "path/to/file.py:function"
        )


@dataclass(frozen=True)
class _Asked:
    """A single run as it was asked for.

    Attributes:
        cell: Its settings.
        output: Its folder; None names one under `runs/`.
        every: How often it is saved.
        probed: Which setting is to be the largest that fits into memory.
        memory: What was found to fit when it was begun.
        resumes: Whether it goes on with a run that was begun.
    """

    cell: CellSettings
    output: Path | None
    every: CheckpointEvery
    probed: Probed | None = None
    memory: MemoryRecord | None = None
    resumes: bool = False


def _train_cell(asked: _Asked, observer: Observer | None, progress: Progress | None) -> tuple[Path, RunRecord]:
    """Run one cell in a folder of its own."""
    cell, observer = asked.cell, observer or Observer()
    with waiting_worker(cell.backend, wanted=asked.probed is None) as waiting:
        race = Race((cell.model,), (cell.seed,), cell.data, cell.training, backend=cell.backend)
        prepared = prepare_race(race, progress)
        name = f"{cell_name(cell.model)}-{cell_name(prepared.record.name)}-seed-{cell.seed}"
        folder = RunFolder(asked.output or Path("runs") / name)
        with only_one(folder.path):
            memory = asked.memory
            if asked.probed:
                memory = size_before(folder, asked.probed) or find_size(
                    [cell], asked.probed, prepared.record, prepared.folder, progress
                )
                cell = cell.but(training=with_size(cell.training, asked.probed, memory.found))
                observer.note(cell, in_words(memory, cell.training))
            refuse_another_run(cell, prepared.record, folder, prepared.listing, resumes=asked.resumes)
            try:
                record = execute(cell, prepared.folder, folder, observer, asked.every, memory, waiting)
            except KeyboardInterrupt as interrupt:
                resume = f". Or: photofinish train --resume {shlex.quote(str(folder.path))}"
                raise KeyboardInterrupt(f"{interrupt}{resume if folder.resume.is_dir() else ''}") from None
    if record.status == "failed":
        raise PhotofinishError(f"{cell.model} failed: {record.error}")
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
    chosen = {"models": _each_once(_names(models)), "backend": backend, **settings}
    record = run_benchmark(BenchmarkSettings.of(chosen), notify, command)
    if output is not None:
        record.write_into(Path(output))
    return record
