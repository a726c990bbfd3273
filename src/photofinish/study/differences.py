"""What differed between the models of a report, in sentences, and which machines their times are of."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from photofinish.runs import RunRecord
from photofinish.study.treatment import NOT_RECORDED, Fact, Kind, facts_of, shown


def not_equal(runs: Sequence[RunRecord]) -> list[str]:
    """Return, as sentences, what differed between the models apart from the networks themselves.

    Args:
        runs: Records of finished cells.

    Examples:
        >>> not_equal([])
        []
    """
    treatments = [{fact.label: shown(fact.value) for fact in facts_of(run) if _is_listed(fact)} for run in runs]
    labels = dict.fromkeys(label for treatment in treatments for label in treatment)
    sentences = (
        _difference(label, runs, [treatment.get(label, NOT_RECORDED) for treatment in treatments]) for label in labels
    )
    return [sentence for sentence in sentences if sentence]


def machine_of(run: RunRecord) -> str:
    """Return what a cell's times were measured on, in words: times of different machines are never compared.

    Examples:
        >>> from photofinish.config import CellSettings
        >>> machine_of(RunRecord(status="failed", settings=CellSettings(model="resnet50"), hardware={"cores": "2"}))
        'cores 2, jax'
    """
    named = [value if name in {"processor", "system"} else f"{name} {value}" for name, value in run.hardware.items()]
    return ", ".join([*named, run.settings.backend])


def machines_of(groups: Sequence[Sequence[RunRecord]]) -> list[str]:
    """Choose for every model the machine whose times stand for it: the one that most models ran on, where it did too.

    Args:
        groups: Records of the finished cells of each model.

    Returns:
        For each model the machine, as `machine_of` calls it.
    """
    ran = [Counter(machine_of(run) for run in group) for group in groups]
    models = Counter(machine for counts in ran for machine in counts)
    cells = sum(ran, Counter())
    return [max(counts, key=lambda machine: (models[machine], cells[machine])) for counts in ran]


def _is_listed(fact: Fact) -> bool:
    return fact.rule.listed and fact.rule.kind is not Kind.NAME


def _difference(label: str, runs: Sequence[RunRecord], values: Sequence[str]) -> str | None:
    """Return one sentence on who had which value, or None when all had the same."""
    owners: dict[str, list[RunRecord]] = {}
    for run, value in zip(runs, values, strict=True):
        owners.setdefault(value, []).append(run)
    if len(owners) < 2:
        return None
    parts = [f"{value} for {_owners(group, runs)}" for value, group in owners.items()]
    return f"{label}: {'; '.join(parts)}."


def _owners(group: Sequence[RunRecord], runs: Sequence[RunRecord]) -> str:
    """Name the models of a group, with their seeds where not all seeds of a model are in it."""
    names = []
    for model in dict.fromkeys(run.settings.model for run in group):
        seeds = [run.settings.seed for run in group if run.settings.model == model]
        whole = len(seeds) == sum(run.settings.model == model for run in runs)
        names.append(model if whole else f"{model} (seed {', '.join(map(str, seeds))})")
    return ", ".join(names)
