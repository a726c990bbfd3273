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

import numpy as np
from numpy.typing import NDArray

from photofinish.config.settings import DataSettings
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
    contents: Sequence[str],
    splits: Mapping[str, Indices],
) -> str:
    """Return the SHA-256 that identifies pictures, labels and split.

    It covers, for each picture in use, its split, class name, label, the SHA-256 of its bytes, and its id. It
    does not depend on where the pictures are kept, on the order of the source, or on the size at which they
    are decoded: the image size is a setting of its own.
    """
    lines = [
        json.dumps([name, classes[labels[index]], int(labels[index]), contents[index], ids[index]])
        for name, indices in splits.items()
        for index in indices.tolist()
    ]
    digest = hashlib.sha256()
    for line in sorted(lines):
        digest.update(line.encode() + b"\n")
    return digest.hexdigest()


def _set_aside(listing: Listing, pool: Indices, fraction: float, salt: str, leave: int) -> tuple[Indices, Indices]:
    """Return (what stays, what is set aside): `fraction` of each class, rounded, at least one picture.

    At least `leave` different pictures of each class stay.
    """
    chosen: list[int] = []
    for label, groups in enumerate(_groups(listing, pool, salt)):
        if len(groups) <= leave:
            raise DataError(
                f"{listing.place}: class '{listing.classes[label]}' has too few pictures: {len(groups)} "
                f"different ones, {leave + 1} needed to set one aside; add pictures of it or remove the class"
            )
        wanted = max(1, math.floor(fraction * sum(map(len, groups)) + 0.5))
        chosen += _take(groups, wanted, leave)
    aside = np.array(sorted(chosen), dtype=np.int64)
    return np.setdiff1d(pool, aside), aside


def _take(groups: list[list[int]], wanted: int, leave: int) -> list[int]:
    """Take whole groups in turn as far as they fit; at least one is taken and `leave` are left."""
    taken: list[int] = []
    left = len(groups)
    for group in groups:
        if left > leave and len(taken) + len(group) <= wanted:
            taken += group
            left -= 1
    return taken or min(groups, key=len)


def _groups(listing: Listing, pool: Indices, salt: str) -> list[list[list[int]]]:
    """Return for each label its groups of identical pictures, in salted order.

    Where identical pictures carry different labels, the group belongs to the label of its first id, so that
    it is not torn apart either.
    """
    by_content: dict[str, list[int]] = {}
    for index in sorted(pool.tolist(), key=lambda index: listing.ids[index]):
        by_content.setdefault(listing.contents[index], []).append(index)
    groups: list[list[list[int]]] = [[] for _ in listing.classes]
    for content in sorted(by_content, key=lambda content: _salted(salt, content)):
        members = by_content[content]
        groups[listing.labels[members[0]]].append(members)
    return groups


def _salted(salt: str, content: str) -> bytes:
    return hashlib.sha256(f"{salt}:{content}".encode()).digest()


def _limit(listing: Listing, pool: Indices, limit: int, settings: DataSettings, part: Part) -> Indices:
    if settings.limit_mode == "first":
        return pool[:limit]
    labels = listing.labels[pool]
    counts = np.bincount(labels, minlength=len(listing.classes))
    shares = allot(counts, limit, 2 if part == "train" else 1)
    salt = f"{settings.split_seed}:limit-{part}"
    order = sorted(pool.tolist(), key=lambda index: (_salted(salt, listing.contents[index]), listing.ids[index]))
    chosen: list[int] = []
    for index in order:
        label = listing.labels[index]
        if shares[label] > 0:
            shares[label] -= 1
            chosen.append(index)
    return np.array(sorted(chosen), dtype=np.int64)


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
