"""Where the cells ran: the studies behind a joined one, and times for every machine by itself."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean, median

from photofinish.report import wording
from photofinish.report.material import Material
from photofinish.report.tables import MISSING, Column, Field, Table
from photofinish.storage.sizes import size
from photofinish.study.cells import FinishedCell
from photofinish.study.differences import machine_of


def machines_table(material: Material) -> Table | None:
    """Return the times of every model on every machine, or None where all cells ran on the same one."""
    groups: dict[tuple[str, str], list[FinishedCell]] = {}
    for entrant in material.entrants:
        for one in entrant.cells:
            groups.setdefault((machine_of(one.record), entrant.name), []).append(one)
    if len({machine for machine, _ in groups}) < 2:
        return None
    columns = (
        Column("Machine", number=False),
        Column("Model", number=False),
        Column("Seeds", number=False),
        Column("Training time", "all epochs, mean"),
        Column("Training speed", "images/s"),
        Column("Inference speed", "images/s"),
        Column("Compile time"),
        Column("Whole cell"),
        Column("Peak memory"),
    )
    rows = tuple(_row(machine, model, group) for (machine, model), group in sorted(groups.items()))
    caption = "Times of different machines are never compared: who is quicker is told by the rows of one machine only."
    return Table(caption, columns, rows, "cells/")


def _row(machine: str, model: str, group: Sequence[FinishedCell]) -> tuple[Field, ...]:
    records = [one.record for one in group]
    return (
        Field(machine),
        Field(model),
        Field(", ".join(str(one.cell.seed) for one in group)),
        _seconds(fmean(one.seconds.train for one in group)),
        _rate([record.train_images_per_second for record in records]),
        _rate([record.inference_images_per_second for record in records]),
        _seconds(median(one.seconds.compile for one in group)),
        _seconds(median(one.seconds.total for one in group)),
        _memory([record.peak_memory_bytes for record in records]),
    )


def studies_table(material: Material) -> Table | None:
    """Return the studies behind a joined one, or None where the study is not joined."""
    if not material.plan.joined:
        return None
    columns = (
        Column("Study", number=False),
        Column("Cells taken", number=False),
        Column("Machine", number=False),
        Column("Software", number=False),
        Column("Command", number=False),
    )
    rows = tuple(
        (
            Field(study.name, study.folder),
            Field(_members(study.cells)),
            Field(", ".join([*study.hardware.values(), study.backend])),
            Field(", ".join(f"{name} {version}" for name, version in study.versions.items())),
            Field("; ".join(study.commands)),
        )
        for study in material.plan.joined
    )
    caption = "What this study was joined from; every cell is a copy without the trained network."
    return Table(caption, columns, rows, "studies/")


def _members(members: Sequence[tuple[str, int]]) -> str:
    """Name models with their seeds."""
    seeds: dict[str, list[str]] = {}
    for model, seed in members:
        seeds.setdefault(model.rsplit("/", 1)[-1], []).append(str(seed))
    return (
        "; ".join(f"{model}: seed{'s' if len(own) > 1 else ''} {', '.join(own)}" for model, own in seeds.items())
        or "none"
    )


def _seconds(value: float) -> Field:
    return Field(wording.seconds(value), "", value)


def _rate(values: Sequence[float | None]) -> Field:
    known = [value for value in values if value]
    return Field(wording.rate(median(known)), "", median(known)) if known else Field(MISSING)


def _memory(values: Sequence[int | None]) -> Field:
    known = [value for value in values if value]
    return Field(size(max(known)), "", max(known)) if known else Field(MISSING)
