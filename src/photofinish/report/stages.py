"""The stages of training: their conditions, their cost, and what the networks saw."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from statistics import mean

from photofinish.report import wording
from photofinish.report.material import Material
from photofinish.report.tables import MISSING, Column, Field, Table
from photofinish.runs import StageRecord

# A file beside a study may be anything; a sheet of ours is far smaller.
LARGEST_SHEET = 1 << 20
PNG = b"\x89PNG\r\n\x1a\n"


@dataclass(frozen=True)
class Sheet:
    """Pictures of a stage, as stored and as seen.

    Attributes:
        caption: Which stage, and what was done to the pictures.
        data: The picture itself, as an address that holds it.
        source: The file, relative to the report.
    """

    caption: str
    data: str
    source: str


def stages_table(material: Material) -> Table | None:
    """Return the stages with their conditions and every model's time, or None where there was one stage only."""
    stages = _stages(material)
    if len(stages) < 2:
        return None
    columns = (
        Column("Stage", "epochs", number=False),
        Column("Image size", "pixels"),
        Column("RandAugment"),
        Column("mixup"),
        Column("CutMix"),
        Column("Dropout"),
        Column("Network trained"),
        *(Column(entrant.name, "training time") for entrant in material.entrants),
    )
    rows = tuple(
        (
            Field(str(number), _epochs(stage)),
            Field(str(stage.image_size), "", stage.image_size),
            *(
                Field(f"{strength:.3g}", "", strength)
                for strength in (stage.randaugment, stage.mixup, stage.cutmix, stage.dropout)
            ),
            Field(_trained(stage), "", stage.trained_share),
            *_times(material, number),
        )
        for number, stage in enumerate(stages, start=1)
    )
    return Table("Stages of training: the same for every model; times are means over seeds.", columns, rows, "cells/")


def sheets(material: Material) -> list[Sheet]:
    """Return the contact sheets of the first finished cell: with one seed all models saw the same pictures."""
    if not material.entrants:
        return []
    cell = material.entrants[0].cells[0].cell
    found = []
    for number, stage in enumerate(_stages(material), start=1):
        path = cell.folder.sheet(number)
        content = path.read_bytes() if path.is_file() and path.stat().st_size <= LARGEST_SHEET else b""
        if content.startswith(PNG):
            data = f"data:image/png;base64,{base64.b64encode(content).decode('ascii')}"
            link = material.link(cell.folder, f"{path.parent.name}/{path.name}")
            found.append(Sheet(_caption(number, stage), data, link))
    return found


def _stages(material: Material) -> tuple[StageRecord, ...]:
    return material.entrants[0].cells[0].record.stages if material.entrants else ()


def _times(material: Material, number: int) -> list[Field]:
    fields = []
    for entrant in material.entrants:
        seconds = [one.record.stages[number - 1].train_seconds for one in entrant.timed if one.record.stages]
        fields.append(Field(wording.seconds(mean(seconds)), "", mean(seconds)) if seconds else Field(MISSING))
    return fields


def _caption(number: int, stage: StageRecord) -> str:
    strengths = [
        f"{name} {strength:.3g}"
        for name, strength in (("RandAugment", stage.randaugment), ("mixup", stage.mixup), ("CutMix", stage.cutmix))
        if strength
    ]
    return ", ".join([f"Stage {number}, {_epochs(stage)}: {stage.image_size} x {stage.image_size} pixels", *strengths])


def _epochs(stage: StageRecord) -> str:
    if stage.first_epoch == stage.last_epoch:
        return f"epoch {stage.first_epoch}"
    return f"epochs {stage.first_epoch} to {stage.last_epoch}"


def _trained(stage: StageRecord) -> str:
    return {0.0: "the head", 1.0: "all"}.get(stage.trained_share, f"top {stage.trained_share:.0%}")
