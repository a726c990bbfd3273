"""Dividing pictures by their content, so that every machine divides them alike.

Within a class pictures are sorted by SHA-256(salt + SHA-256 of the picture). Neither file names nor their
order nor a random generator's version matters, adding a picture moves hardly any other, and pictures with the
same bytes go to the same side.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter

import numpy as np
from numpy.typing import NDArray

from photofinish.config.settings import DataSettings
from photofinish.data.compact import Digests
from photofinish.data.listing import PARTS, Listing, Part
from photofinish.errors import DataError

Indices = NDArray[np.int64]
Splits = dict[str, Indices]


def make_splits(listing: Listing, settings: DataSettings) -> Splits:
    """Divide the examples into training, validation and test.

    In this order: a source without a test part gives `test_fraction` of its training pictures to testing;
    `limit_train` reduces what is left, `limit_test` the test pictures; a source without a validation part
    gives `validation_fraction` of the remaining training pictures to validation. A source's own parts are
    kept.

    Args:
        listing: All examples.
        settings: Fractions, limits and the seed of the split.

    Returns:
        For `train`, `validation` and `test` the places in the listing, ascending.

    Raises:
        DataError: A class has too few pictures, or a limit leaves it none.
    """
    train, validation, test = (listing.members(part) for part in PARTS)
    own_validation = len(validation) > 0
    if len(test) == 0:
        leave = 1 if own_validation else 2
        train, test = _set_aside(listing, train, settings.test_fraction, f"{settings.split_seed}:test", leave)
    if settings.limit_train is not None and settings.limit_train < len(train):
        _require_limit(listing, "limit_train", settings.limit_train, 2)
        train = _limit(listing, train, settings.limit_train, settings, "train")
    if settings.limit_test is not None and settings.limit_test < len(test):
        _require_limit(listing, "limit_test", settings.limit_test, 1)
        test = _limit(listing, test, settings.limit_test, settings, "test")
    if not own_validation:
        train, validation = _set_aside(
            listing, train, settings.validation_fraction, f"{settings.split_seed}:validation", 1
        )
    splits = {"train": train, "validation": validation, "test": test}
    require_every_class(listing.labels, listing.classes, splits, listing.place)
    return splits


def require_every_class(
    labels: NDArray[np.int32], classes: Sequence[str], splits: Mapping[str, Indices], place: str
) -> None:
    """Refuse splits in which a class has no picture.

    Args:
        labels: (examples,) label of each example.
        classes: Class names.
        splits: Indices into `labels`.
        place: Where the pictures are from, for the message.

    Raises:
        DataError: A class is missing from a split.
    """
    for name, indices in splits.items():
        counts = np.bincount(labels[indices], minlength=len(classes))
        if (counts == 0).any():
            missing = classes[int(np.argmin(counts))]
            raise DataError(
                f"{place}: class '{missing}' has no picture in the {name} split; add pictures of it, "
                "raise the limit, or choose the stratified limit mode"
            )


def fingerprint(
    classes: Sequence[str],
    ids: Sequence[str],
    labels: NDArray[np.int32],
    contents: Digests,
    splits: Mapping[str, Indices],
) -> str:
    """Return the SHA-256 that identifies pictures, labels and split.

    It covers, for each picture in use, its split, class name, label, the SHA-256 of its bytes, and its id. It
    does not depend on where the pictures are kept, on the order of the source, or on the size at which they
    are decoded: the image size is a setting of its own.
    """
    # The digest of one line of JSON for each picture, sorted: by how lines begin, then by content, then by id.
    by_beginning = {
        json.dumps([name, classes[label], label])[:-1]: indices[places]
        for name, indices in splits.items()
        for label, places in enumerate(_by_label(labels[indices], len(classes)))
    }
    digest, sortable = hashlib.sha256(), contents.sortable()
    for beginning, chosen in sorted(by_beginning.items(), key=itemgetter(0)):
        in_order = chosen[np.argsort(sortable[chosen], kind="stable")]
        for content, same in groupby(in_order, key=lambda place: contents[int(place)]):
            for end in sorted(json.dumps([content, ids[int(place)]])[1:] for place in same):
                digest.update(f"{beginning}, {end}\n".encode())
    return digest.hexdigest()


def repeated_across(contents: Digests, splits: Mapping[str, Indices]) -> int:
    """Count the validation and test pictures whose content is in an earlier split too.

    Args:
        contents: Of all examples.
        splits: Places of examples.
    """
    _, which = np.unique(contents.sortable(), return_inverse=True)
    seen = np.zeros(len(contents), bool)
    repeated = 0
    for part in PARTS:
        of_part = which[splits[part]]
        repeated += int(seen[of_part].sum())
        seen[of_part] = True
    return repeated


def _set_aside(listing: Listing, pool: Indices, fraction: float, salt: str, leave: int) -> tuple[Indices, Indices]:
    """Return (what stays, what is set aside): `fraction` of each class, rounded, at least one picture.

    At least `leave` different pictures of each class stay.
    """
    groups = _groups(listing, pool, salt)
    is_aside = np.zeros(len(groups.sizes), bool)
    of_classes = _by_label(groups.labels, len(listing.classes))
    for name, places in zip(listing.classes, of_classes, strict=True):
        if len(places) <= leave:
            raise DataError(
                f"{listing.place}: class '{name}' has too few pictures: {len(places)} "
                f"different ones, {leave + 1} needed to set one aside; add pictures of it or remove the class"
            )
        sizes = groups.sizes[places]
        wanted = max(1, math.floor(fraction * int(sizes.sum()) + 0.5))
        is_aside[places[_take(sizes, wanted, leave)]] = True
    aside = np.sort(groups.members[np.repeat(is_aside, groups.sizes)])
    return np.setdiff1d(pool, aside), aside


def _by_label(labels: NDArray[np.int32], classes: int) -> list[Indices]:
    """Return for each class where its label is, ascending."""
    order = np.argsort(labels, kind="stable")
    return np.split(order, np.cumsum(np.bincount(labels, minlength=classes))[:-1])


def _take(sizes: Indices, wanted: int, leave: int) -> list[int]:
    """Take whole groups in turn as far as they fit; at least one is taken and `leave` are left."""
    taken: list[int] = []
    left, pictures = len(sizes), 0
    for place, size in enumerate(sizes.tolist()):
        if left > leave and pictures + size <= wanted:
            taken.append(place)
            left, pictures = left - 1, pictures + size
    return taken or [int(sizes.argmin())]


@dataclass(frozen=True, eq=False)
class _Groups:
    """Groups of identical pictures.

    Attributes:
        members: (pictures,) places in the listing, group after group in salted order, by id within a group.
        sizes: (groups,) how many members each has.
        labels: (groups,) the label of each: where identical pictures carry different ones, that of the first id, so
            that they are not torn apart either.
    """

    members: Indices
    sizes: Indices
    labels: NDArray[np.int32]


def _groups(listing: Listing, pool: Indices, salt: str) -> _Groups:
    """Return the groups of identical pictures among some of them."""
    own = Digests(listing.contents.rows[pool])
    _, first, group_of = np.unique(own.sortable(), return_index=True, return_inverse=True)
    salted = Digests.joined(hashlib.sha256(f"{salt}:{own[place]}".encode()).digest() for place in first.tolist())
    rank = np.empty(len(first), np.int64)
    rank[np.argsort(salted.sortable())] = np.arange(len(first))
    members = pool[np.argsort(rank[group_of], kind="stable")]
    sizes = np.bincount(rank[group_of], minlength=len(first))
    starts = np.cumsum(sizes) - sizes
    for start, size in zip(starts[sizes > 1], sizes[sizes > 1], strict=True):
        members[start : start + size] = sorted(members[start : start + size].tolist(), key=listing.ids.__getitem__)
    return _Groups(members, sizes, listing.labels[members[starts]])


def _limit(listing: Listing, pool: Indices, limit: int, settings: DataSettings, part: Part) -> Indices:
    if settings.limit_mode == "first":
        return pool[:limit]
    labels = listing.labels[pool]
    counts = np.bincount(labels, minlength=len(listing.classes))
    shares = allot(counts, limit, 2 if part == "train" else 1)
    salt = f"{settings.split_seed}:limit-{part}"
    order = _groups(listing, pool, salt).members
    of_classes = _by_label(listing.labels[order], len(listing.classes))
    chosen = [places[:share] for places, share in zip(of_classes, shares.tolist(), strict=True)]
    return np.sort(order[np.concatenate(chosen)])


def allot(counts: NDArray[np.int64], limit: int, least: int) -> NDArray[np.int64]:
    """Divide `limit` among classes in proportion to `counts`, by largest remainder.

    Args:
        counts: (classes,) pictures of each class; their sum is at least `limit`.
        limit: How many to hand out.
        least: What each class gets at least, as far as it has so many.

    Returns:
        (classes,) pictures to keep of each class, summing to `limit`.

    Examples:
        >>> allot(np.array([50, 30, 20]), 11, 1)
        array([6, 3, 2])
    """
    quotas = counts * (limit / counts.sum())
    floor = np.minimum(counts, least)
    shares: Indices = np.maximum(np.floor(quotas).astype(np.int64), floor)
    while shares.sum() < limit:
        shares[np.argmax(np.where(shares < counts, quotas - shares, -np.inf))] += 1
    while shares.sum() > limit:
        shares[np.argmin(np.where(shares > floor, quotas - shares, np.inf))] -= 1
    return shares


def _require_limit(listing: Listing, setting: str, limit: int, least: int) -> None:
    needed = least * len(listing.classes)
    if limit < needed:
        raise DataError(
            f"{setting}={limit} is too few for the {len(listing.classes)} classes of {listing.name}; "
            f"set it to {needed} or more"
        )
