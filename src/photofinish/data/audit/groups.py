"""From pairs of pictures that are alike to groups, and to the pictures that training has seen already."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy
from numpy.typing import NDArray

from photofinish.data.audit.duplicates import Pairs
from photofinish.data.compact import ManyNames
from photofinish.data.listing import PARTS, Part
from photofinish.runs.audits import DuplicateGroup, Duplicates

Places = NDArray[np.int64]

MOST_GROUPS = 500
MOST_LISTED = 40
COMPLETE = "complete"
_TRAIN = PARTS.index("train")


@dataclass(frozen=True, eq=False)
class Labelled:
    """The pictures of a set in which duplicates were looked for.

    Attributes:
        ids: Name of each picture.
        labels: (pictures,) index into `classes`.
        parts: (pictures,) index into `PARTS`.
        classes: Class names.
        contents: SHA-256 of each picture's file, or None where the files are not known.
    """

    ids: ManyNames
    labels: NDArray[np.int32]
    parts: NDArray[np.int8]
    classes: Sequence[str]
    contents: Sequence[str] | None = None


def numbers_of_groups(original: Places, pairs: Pairs) -> Places:
    """Return for each picture the number of its group; a picture like no other is a group of its own.

    Args:
        original: (pictures,) place of the first picture with the same pixels.
        pairs: Near duplicates among those first ones.
    """
    count = len(original)
    ends = np.concatenate([original, pairs.first]), np.concatenate([np.arange(count), pairs.second])
    links = scipy.sparse.coo_array((np.ones(len(ends[0]), bool), ends), shape=(count, count))
    numbers: Places = scipy.sparse.csgraph.connected_components(links, directed=False)[1].astype(np.int64)
    return numbers


def describe_duplicates(
    pictures: Labelled, original: Places, pairs: Pairs, *, near_search: str = COMPLETE, resembling_share: float = 0.0
) -> Duplicates:
    """Write down what was found.

    Args:
        pictures: The pictures.
        original: (pictures,) place of the first picture with the same pixels.
        pairs: Near duplicates among those first ones.
        near_search: `complete`, or why near duplicates were not looked for.
        resembling_share: Share of pairs of different classes that are rather alike by chance.
    """
    numbers = numbers_of_groups(original, pairs)
    order = np.argsort(numbers, kind="stable")
    sizes = np.bincount(numbers)
    starts = np.cumsum(sizes) - sizes
    # Most pictures are like no other.
    members = [order[starts[group] : starts[group] + sizes[group]] for group in np.flatnonzero(sizes > 1)]
    pairs_of = _pairs_by_group(numbers, pairs)
    groups = [_describe(pictures, group, original, pairs, pairs_of.get(int(numbers[group[0]]))) for group in members]
    groups.sort(key=lambda group: (not group.across_splits, group.labels_agree, group.distance, group.ids[0]))
    leaked = _seen_in_training(pictures.parts, original, pairs)
    near = sum(group.kind == "near" for group in groups)
    return Duplicates(
        exact_groups=len(groups) - near,
        near_groups=near,
        repeated=sum(group.size - 1 for group in groups),
        across_splits=sum(group.across_splits for group in groups),
        disagreeing=sum(not group.labels_agree for group in groups),
        groups=tuple(groups[:MOST_GROUPS]),
        leaked_test=_names(pictures, leaked, "test"),
        leaked_validation=_names(pictures, leaked, "validation"),
        near_search=near_search,
        resembling_share=resembling_share,
    )


def _pairs_by_group(numbers: Places, pairs: Pairs) -> dict[int, Places]:
    owners = numbers[pairs.first]
    order = np.argsort(owners, kind="stable")
    values, starts = np.unique(owners[order], return_index=True)
    return dict(zip(values.tolist(), np.split(order, starts[1:]), strict=True)) if len(values) else {}


def _describe(
    pictures: Labelled, members: Places, original: Places, pairs: Pairs, links: Places | None
) -> DuplicateGroup:
    # A cluster of hundreds is listed in part, and the part shows that it reaches across splits and classes.
    listed = _varied(members, pictures)[:MOST_LISTED]
    is_exact = bool((original[members] == original[members[0]]).all())
    contents = pictures.contents
    return DuplicateGroup(
        kind="exact" if is_exact else "near",
        size=len(members),
        ids=tuple(str(pictures.ids[place]) for place in listed.tolist()),
        splits=tuple(PARTS[part] for part in pictures.parts[listed].tolist()),
        labels=tuple(pictures.classes[label] for label in pictures.labels[listed].tolist()),
        same_bytes=None if contents is None else len({contents[place] for place in members.tolist()}) == 1,
        distance=0 if links is None else int(pairs.distance[links].max()),
        similarity=1.0 if links is None else round(float(pairs.similarity[links].min()), 4),
        mirrored=False if links is None else bool(pairs.mirrored[links].any()),
        labels_agree=len(np.unique(pictures.labels[members])) == 1,
        across_splits=len(np.unique(pictures.parts[members])) > 1,
    )


def _varied(members: Places, pictures: Labelled) -> Places:
    """Return a group with one picture of each split and class first."""
    kinds = pictures.parts[members].astype(np.int64) * len(pictures.classes) + pictures.labels[members]
    first = np.unique(kinds, return_index=True)[1]
    return np.concatenate([members[first], np.delete(members, first)])


def _seen_in_training(parts: NDArray[np.int8], original: Places, pairs: Pairs) -> NDArray[np.bool_]:
    """Say of each picture whether one just like it, or directly alike, is a training picture."""
    in_training = np.zeros(len(parts), bool)
    in_training[original[parts == _TRAIN]] = True
    seen = in_training.copy()
    np.logical_or.at(seen, pairs.first, in_training[pairs.second])
    np.logical_or.at(seen, pairs.second, in_training[pairs.first])
    return seen[original]


def _names(pictures: Labelled, leaked: NDArray[np.bool_], part: Part) -> tuple[str, ...]:
    chosen = np.flatnonzero(leaked & (pictures.parts == PARTS.index(part)))
    return tuple(str(pictures.ids[place]) for place in chosen.tolist())
