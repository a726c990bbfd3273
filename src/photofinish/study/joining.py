"""Several studies made into one: of one machine or one day each, say.

The joined folder is a study folder like any other but for the trained networks, which stay where they are: records,
histories, logs, contact sheets and predictions are copied, so that every figure of its report leads to a file in it and
the folder may be moved. `study.json` says which cells came from where.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations, product
from pathlib import Path

from photofinish.config import is_custom, weights_for
from photofinish.errors import SettingsError, StudyError
from photofinish.runs import RunFolder, StudyFolder, cell_name
from photofinish.storage import require_free_space, write_json
from photofinish.study.cells import (
    SPLITS,
    Cell,
    FinishedCell,
    read_audit,
    read_cells,
    read_plan,
    require_same_pictures,
)
from photofinish.study.evidence import evidence_of
from photofinish.study.gallery import choose
from photofinish.study.labels import judged_by_study
from photofinish.study.pictures import join_pictures
from photofinish.study.plan import JoinedStudy, Plan
from photofinish.study.treatment import Treated, disagreements

Member = tuple[str, int]


@dataclass(frozen=True)
class _Study:
    """A study that is to be joined.

    Attributes:
        name: What the joined report calls it.
        folder: Where it lies.
        plan: What was planned.
        cells: Every planned cell.
        finished: Those with predictions.
    """

    name: str
    folder: StudyFolder
    plan: Plan
    cells: dict[Member, Cell]
    finished: dict[Member, FinishedCell]

    @classmethod
    def read(cls, name: str, path: Path) -> _Study:
        folder = StudyFolder(path)
        plan = read_plan(folder)
        if plan.joined:
            raise StudyError(f"{path} is a joined study itself; name the studies that it was made of")
        cells, finished = read_cells(folder, plan)
        if not finished:
            raise StudyError(f"{path} has no finished cell, so there is nothing to join")
        return cls(
            name,
            folder,
            plan,
            {(cell.model, cell.seed): cell for cell in cells},
            {(one.cell.model, one.cell.seed): one for one in finished},
        )

    @property
    def representatives(self) -> list[Member]:
        """The first finished cell of every model: the others of it are alike, or the study could not be read."""
        first: dict[str, Member] = {}
        for model, seed in self.finished:
            first.setdefault(model, (model, seed))
        return list(first.values())

    def treated(self, member: Member) -> Treated:
        one = self.finished[member]
        return Treated(f"{one.cell.name} of {self.name}", one.record, self.plan.sources)


def join_studies(paths: Sequence[Path], target: Path, command: str = "") -> StudyFolder:
    """Write a study folder that holds the cells of several, ready for `collect`.

    Args:
        paths: Study folders, one or more.
        target: The folder to write, which does not exist, or is empty.
        command: The command line, for whoever wants to repeat it.

    Raises:
        SettingsError: A study is named twice.
        StudyError: A folder is no study, or the studies differ in what may not differ; names and values are given.
        PhotofinishError: The disk has no room.
    """
    if len({path.resolve() for path in paths}) < len(paths):
        raise SettingsError("a study is named twice; name each once")
    studies = [_Study.read(name, path) for name, path in zip(_names(paths), paths, strict=True)]
    _require_alike(studies)
    taken = _chosen(studies)
    plan = _joined_plan(studies, taken, command)
    folder = StudyFolder(target)
    files = [
        (path, _destination(folder, study, member, path))
        for member, study in taken.items()
        for path in _files_of(study.cells[member].folder)
    ]
    files += [(study.folder.plan, target / "studies" / study.name / study.folder.plan.name) for study in studies]
    require_free_space(target, sum(path.stat().st_size for path, _ in files), "copying the records and predictions")
    for path, destination in files:
        if path.is_symlink():
            raise StudyError(f"{path} is a link; put the file itself in its place, only plain files are copied")
        destination.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, destination)
    write_json(folder.plan, plan.model_dump(mode="json", by_alias=True))
    _, finished = read_cells(folder, plan)
    wanted = choose(finished).ids
    audits = [audit for study in studies if (audit := read_audit(study.folder, study.plan))]
    if audits:
        # The pictures are the same, and all predictions judge their labels better than those of one study.
        audit = audits[0].but(labels=judged_by_study(finished, plan.data.classes, audits[0]))
        audit.write(folder.audit)
        wanted = [*wanted, *evidence_of(audit).ids]
    join_pictures(folder, [study.folder for study in studies], wanted)
    return folder


def require_joinable_into(target: Path, paths: Sequence[Path]) -> None:
    """Refuse a folder that holds something else than an earlier joined study.

    Raises:
        StudyError: It does.
    """
    if target.resolve() in {path.resolve() for path in paths}:
        raise StudyError(f"{target} is one of the studies themselves; choose another --output")
    if not target.exists() or (target.is_dir() and not any(target.iterdir())):
        return
    folder = StudyFolder(target)
    if not folder.plan.exists() or not read_plan(folder).joined:
        raise StudyError(f"{target} is not empty and not a joined study; choose another --output")


def _names(paths: Sequence[Path]) -> list[str]:
    """Call each study by its folder's name, with a number where two are called alike."""
    names: list[str] = []
    for path in paths:
        name = cell_name(path.resolve().name)
        number = 2
        while name in names:
            name, number = f"{cell_name(path.resolve().name)}-{number}", number + 1
        names.append(name)
    return names


