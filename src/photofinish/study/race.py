"""`compare`: plan the cells, run those that are missing, collect the figures."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from photofinish import backend
from photofinish.catalog import check_weights, find
from photofinish.config import DataSettings, TrainingSettings, is_custom, weights_by_model, weights_for
from photofinish.config.checkpoints import DEFAULT_EVERY, CheckpointEvery
from photofinish.config.memory import AUTO, Probed
from photofinish.config.settings import BackendName
from photofinish.data import PreparedData, Progress, prepare
from photofinish.errors import PhotofinishError, SettingsError, StudyError
from photofinish.runs import RunRecord, StudyFolder, cell_name, hardware, versions
from photofinish.runs.listings import changed_pictures, copy_listing
from photofinish.storage import write_json
from photofinish.study.audit import audit_study, judge_study
from photofinish.study.cells import read_cells, read_plan
from photofinish.study.collect import collect
from photofinish.study.evidence import evidence_of
from photofinish.study.execute import Observer, execute, finished_before, waiting_worker
from photofinish.study.fitting import find_size
from photofinish.study.gallery import choose
from photofinish.study.locks import LOCK, only_one
from photofinish.study.pictures import store_pictures
from photofinish.study.plan import Plan
from photofinish.study.probing import with_size
from photofinish.study.results import Results
from photofinish.study.resuming import refuse_to_go_on
from photofinish.study.sources import hash_sources


@dataclass(frozen=True)
class Race:
    """What is to be compared.

    Attributes:
        models: Names from the catalog, or `path/to/model.py:function`.
        seeds: Seeds of every model.
        data: Which pictures.
        training: How every model is trained.
        recipe: Where the settings came from, or `custom`.
        backend: The library that Keras computes with.
        command: The command line, for whoever wants to repeat it.
        probed: Which setting of the training is to be the largest that fits into memory.
    """

    models: tuple[str, ...]
    seeds: tuple[int, ...]
    data: DataSettings
    training: TrainingSettings
    recipe: str = "custom"
    backend: BackendName = "jax"
    command: str = ""
    probed: Probed | None = None


def run_race(
    race: Race,
    output: Path | None,
    observer_for: Callable[[Plan, StudyFolder], Observer],
    progress: Progress | None = None,
    every: CheckpointEvery = DEFAULT_EVERY,
) -> tuple[StudyFolder, Results, list[RunRecord]]:
    """Run a comparison, or what is missing of it, and collect its figures.

    Args:
        race: What is to be compared.
        output: The study folder; None names one after the data and the plan.
        observer_for: Makes the observer once the plan is known.
        progress: Is told of downloads and of the preparation of pictures.
        every: How often the training of a cell is saved.

    Returns:
        The study folder, its figures, and the record of every cell.

    Raises:
        SettingsError: A model, a weight set or the backend is unknown.
        DataError: The pictures cannot be used.
        StudyError: The folder belongs to another plan, is in use, or every cell failed.
    """
    # The first cell's process imports what it needs while pictures are prepared.
    with waiting_worker(race.backend, wanted=race.probed is None) as waiting:
        data = prepare_race(race, progress)
        plan = make_plan(race, data)
        folder = StudyFolder(output or default_folder(plan, race.probed))
        if output is None:
            _refuse_to_leave_unfinished(folder, plan, data.listing)
        with only_one(folder.path):
            plan = join_plan(folder, fit_plan(race, plan, folder, data, progress), data.listing)
            for cell in plan.cells():
                refuse_to_go_on(cell, data.record, folder.cell(cell.model, cell.seed), data.listing)
            write_json(folder.plan, plan.model_dump(mode="json", by_alias=True))
            copy_listing(data.listing, folder.listing)
            audit_study(folder, plan, data, race.data.source, progress)
            observer = observer_for(plan, folder)
            records = [
                execute(cell, data.folder, folder.cell(cell.model, cell.seed), observer, every, plan.memory, waiting)
                for cell in plan.cells()
            ]
            if all(record.status == "failed" for record in records):
                raise StudyError(f"every cell failed; the first said: {records[0].error}")
            _, finished = read_cells(folder, plan)
            audit = judge_study(folder, plan, finished)
            results = collect(folder)
            results.write(folder.results)
            # The prepared pictures lie in a cache; the report must be able to show them without it.
            store_pictures(folder, data, [*choose(finished).ids, *evidence_of(audit).ids])
    return folder, results, records


def prepare_race(race: Race, progress: Progress | None = None) -> PreparedData:
    """Refuse what cannot be run before anything is begun, and prepare the pictures.

    Raises:
        SettingsError: A model, a weight set or the backend is unknown, or settings do not fit one another or the data.
        DataError: The pictures cannot be used.
        DownloadError: Weights or pictures could not be fetched.
    """
    check_models(race, progress)
    data = prepare(race.data, progress=progress)
    # What the number of pictures decides is refused here, not in every cell.
    race.training.for_pictures(data.record.train)
    return data


def check_models(race: Race, progress: Progress | None = None) -> None:
    """Refuse what cannot be built before anything is begun, and fetch weights.

    Raises:
        SettingsError: A model, a weight set or the backend is unknown, or two models share a name.
        DownloadError: Weights could not be fetched.
    """
    backend.require_installed(race.backend)
    impossible = [seed for seed in race.seeds if not 0 <= seed < 2**32]
    if impossible or not race.seeds:
        raise SettingsError(f"seeds {impossible}: there must be at least one, each from 0 to {2**32 - 1}")
    size = race.training.training_size
    if size is not None and size.largest > race.data.image_size:
        raise SettingsError(
            f"training_size={size} is larger than image_size={race.data.image_size}, at which pictures are kept: "
            "they would only be enlarged; raise image_size"
        )
    names = [cell_name(model) for model in race.models]
    if len(set(names)) != len(names):
        raise SettingsError(
            f"two of the models {', '.join(race.models)} would share a folder; "
            "name each once, from files of different names"
        )
    for model in weights_by_model(race.training.weights or "") or ():
        # One that is not in this race may join it later, but it has to exist.
        find(model)
    for model in race.models:
        if is_custom(model):
            if not Path(model.rpartition(":")[0]).is_file():
                raise SettingsError(
                    f"{model.rpartition(':')[0]} does not exist; name your own model as path/to/file.py:function"
                )
            continue
        architecture = find(model)
        weights = weights_for(race.training.weights, model)
        if weights is None and race.training.train != "all":
            raise SettingsError(
                f"train={race.training.train} would keep the random values of {model} frozen: "
                "give weights, for example --weights imagenet"
            )
        if weights is not None:
            check_weights(architecture, weights, progress)


def make_plan(race: Race, data: PreparedData) -> Plan:
    """Return the plan of a race on the pictures that were found."""
    return Plan(
        schema=1,
        models=race.models,
        seeds=race.seeds,
        recipe=race.recipe,
        backend=race.backend,
        data_settings=race.data,
        training=race.training,
        data=data.record,
        versions=versions(),
        hardware=hardware(),
        command=race.command,
        sources=hash_sources(race.models, race.training),
    )


def fit_plan(race: Race, plan: Plan, folder: StudyFolder, data: PreparedData, progress: Progress | None) -> Plan:
    """Return the plan with the batch that fits, where that was asked for: what its folder has already, or found now.

    Raises:
        StudyError: The folder holds something else than a plan.
        PhotofinishError: A model cannot be trained, or not even one picture fits.
    """
    if race.probed is None:
        return plan
    if folder.plan.exists():
        # All cells have the same; whatever joins them has it too.
        before = read_plan(folder)
        names = ("batch_size", "micro_batch_size") if race.probed == "batch_size" else ("micro_batch_size",)
        return plan.but(training=plan.training.but(**{name: getattr(before.training, name) for name in names}))
    require_empty(folder)
    cells = [cell for cell in plan.cells() if cell.seed == plan.seeds[0]]
    memory = find_size(cells, race.probed, data.record, data.folder, progress)
    return plan.but(training=with_size(plan.training, race.probed, memory.found), memory=memory)


def default_folder(plan: Plan, probed: Probed | None = None) -> Path:
    """Return `studies/<data>-<recipe>-<hash>`: the same plan has the same folder, so that it is resumed.

    Models and seeds are not part of it, because more of them may join; nor is where the pictures lie.
    """
    content = [
        plan.backend,
        plan.data_settings.model_dump(exclude={"source"}),
        # What will be found to fit is not known when the folder is looked for.
        plan.training.model_dump() | ({str(probed): AUTO} if probed else {}),
        plan.data.fingerprint,
    ]
    digest = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:8]
    return Path("studies") / f"{cell_name(plan.data.name)}-{cell_name(plan.recipe)}-{digest}"


def _refuse_to_leave_unfinished(folder: StudyFolder, plan: Plan, listing: Path) -> None:
    """Refuse to begin anew where the same command was interrupted and its pictures have changed since.

    Raises:
        StudyError: It was; what differs is named.
    """
    if folder.plan.exists():
        return
    for path in sorted(folder.path.parent.glob(f"{folder.path.name.rpartition('-')[0]}-*/{folder.plan.name}")):
        other = StudyFolder(path.parent)
        try:
            before = read_plan(other)
        except PhotofinishError:
            continue
        if before.joined or before.data_settings != plan.data_settings or _differences(before, plan):
            continue
        if not all(finished_before(cell, other.cell(cell.model, cell.seed)) for cell in before.cells()):
            different = "; ".join(_of_pictures(other, before, plan, listing))
            raise StudyError(
                f"{other.path} holds an unfinished comparison that cannot go on: {different}. Mend the pictures, "
                f"choose another --output to begin with them as they are, or delete {other.path}"
            )


def join_plan(folder: StudyFolder, plan: Plan, listing: Path | None = None) -> Plan:
    """Return the plan for a folder that may hold one already: more models and seeds may join, nothing may differ.

    Args:
        folder: The study folder.
        plan: What is to be run in it.
        listing: Where the pictures are listed, so that those that changed can be named.

    Raises:
        StudyError: The folder belongs to another plan; the differences are named.
    """
    if not folder.plan.exists():
        require_empty(folder)
        return plan
    before = read_plan(folder)
    if before.joined:
        raise StudyError(f"{folder.path} is a joined study, nothing is run in it; choose another --output")
    different = [*_of_pictures(folder, before, plan, listing), *_differences(before, plan)]
    if different:
        raise StudyError(
            f"{folder.path} belongs to another plan: {'; '.join(different)}. "
            "Choose another --output, or the old settings"
        )
    seeds = _joined(before.seeds, plan.seeds)
    folders: dict[str, str] = {}
    for model in _joined(before.models, plan.models):
        known = folders.setdefault(cell_name(model), model)
        if known != model:
            raise StudyError(
                f"{folder.path} has {known}, whose folder {model} would share: name it as it is named there, or choose "
                "another --output"
            )
    commands = _joined(before.commands, (plan.command,))
    return before.but(
        models=_joined(before.models, plan.models),
        seeds=seeds,
        data=before.data,
        later_commands=commands[1:],
        seeds_joined=before.seeds_joined or (seeds != before.seeds and folder.results.exists()),
        sources=before.sources | plan.sources,
    )


def require_empty(folder: StudyFolder) -> None:
    """Refuse a folder that holds something else.

    Raises:
        StudyError: It does.
    """
    if folder.path.exists() and any(path.name != LOCK for path in folder.path.iterdir()):
        raise StudyError(f"{folder.path} is not empty and not a study; choose another --output")


def _joined(before: Sequence, now: Sequence) -> tuple:  # type: ignore[type-arg]  # of names or of numbers, kept as they are
    return (*before, *(item for item in now if item not in before))


def _of_pictures(folder: StudyFolder, before: Plan, now: Plan, listing: Path | None) -> list[str]:
    """Name the pictures that two plans disagree on."""
    old, new = (plan.data.fingerprint[:12] for plan in (before, now))
    if old == new:
        return []
    changed = changed_pictures(folder.listing, listing) if listing is not None else ""
    return [f"data fingerprint was {old} and is now {new}", *filter(None, [changed])]


def _differences(before: Plan, now: Plan) -> list[str]:
    """Name what two plans disagree on, models, seeds and pictures aside."""
    pairs: list[tuple[str, object, object]] = [("backend", before.backend, now.backend)]
    shared = before.sources.keys() & now.sources.keys()
    pairs += [(f"the file behind {name}", before.sources[name][:12], now.sources[name][:12]) for name in shared]
    for group in ("data_settings", "training"):
        old, new = getattr(before, group).model_dump(), getattr(now, group).model_dump()
        # Where the pictures lie does not matter, the fingerprint does.
        pairs += [(key, old[key], new[key]) for key in new if key != "source"]
    return [f"{name} was {old} and is now {new}" for name, old, new in pairs if old != new]
