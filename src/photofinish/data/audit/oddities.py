"""Sizes and encodings out of the ordinary."""

from __future__ import annotations

import math
from array import array
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from photofinish.data.compact import ManyNames
from photofinish.data.decode import Encoding
from photofinish.runs.audits import Oddity

Value = TypeVar("Value")

MOST_LISTED = 100
SIDE_FACTOR = 4.0
PROPORTION_FACTOR = 3.0
BLANK = 0.01
"""Share of a picture with structure below which it is as good as one colour."""

_KINDS = {"L": "grey", "LA": "grey", "La": "grey", "1": "black and white", "P": "palette", "PA": "palette"}
_WIDE = "16 bit or floating point"
_KIND_WORDS = {
    "colour": "in colour, in a set most of which is not",
    "grey": "grey, in a set most of which is not",
    "black and white": "black and white, in a set most of which is not",
    "palette": "of a palette of colours, in a set most of which is not",
    "CMYK": "in printing colours (CMYK), in a set most of which is not",
    _WIDE: "of more than 8 bits a channel, which are reduced to 8, in a set most of which is not",
}
_SUFFIXES = {
    "JPEG": {".jpg", ".jpeg"},
    "MPO": {".jpg", ".jpeg"},
    "PNG": {".png"},
    "BMP": {".bmp"},
    "GIF": {".gif"},
    "WEBP": {".webp"},
    "TIFF": {".tif", ".tiff"},
    "PPM": {".ppm", ".pgm"},
}


@dataclass(frozen=True, slots=True)
class Look:
    """What is kept of a picture that was looked at.

    Attributes:
        height: In pixels, as it is shown.
        width: Likewise.
        kind: Whether it is in colour, grey and so on, or None where the source gives pixels only.
        properties: Names of what else is odd about its file.
    """

    height: int
    width: int
    kind: str | None = None
    properties: tuple[str, ...] = ()


class Looks:
    """What is kept of all pictures that were looked at: of those that look alike once."""

    def __init__(self) -> None:
        self._number: dict[Look, int] = {}
        self._numbers = array("i")

    def add(self, one: Look) -> None:
        """Keep one more."""
        self._numbers.append(self._number.setdefault(one, len(self._number)))

    def counts(self, of: Callable[[Look], Value]) -> Counter[Value]:
        """Count the values of a function."""
        counts: Counter[Value] = Counter()
        for one, count in zip(self._number, np.bincount(self._numbers).tolist(), strict=True):
            counts[of(one)] += count
        return counts

    def each(self, of: Callable[[Look], Any]) -> NDArray[Any]:
        """Return a function's value of each picture, (pictures,), or values, (pictures, values)."""
        of_different: NDArray[Any] = np.array([of(one) for one in self._number])
        of_all: NDArray[Any] = of_different[np.asarray(self._numbers)]
        return of_all


_PROPERTIES = {
    "turned": "turned as their EXIF data says; programs that do not heed it show them lying down",
    "animated": "of several frames or pages, of which the first alone is used",
    "transparent": "transparent in places, where white is laid behind them",
    "misnamed": "in another format than their names say",
}


def look(name: str, size: tuple[int, int], encoding: Encoding | None) -> Look:
    """Note what matters about one picture.

    Args:
        name: Its file's name.
        size: Height and width in pixels, as it is shown.
        encoding: How it was stored, where that is known.
    """
    height, width = size
    if encoding is None:
        return Look(height, width)
    holds = {
        "turned": encoding.orientation != 1,
        "animated": encoding.is_animated,
        "transparent": encoding.is_transparent,
        "misnamed": PurePosixPath(name).suffix.lower() not in _SUFFIXES.get(encoding.kind, ()),
    }
    return Look(height, width, _kind(encoding.mode), tuple(one for one, is_so in holds.items() if is_so))


def _kind(mode: str) -> str:
    if mode.startswith(("I", "F")):
        return _WIDE
    return "CMYK" if mode == "CMYK" else _KINDS.get(mode, "colour")


def oddities(ids: ManyNames, looks: Looks, structures: NDArray[np.float32], image_size: int) -> list[Oddity]:
    """Name what sets pictures apart from the others of their set.

    A side is odd that is four times as long, or a quarter as long, as the median; proportions are that differ from the
    median by a factor of three.

    Args:
        ids: Name of each picture.
        looks: What was noted of each.
        structures: Share of each picture with structure.
        image_size: Height and width at which models are to see them.
    """
    found = [*_by_kind(looks), *_by_property(looks), *_by_size(looks, image_size)]
    found.append(("blank", "of one colour, or as good as", structures < BLANK))
    return [
        Oddity(name=name, explanation=words, count=int(holds.sum()), ids=_listed(ids, holds))
        for name, words, holds in found
        if holds.any()
    ]


_Found = Iterator[tuple[str, str, NDArray[np.bool_]]]


def _by_kind(looks: Looks) -> _Found:
    kinds = looks.each(lambda one: str(one.kind))
    for kind, _ in looks.counts(lambda one: one.kind).most_common()[1:]:
        if kind is not None:
            yield kind, _KIND_WORDS[kind], kinds == kind


def _by_property(looks: Looks) -> _Found:
    holds = looks.each(lambda one: [name in one.properties for name in _PROPERTIES])
    for column, (name, words) in enumerate(_PROPERTIES.items()):
        yield name, words, holds[:, column]


def _by_size(looks: Looks, image_size: int) -> _Found:
    shorter = looks.each(lambda one: float(min(one.height, one.width)))
    median = float(np.median(shorter))
    yield (
        "small",
        f"with a shorter side below a quarter of the median, {median:g} pixels",
        shorter < median / SIDE_FACTOR,
    )
    yield (
        "large",
        f"with a shorter side of more than four times the median, {median:g} pixels",
        (shorter > median * SIDE_FACTOR),
    )
    proportion = looks.each(lambda one: math.log(one.width / one.height))
    off = np.abs(proportion - np.median(proportion)) > math.log(PROPORTION_FACTOR)
    yield "elongated", "whose width to height differs from the median's by a factor of three or more", off
    enlarged = shorter < image_size
    if not enlarged.all():
        yield "enlarged", f"smaller than the {image_size} pixels at which models see them", enlarged


def _listed(ids: ManyNames, holds: NDArray[np.bool_]) -> tuple[str, ...]:
    return tuple(str(ids[place]) for place in np.flatnonzero(holds)[:MOST_LISTED].tolist())
