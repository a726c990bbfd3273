"""From a name or path to decoded, divided and fingerprinted pictures on the disk."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from photofinish.config.settings import DataSettings
from photofinish.data.cifar_classes import CIFAR10_CLASSES
from photofinish.data.decode import DECODER_VERSION
from photofinish.data.listing import PARTS, Listing
from photofinish.data.pixels import write_pixels
from photofinish.data.prepared import (
    SCHEMA,
    PreparedData,
    is_complete_pixels,
    is_complete_split,
    read_pixels_note,
    write_pixels_note,
    write_split,
)
from photofinish.data.sources import read_source
from photofinish.data.splits import Indices, Splits, fingerprint, make_splits, repeated_across, require_every_class
from photofinish.errors import DataError
from photofinish.runs.listings import NOT_USED, ListedPictures
from photofinish.runs.records import DataRecord
from photofinish.storage import cache_folder
from photofinish.storage.folders import building
from photofinish.storage.progress import Progress, silent

UNREADABLE_SHARE = 0.05
"""Share of pictures that do not decode beyond which a set is refused."""


def prepare(
    settings: DataSettings, *, cache: Path | None = None, progress: Progress | None = None, whole: bool = False
) -> PreparedData:
    """Fetch, hash, divide and decode a data set, or find it prepared.

    Every file is hashed before anything else, so a set that was prepared before is recognised by its content;
    of files that have not changed since, the hash is remembered. Pictures are divided before they are
    decoded: with a limit only those in use are decoded, and one that does not decode changes nothing for the
    others.

    Args:
        settings: Which pictures, and how to divide them.
        cache: Where downloads and prepared pictures are kept; the user's cache by default.
        progress: Told how far things are.
        whole: Take all pictures as test pictures, for a network that was trained on others: nothing is set aside.

    Returns:
        The pictures, mapped into memory.

    Raises:
        SettingsError: The source is unknown.
        DataError: The pictures cannot be used as they are.
        DownloadError: The source could not be fetched.
        PhotofinishError: The disk is full.
    """
    base = cache or cache_folder()
    listing = read_source(settings.source, base, progress or silent)
    splits = _everything(listing) if whole else make_splits(listing, settings)
    used = np.sort(np.concatenate(list(splits.values())))
    folder = _pixels_folder(base, listing, used, settings.image_size)
    if not is_complete_pixels(folder):
        _decode(folder, listing, used, settings.image_size, progress or silent)
    note = read_pixels_note(folder)
    skipped: dict[str, str] = note["skipped"]
    if skipped and not settings.skip_unreadable:
        raise _unreadable(listing, skipped, len(used))
    kept = _without(listing, used, skipped)
    division = {part: np.intersect1d(places, kept) for part, places in splits.items()}
    if not whole:
        require_every_class(listing.labels, listing.classes, division, listing.place)
    record = _record(listing, division, skipped, (note["stored_size"][0], note["stored_size"][1]))
    rows = {part: np.searchsorted(kept, places) for part, places in division.items()}
    return _store_split(folder / f"split-{record.fingerprint[:16]}", record, rows, _listed(listing, division))


def _everything(listing: Listing) -> Splits:
    nothing = np.zeros(0, np.int64)
    return {"train": nothing, "validation": nothing, "test": np.arange(len(listing.ids))}


def _without(listing: Listing, places: Indices, skipped: Mapping[str, str]) -> Indices:
    """Return the places of pictures that are not skipped."""
    return places[[listing.ids[place] not in skipped for place in places]] if skipped else places


def _pixels_folder(base: Path, listing: Listing, used: Indices, image_size: int) -> Path:
    """Return where these pictures at this size are kept, whatever their division."""
    digest = hashlib.sha256(f"{SCHEMA} {DECODER_VERSION} {image_size}\n".encode())
    for place in map(int, used):
        digest.update(f"{listing.contents[place]} {listing.labels[place]} {listing.ids[place]}\n".encode())
    name = re.sub(r"[^a-z0-9.]+", "-", listing.name.lower()).strip("-.") or "pictures"
    return base / "prepared" / name / digest.hexdigest()[:24]


def _decode(folder: Path, listing: Listing, used: Indices, image_size: int, progress: Progress) -> None:
    with building(folder, is_complete_pixels) as temporary:
        decoded = write_pixels(temporary / "images.npy", listing.pictures, used, image_size, progress)
        skipped = {listing.ids[place]: reason for place, reason in decoded.failures.items()}
        if len(skipped) > UNREADABLE_SHARE * len(used):
            raise _unreadable(listing, skipped, len(used))
        kept = used[~np.isin(used, list(decoded.failures))]
        np.save(temporary / "labels.npy", listing.labels[kept])
        np.save(temporary / "ids.npy", listing.ids.chosen(kept))
        write_pixels_note(temporary, decoded.stored_size, skipped)


def refusal(listing: Listing, settings: DataSettings, splits: Splits, skipped: Mapping[str, str]) -> DataError | None:
    """Return why `prepare` would refuse pictures of which some do not decode, or None.

    Args:
        listing: All examples.
        settings: Whether unreadable pictures may be left out.
        splits: The pictures in use.
        skipped: The reason for each name of a picture in use that does not decode.
    """
    used = sum(map(len, splits.values()))
    if skipped and (len(skipped) > UNREADABLE_SHARE * used or not settings.skip_unreadable):
        return _unreadable(listing, skipped, used)
    kept = {part: _without(listing, places, skipped) for part, places in splits.items()}
    try:
        require_every_class(listing.labels, listing.classes, kept, listing.place)
    except DataError as error:
        return error
    return None


def _unreadable(listing: Listing, skipped: Mapping[str, str], used: int) -> DataError:
    name, reason = next(iter(skipped.items()))
    what = f"{listing.place}: {name} does not decode ({reason})"
    if len(skipped) > UNREADABLE_SHARE * used:
        return DataError(
            f"{what}: {len(skipped)} of {used} pictures do not, more than {UNREADABLE_SHARE:.0%}; mend the data set"
        )
    others = f", nor do {len(skipped) - 1} others" if len(skipped) > 1 else ""
    return DataError(f"{what}{others}; mend them, or leave them out for every model alike with --skip-unreadable")


def _record(listing: Listing, splits: Splits, skipped: dict[str, str], stored_size: tuple[int, int]) -> DataRecord:
    return DataRecord(
        name="CIFAR-10 (JPEG)" if stored_size == (32, 32) and _is_cifar10_jpeg(listing) else listing.name,
        fingerprint=fingerprint(listing.classes, listing.ids, listing.labels, listing.contents, splits),
        classes=listing.classes,
        train=len(splits["train"]),
        validation=len(splits["validation"]),
        test=len(splits["test"]),
        stored_size=stored_size,
        skipped=tuple(f"{name}: {reason}" for name, reason in skipped.items()),
        repeated_across_splits=repeated_across(listing.contents, splits),
    )


def _is_cifar10_jpeg(listing: Listing) -> bool:
    """Recognise the re-encoded CIFAR-10, whose figures must not be taken for the original's."""
    if tuple(sorted(CIFAR10_CLASSES)) != listing.classes or not all(
        name.lower().endswith((".jpg", ".jpeg")) for name in listing.ids
    ):
        return False
    train, test = (np.bincount(listing.labels[listing.members(part)], minlength=10) for part in ("train", "test"))
    return bool((train == 5000).all() and (test == 1000).all())


def _listed(listing: Listing, splits: Splits) -> ListedPictures:
    """Return all pictures of the source by name, with the split that each is in."""
    parts = np.full(len(listing.ids), NOT_USED, np.uint8)
    for number, part in enumerate(PARTS):
        parts[splits[part]] = number
    digests = listing.contents.rows[:, :8].copy().view(">u8")[:, 0].astype(np.uint64)
    return ListedPictures(listing.ids.chosen(np.arange(len(listing.ids))), listing.labels, parts, digests)


def _store_split(folder: Path, record: DataRecord, rows: Splits, listed: ListedPictures) -> PreparedData:
    if not is_complete_split(folder):
        with building(folder, is_complete_split) as temporary:
            write_split(temporary, record, rows, listed)
    return PreparedData.load(folder)
