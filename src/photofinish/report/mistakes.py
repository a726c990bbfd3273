"""The test pictures worth looking at: confident mistakes, disagreements, and what every model gets wrong."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from photofinish.evaluation.mistakes import Answer, Judged
from photofinish.report import wording
from photofinish.report.figures.svg import swatch
from photofinish.report.material import Material
from photofinish.report.names import shortened
from photofinish.report.tables import Column, Field, Table
from photofinish.report.thumbnails import Thumbnails
from photofinish.study.gallery import Gallery, choose


@dataclass(frozen=True)
class Says:
    """What a model says of a picture.

    Attributes:
        swatch: The model's key.
        model: The model.
        predicted: Its answer.
        probability: Of that answer.
        right: Whether it is right.
    """

    swatch: Markup
    model: str
    predicted: str
    probability: str
    right: bool


@dataclass(frozen=True)
class Tile:
    """A picture with what is said of it.

    Attributes:
        name: Name of the picture.
        short_name: Its last part.
        picture: An address that holds the picture, or None where it was not stored.
        text: What stands in place of the picture for those who cannot see it.
        true: The true class.
        says: What models say.
        seeds: How many seeds are wrong, where it is about one model.
    """

    name: str
    short_name: str
    picture: str | None
    text: str
    true: str
    says: tuple[Says, ...]
    seeds: str = ""


@dataclass(frozen=True)
class Wall:
    """Pictures of one kind.

    Attributes:
        title: What they have in common.
        owner: The place of the model they are about, or None.
        swatch: Its key, or nothing.
        aside: How they were chosen.
        tiles: The pictures.
        table: The same in words.
    """

    title: str
    owner: int | None
    swatch: Markup
    aside: str
    tiles: tuple[Tile, ...]
    table: Table


def section(material: Material) -> dict[str, Any]:
    """Return what the page shows of mistakes."""
    gallery = choose([one for entrant in material.entrants for one in entrant.cells])
    thumbnails = Thumbnails.read(material.folder)
    walls = [wall for wall in _walls(material, gallery, thumbnails) if wall.tiles]
    return {
        "summary": _summary(material, gallery),
        "problem": thumbnails.problem if walls else "",
        "walls": walls,
        "legend": [(swatch(entrant.index), entrant.name) for entrant in material.entrants],
    }


def _summary(material: Material, gallery: Gallery) -> str:
    """Say how many pictures are wrong, and how many for every model."""
    if not gallery.models:
        return ""
    pairs = zip(material.entrants, gallery.wrong_pictures, strict=True)
    counts = [f"{entrant.name} gets {wrong:,} wrong" for entrant, wrong in pairs]
    sentence = f"Of {gallery.pictures:,} test pictures {wording.listing(counts)}"
    if len(gallery.models) == 1:
        return f"{sentence}."
    share = wording.percent(gallery.missed_pictures / gallery.pictures)
    return f"{sentence}; every model is wrong on {gallery.missed_pictures:,} ({share})."


def _walls(material: Material, gallery: Gallery, thumbnails: Thumbnails) -> Iterable[Wall]:
    show = _Showing(material, thumbnails)
    for entrant, mistakes, wrong in zip(material.entrants, gallery.mistakes, gallery.wrong_pictures, strict=True):
        yield Wall(
            f"Most confident mistakes of {entrant.name}",
            entrant.index,
            swatch(entrant.index),
            f"{len(mistakes)} of {wrong:,}, the most confident first.",
            show.tiles(mistakes),
            show.table(f"Most confident mistakes of {entrant.name}.", mistakes),
        )
    yield Wall(
        "Where models disagree most",
        None,
        Markup(""),
        "One model is right and sure of it, another is wrong. The greatest difference in the probability of the true "
        "class comes first.",
        show.tiles(gallery.disputed),
        show.table("Pictures on which models disagree most.", gallery.disputed),
    )
    yield Wall(
        "What every model gets wrong",
        None,
        Markup(""),
        f"{len(gallery.missed)} of {gallery.missed_pictures:,}, the least probability of the true class first. "
        "Pictures whose label is wrong itself end up here.",
        show.tiles(gallery.missed),
        show.table("Pictures that every model gets wrong.", gallery.missed),
    )


@dataclass(frozen=True)
class _Showing:
    """Puts judged pictures into words and tiles."""

    material: Material
    thumbnails: Thumbnails

    def tiles(self, judged: Sequence[Judged]) -> tuple[Tile, ...]:
        return tuple(self._tile(one) for one in judged)

    def table(self, caption: str, judged: Sequence[Judged]) -> Table:
        """Return the pictures as a table: for every answer model, class, probability and seeds."""
        columns = (
            Column("Picture", number=False),
            Column("True class", number=False),
            Column("Model", number=False),
            Column("Answer", number=False),
            Column("Probability", "mean over seeds"),
            Column("Of the true class", "mean over seeds"),
            Column("Seeds wrong"),
        )
        rows = tuple(
            (
                Field(one.id),
                Field(self._class(one.label)),
                Field(self._model(place)),
                Field(self._class(answer.predicted)),
                Field(wording.percent(answer.confidence), "", answer.confidence),
                Field(wording.percent(answer.of_true), "", answer.of_true),
                Field(_seeds(answer), "", answer.wrong_seeds),
            )
            for one in judged
            for place, answer in one.answers.items()
        )
        return Table(caption, columns, rows, "cells/")

    def _tile(self, one: Judged) -> Tile:
        says = tuple(
            Says(
                swatch(self.material.entrants[place].index),
                self._model(place),
                self._class(answer.predicted),
                wording.percent(answer.confidence),
                answer.predicted == one.label,
            )
            for place, answer in one.answers.items()
        )
        true = self._class(one.label)
        answers = "; ".join(f"{each.model} says {each.predicted} ({each.probability})" for each in says)
        (only, *others) = one.answers.values()
        return Tile(
            name=one.id,
            short_name=shortened(one.id.rsplit("/", 1)[-1], 22),
            picture=self.thumbnails.address(one.id),
            text=f"True class {true}; {answers}",
            true=true,
            says=says,
            seeds="" if others or only.seeds == 1 else f"{_seeds(only)} seeds",
        )

    def _class(self, label: int) -> str:
        return self.material.classes[label]

    def _model(self, place: int) -> str:
        return self.material.entrants[place].name


def _seeds(answer: Answer) -> str:
    return f"{answer.wrong_seeds} of {answer.seeds}"
