"""Duplicates side by side, and the pictures whose labels are suspected."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from photofinish.report import wording
from photofinish.report.names import shortened
from photofinish.report.thumbnails import Thumbnails
from photofinish.runs import AuditRecord, StudyFolder
from photofinish.runs.audits import DuplicateGroup, LabelSuspect
from photofinish.study.evidence import MOST_OF_A_GROUP, evidence_of

LONGEST_NAME = 22


@dataclass(frozen=True)
class Tile:
    """A picture with its name and what is said of it.

    Attributes:
        name: Name of the picture.
        short_name: Its last part.
        picture: An address that holds the picture, or None where it was not stored.
        label: The class it has been given.
        note: What is said of it.
    """

    name: str
    short_name: str
    picture: str | None
    label: str
    note: str


@dataclass(frozen=True)
class Row:
    """Pictures that belong side by side.

    Attributes:
        title: What they have in common, or nothing.
        tiles: The pictures.
    """

    title: str
    tiles: tuple[Tile, ...]


@dataclass(frozen=True)
class Wall:
    """Findings of one kind.

    Attributes:
        title: What they are.
        aside: How they were chosen.
        rows: The pictures.
    """

    title: str
    aside: str
    rows: tuple[Row, ...]


def walls_of(audit: AuditRecord, folder: StudyFolder) -> tuple[tuple[Wall, ...], str]:
    """Return duplicates and suspects as pictures, and why there are none where there should be some.

    Args:
        audit: The audit of a study.
        folder: The study's folder, where its small pictures are.
    """
    chosen = evidence_of(audit)
    if not chosen.ids:
        return (), ""
    thumbnails = Thumbnails.read(folder)
    if thumbnails.problem:
        return (), thumbnails.problem
    walls = []
    if chosen.groups:
        found = audit.duplicates.exact_groups + audit.duplicates.near_groups
        aside = f"{len(chosen.groups)} of {found:,} groups, those across splits first."
        walls.append(Wall("Duplicates side by side", aside, tuple(_groups(chosen.groups, thumbnails))))
    if chosen.suspects and audit.labels is not None:
        aside = f"{len(chosen.suspects)} of {audit.labels.count:,}, the least believed label first."
        row = Row("", tuple(_suspect(one, thumbnails) for one in chosen.suspects))
        walls.append(Wall("Suspected labels", aside, (row,)))
    return tuple(walls), ""


def _groups(groups: tuple[DuplicateGroup, ...], thumbnails: Thumbnails) -> Iterator[Row]:
    for group in groups:
        what = "the same" if group.kind == "exact" else f"alike by {group.similarity:.2f}"
        more = group.size - min(group.size, MOST_OF_A_GROUP)
        title = f"{what}{', mirrored' if group.mirrored else ''}{f', and {more:,} more' if more else ''}"
        members = zip(group.ids, group.splits, group.labels, strict=True)
        yield Row(
            title[0].upper() + title[1:],
            tuple(_tile(name, label, split, thumbnails) for name, split, label in list(members)[:MOST_OF_A_GROUP]),
        )


def _suspect(suspect: LabelSuspect, thumbnails: Thumbnails) -> Tile:
    rather = f"rather {suspect.suggested} ({wording.percent(suspect.suggested_confidence)})"
    return _tile(suspect.id, suspect.label, f"{rather}; {suspect.split}", thumbnails)


def _tile(name: str, label: str, note: str, thumbnails: Thumbnails) -> Tile:
    return Tile(name, shortened(name.rsplit("/", 1)[-1], LONGEST_NAME), thumbnails.address(name), label, note)
