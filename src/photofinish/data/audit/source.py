"""The audit of a source: every file of it is read, decoded wholly, and compared with all others."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from photofinish.config.settings import DataSettings
from photofinish.data.audit.balance import class_counts
from photofinish.data.audit.groups import Labelled
from photofinish.data.audit.oddities import Look, Looks, look, oddities
from photofinish.data.audit.perceptual import Thumbnails, thumbnail
from photofinish.data.audit.search import Propose, Seen, digest_of, find_duplicates
from photofinish.data.audit.similarity import structure
from photofinish.data.compact import Digests, Names
from photofinish.data.decode import UnreadablePictureError, decode_with_encoding, quiet
from photofinish.data.listing import PARTS, Files, Listing
from photofinish.data.parallel import first_size, in_order, threads_for
from photofinish.data.preparation import UNREADABLE_SHARE, refusal
from photofinish.data.sources import read_source
from photofinish.data.splits import Splits, make_splits
from photofinish.errors import DataError
from photofinish.runs.audits import AuditRecord, Unreadable
from photofinish.storage import cache_folder
from photofinish.storage.progress import Progress, silent

Places = NDArray[np.int64]

_WINDOW = 1024
_REPORTED_EVERY = 256


@dataclass(frozen=True, eq=False)
class AuditedSource:
    """What an audit found, and what further audits of the same pictures need.

    Attributes:
        record: The findings.
        pictures: The pictures that decode.
        groups: (pictures,) number of the group of duplicates that each belongs to.
    """

    record: AuditRecord
    pictures: Labelled
    groups: Places


def audit_source(
    settings: DataSettings,
    *,
    cache: Path | None = None,
    progress: Progress | None = None,
    propose: Propose | None = None,
) -> AuditedSource:
    """Audit the pictures of a source, divided as they would be for training.

    Where they cannot be divided, or so many do not decode that training would be refused, the audit says so and goes
    on.

    Args:
        settings: Which pictures, and how to divide them.
        cache: Where downloads, hashes and, for the time of the audit, thumbnails are kept; the user's by default.
        progress: Told how far things are.
        propose: Finds candidates for near duplicates by other means than hashes.

    Raises:
        SettingsError: The source is unknown.
        DataError: The source is not laid out as one, a file cannot be read or changes meanwhile, or no picture decodes.
        DownloadError: The source could not be fetched.
        PhotofinishError: The disk is full.
    """
    start, base, progress = time.perf_counter(), cache or cache_folder(), progress or silent
    listing = read_source(settings.source, base, progress)
    splits, indivisible = _divided(listing, settings)
    used = np.sort(np.concatenate(list(splits.values())))
    with Seen(base / "audit", len(used)) as seen:
        looks, unreadable = _look_at_all(listing, used, seen, progress)
        kept = used[~np.isin(used, list(unreadable))]
        if len(kept) == 0:
            raise DataError(
                f"{listing.place}: none of its {len(used)} pictures decodes; check that it is the right place"
            )
        pictures = _labelled(listing, splits, kept)
        duplicates, groups = find_duplicates(pictures, seen, progress, propose)
        odd = oddities(pictures.ids, looks, structure(seen.thumbnails()), settings.image_size)
    counts, imbalance = class_counts(listing.classes, pictures.labels, pictures.parts)
    skipped = {listing.ids[place]: reason for place, reason in unreadable.items()}
    refused = indivisible or refusal(listing, settings, splits, skipped)
    record = AuditRecord(
        name=listing.name,
        pictures=len(used),
        classes=counts,
        imbalance=imbalance,
        duplicates=duplicates,
        unreadable=tuple(Unreadable(id=name, reason=reason) for name, reason in skipped.items()),
        tolerated_share=UNREADABLE_SHARE,
        refused=str(refused) if refused else None,
        oddities=tuple(odd),
        seconds=round(time.perf_counter() - start, 1),
    )
    return AuditedSource(record, pictures, groups)


def _divided(listing: Listing, settings: DataSettings) -> tuple[Splits, DataError | None]:
    """Divide the pictures, or leave them in the source's own parts where they cannot be."""
    try:
        return make_splits(listing, settings), None
    except DataError as error:
        return {part: listing.members(part) for part in PARTS}, error


def _labelled(listing: Listing, splits: Splits, kept: Places) -> Labelled:
    parts = np.zeros(len(listing.ids), np.int8)
    for number, part in enumerate(PARTS):
        parts[splits[part]] = number
    return Labelled(
        ids=listing.ids if len(kept) == len(listing.ids) else Names(listing.ids[place] for place in kept),
        labels=listing.labels[kept],
        parts=parts[kept],
        classes=listing.classes,
        contents=Digests(listing.contents.rows[kept]),
    )


def _look_at_all(listing: Listing, places: Places, seen: Seen, progress: Progress) -> tuple[Looks, dict[int, str]]:
    """Decode every picture; return what was noted of those that decode, and why the others do not."""
    looks = Looks()
    unreadable: dict[int, str] = {}

    def see(place: int) -> tuple[Look, bytes, Thumbnails] | str:
        try:
            return _see(listing, place)
        except UnreadablePictureError as error:
            return str(error)

    with quiet():
        threads = threads_for(first_size(listing.pictures, places))
        results = in_order(see, places, threads=threads, window=_WINDOW)
        for done, (place, result) in enumerate(results, start=1):
            if isinstance(result, str):
                unreadable[place] = result
            else:
                noted, digest, small = result
                looks.add(noted)
                seen.add(digest, small)
            if done % _REPORTED_EVERY == 0 or done == len(places):
                progress("looking at pictures", done, len(places))
    return looks, unreadable


def _see(listing: Listing, place: int) -> tuple[Look, bytes, Thumbnails]:
    if isinstance(listing.pictures, Files):
        pixels, encoding = decode_with_encoding(listing.pictures.content(place))
    else:
        pixels, encoding = listing.pictures.picture(place, None), None
    return look(listing.ids[place], pixels.shape[:2], encoding), digest_of(pixels), thumbnail(pixels)