def _require_alike(studies: Sequence[_Study]) -> None:
    """Refuse studies that do not belong together, with everything that keeps them apart."""
    for first, other in combinations(studies, 2):
        found: dict[str, str] = {}
        for ours, theirs in product(first.representatives, other.representatives):
            found = disagreements(first.treated(ours), other.treated(theirs)) | found
        if found:
            found |= _other_division(first, other)
            raise StudyError(
                f"{first.folder.path} and {other.folder.path} cannot be joined: {'; '.join(found.values())}; "
                "run both with the same settings on the same pictures"
            )
        require_same_pictures(next(iter(first.finished.values())), next(iter(other.finished.values())))
    models = dict.fromkeys(model for study in studies for model in study.plan.models)
    for one, two in combinations(models, 2):
        if cell_name(one) == cell_name(two):
            raise StudyError(
                f"{one} and {two} would share a folder; name a model of your own by the same path in every study"
            )


def _other_division(first: _Study, other: _Study) -> dict[str, str]:
    """Return what was asked for otherwise of the pictures, where their fingerprints differ and this may be why."""
    if first.plan.data.fingerprint == other.plan.data.fingerprint:
        return {}
    ours, theirs = (study.plan.data_settings.model_dump(exclude={"image_size"}) for study in (first, other))
    return {
        name: f"{name} is {ours[name]} in {first.name} and {theirs[name]} in {other.name}"
        for name in ours
        if ours[name] != theirs[name]
    }


def _chosen(studies: Sequence[_Study]) -> dict[Member, _Study]:
    """Choose which study each cell is taken from: the first that finished it, else the first that planned it.

    Raises:
        StudyError: Two studies finished it with other settings.
    """
    chosen: dict[Member, _Study] = {}
    for study in studies:
        for member in study.cells:
            first = chosen.setdefault(member, study)
            if member not in study.finished or first is study:
                continue
            if member not in first.finished:
                chosen[member] = study
                continue
            ours, theirs = (_asked(one, member) for one in (first, study))
            other = [f"{name} is {ours[name]} in {first.name} and {theirs[name]} in {study.name}"
                     for name in ours if ours[name] != theirs[name]]  # fmt: skip
            if other:
                raise StudyError(
                    f"{member[0]}, seed {member[1]}, is in {first.folder.path} and in {study.folder.path} with other "
                    f"settings: {'; '.join(other)}; leave one of the studies out, or give its models other seeds"
                )
    return chosen


def _asked(study: _Study, member: Member) -> dict[str, object]:
    """Return the settings of a cell, without where the pictures lie: that fingerprints are equal is known."""
    settings = study.finished[member].record.settings
    return {
        "backend": settings.backend,
        **settings.data.model_dump(exclude={"source"}),
        **settings.training.model_dump(exclude={"weights"}),
    }


def _joined_plan(studies: Sequence[_Study], taken: dict[Member, _Study], command: str) -> Plan:
    first = studies[0].plan
    models = tuple(dict.fromkeys(model for study in studies for model in study.plan.models))
    sources: dict[str, str] = {}
    for study in studies:
        sources = study.plan.sources | sources
    return first.but(
        models=models,
        seeds=tuple(sorted({seed for study in studies for seed in study.plan.seeds})),
        recipe=", ".join(dict.fromkeys(study.plan.recipe for study in studies)),
        memory=None,
        training=first.training.but(weights=_weights(studies, models)),
        command=command or "; ".join(study.plan.command for study in studies),
        later_commands=(),
        # Seeds of a model in a second study may have been run because of what the first one showed.
        seeds_joined=any(study.plan.seeds_joined for study in studies) or _has_seeds_of_several(taken),
        sources=sources,
        joined=tuple(_joined_study(study, taken) for study in studies),
    )


def _has_seeds_of_several(taken: dict[Member, _Study]) -> bool:
    owners: dict[str, set[str]] = {}
    for member, study in taken.items():
        if member in study.finished:
            owners.setdefault(member[0], set()).add(study.name)
    return any(len(names) > 1 for names in owners.values())


def _joined_study(study: _Study, taken: dict[Member, _Study]) -> JoinedStudy:
    return JoinedStudy(
        name=study.name,
        folder=str(study.folder.path),
        commands=study.plan.commands,
        backend=study.plan.backend,
        versions=study.plan.versions,
        hardware=study.plan.hardware,
        cells=tuple(member for member, source in taken.items() if source is study),
        left_out=tuple(member for member in study.finished if taken[member] is not study),
    )


def _weights(studies: Sequence[_Study], models: Sequence[str]) -> str | None:
    """Return the weights asked for: as they were where all studies asked alike, else for each model its own."""
    asked = dict.fromkeys(study.plan.training.weights for study in studies)
    if len(asked) == 1:
        return next(iter(asked))
    owner = {model: study for study in reversed(studies) for model in study.plan.models}
    named = {model: weights_for(owner[model].plan.training.weights, model) for model in models if not is_custom(model)}
    return ",".join(f"{model}={weights or 'none'}" for model, weights in named.items()) or None


def _files_of(run: RunFolder) -> Iterator[Path]:
    """Yield what is copied of a cell: everything but the trained network."""
    predictions = [run.predictions(split) for split in SPLITS]
    sheets = sorted(run.sheet(1).parent.glob("stage-*.png"))
    yield from (path for path in (run.record, run.metrics, run.log, *predictions, *sheets) if path.is_file())


def _destination(folder: StudyFolder, study: _Study, member: Member, path: Path) -> Path:
    return folder.cell(*member).path / path.relative_to(study.cells[member].folder.path)
