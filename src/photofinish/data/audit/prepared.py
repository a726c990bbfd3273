"""The audit of pictures that are decoded already: cheap enough to be made for every study."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np

from photofinish.data.audit.balance import class_counts
from photofinish.data.audit.groups import Labelled, Places
from photofinish.data.audit.oddities import Look, Looks, look, oddities
from photofinish.data.audit.perceptual import Thumbnails, thumbnail
from photofinish.data.audit.search import Seen, digest_of, find_duplicates
from photofinish.data.audit.similarity import structure
from photofinish.data.decode import quiet, read_encoding
from photofinish.data.listing import PARTS, Files, Listing
from photofinish.data.parallel import in_order, threads_for
from photofinish.data.preparation import UNREADABLE_SHARE
from photofinish.data.prepared import PreparedData, read_pixels_note
from photofinish.errors import DataError
from photofinish.runs.audits import AuditRecord, Unreadable
from photofinish.storage import cache_folder
from photofinish.storage.progress import Progress, silent

_WINDOW = _REPORTED_EVERY = 1024


def audit_prepared(
    data: PreparedData, source: Listing | None = None, *, progress: Progress | None = None
) -> AuditRecord:
    """Find exact and near duplicates in prepared pictures, count their classes, and say what is odd about their files.

    Pictures are compared as they are stored: fitted to the study's image size where they were larger. The files
    are read once more, to be sure that they are the same ones, and of their pictures only the headers are decoded.

    Args:
        data: The pictures and their division.
        source: Where they came from; without it sizes are those of the prepared pictures.
        progress: Told how far things are.

    Raises:
        DataError: A file is gone or is not the one that was prepared.
        PhotofinishError: The disk is full.
    """
    start, progress = time.perf_counter(), progress or silent
    used = np.sort(np.concatenate([data.splits[part] for part in PARTS]))
    parts = np.zeros(len(data.ids), np.int8)
    for number, part in enumerate(PARTS):
        parts[data.splits[part]] = number
    # Where all are used, their names stay on the disk.
    ids = data.ids if len(used) == len(data.ids) else data.ids[used]
    pictures = Labelled(ids, data.labels[used], parts[used], data.record.classes)
    look_at = _looking(data, source)
    looks = Looks()

    def see(place: int) -> tuple[Look, bytes, Thumbnails]:
        picture = data.images[place]
        return look_at(place), digest_of(picture), thumbnail(picture)

    with quiet(), Seen(cache_folder("audit"), len(used)) as seen:
        looked = in_order(see, used, threads=threads_for(data.record.stored_size), window=_WINDOW)
        for done, (_, (noted, digest, small)) in enumerate(looked, start=1):
            looks.add(noted)
            seen.add(digest, small)
            if done % _REPORTED_EVERY == 0 or done == len(used):
                progress("looking at pictures", done, len(used))
        duplicates, _ = find_duplicates(pictures, seen, progress)
        structures = structure(seen.thumbnails())
    counts, imbalance = class_counts(data.record.classes, pictures.labels, pictures.parts)
    skipped: dict[str, str] = read_pixels_note(data.folder.parent)["skipped"]
    return AuditRecord(
        name=data.record.name,
        fingerprint=data.record.fingerprint,
        pictures=len(used) + len(skipped),
        classes=counts,
        imbalance=imbalance,
        duplicates=duplicates,
        unreadable=tuple(Unreadable(id=name, reason=reason) for name, reason in skipped.items()),
        tolerated_share=UNREADABLE_SHARE,
        oddities=tuple(oddities(ids, looks, structures, min(data.record.stored_size))),
        seconds=round(time.perf_counter() - start, 1),
    )


def _looking(data: PreparedData, source: Listing | None) -> Callable[[int], Look]:
    """Return what notes the size and encoding of the picture at a place, from its file where there is one."""
    if source is None or not isinstance(source.pictures, Files):
        # All alike, and shared: a million of them take no room.
        stored = Look(*data.record.stored_size)
        return lambda _: stored
    files, place_of = source.pictures, _places_in(source, data)

    def look_at(place: int) -> Look:
        return look(str(data.ids[place]), *read_encoding(files.content(int(place_of[place]))))

    return look_at


def _places_in(source: Listing, data: PreparedData) -> Places:
    """Return the place in the source of each picture that was prepared: in both they come in the same order."""
    found = np.zeros(len(data.ids), np.int64)
    rest = enumerate(source.ids)
    for row, name in enumerate(data.ids):
        place = next((place for place, one in rest if one == name), None)
        if place is None:
            raise DataError(f"{source.place}: {name} is gone; start again when nothing writes to it")
        found[row] = place
    return found
