"""The audit of a study's pictures, and one that asks a frozen network for missed duplicates and wrong labels."""

from __future__ import annotations

import contextlib
import functools
import importlib.metadata
import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from photofinish import backend
from photofinish.catalog import check_weights, find
from photofinish.config import DataSettings
from photofinish.config.settings import BackendName
from photofinish.data import PreparedData, prepare
from photofinish.data.audit import AuditedSource, audit_prepared, audit_source
from photofinish.data.compact import ManyNames
from photofinish.data.listing import PARTS
from photofinish.data.sources import read_source
from photofinish.errors import DataError, PhotofinishError
from photofinish.evaluation.out_of_sample import folds_of, out_of_sample_probabilities
from photofinish.runs import StageEvent, StudyFolder
from photofinish.runs.audits import AuditRecord, LabelAudit
from photofinish.storage import cache_folder
from photofinish.storage.progress import Progress, silent
from photofinish.study.cells import FinishedCell, read_audit
from photofinish.study.labels import judged, judged_by_study
from photofinish.study.plan import Plan

FOLDS = 5
FEATURES_ALIKE = 0.8
"""Cosine of features from which structure need not be as alike: see docs/audit.md."""

MOST_COMPARED = 100_000
"""With more pictures features are not compared: the time grows with the square of their number."""

_ROWS_AT_ONCE = 512
_MOST_ALIKE = 64


@dataclass(frozen=True)
class Network:
    """A network to ask.

    Attributes:
        model: Its name in the catalog.
        weights: The name of a published set, or a file.
        backend: The library it computes with.
    """

    model: str
    weights: str
    backend: BackendName = "jax"


def audit(settings: DataSettings, network: Network | None = None, *, progress: Progress | None = None) -> AuditRecord:
    """Audit the pictures of a source.

    Args:
        settings: Which pictures, and how to divide them.
        network: A network whose features are to help; None does without.
        progress: Told how far things are.

    Raises:
        SettingsError: The source, model, weights or backend is unknown.
        DataError: The source cannot be read as one.
        WeightsError: The weights do not fit the model.
        DownloadError: Pictures or weights could not be fetched.
        PhotofinishError: The disk is full.
    """
    if network is None:
        return audit_source(settings, progress=progress).record
    start = time.perf_counter()
    asked = _Asked(settings, network, progress or silent)
    asked.check()
    audited = audit_source(settings, progress=progress, propose=asked.alike)
    labels = asked.labels(audited)
    return audited.record.but(labels=labels, seconds=round(time.perf_counter() - start, 1))


def audit_study(
    folder: StudyFolder, plan: Plan, data: PreparedData, source: str, progress: Progress | None = None
) -> None:
    """Write `audit.json` of a study's pictures, unless it is there.

    Args:
        folder: The study's folder.
        plan: What was planned.
        data: The prepared pictures.
        source: Where they came from; in the plan of a study that was moved it may be another place.
        progress: Told how far things are.

    Raises:
        StudyError: There is one already, of other pictures.
        DataError: A file is gone or is not the one that was prepared.
        PhotofinishError: The disk is full.
    """
    if read_audit(folder, plan) is None:
        _audit_once(data, source, progress).write(folder.audit)


def _audit_once(data: PreparedData, source: str, progress: Progress | None) -> AuditRecord:
    """Return the audit that another study of the same prepared pictures has left beside them, or make and leave it.

    The folder of prepared pictures is named by their contents, names, labels and division, so it cannot be of others.
    """
    kept = data.folder / f"audit-{importlib.metadata.version('photofinish')}.json"
    if kept.exists():
        with contextlib.suppress(PhotofinishError):
            record = AuditRecord.read(kept)
            if (record.name, record.fingerprint) == (data.record.name, data.record.fingerprint):
                return record
    record = audit_prepared(data, read_source(source, cache_folder(), progress or silent), progress=progress)
    # It is a copy: a study can do without it where the cache belongs to somebody else or the disk is full.
    with contextlib.suppress(OSError, PhotofinishError):
        record.write(kept)
    return record


def judge_study(folder: StudyFolder, plan: Plan, finished: Sequence[FinishedCell]) -> AuditRecord:
    """Add to `audit.json` which labels the study's own predictions speak against.

    Args:
        folder: The study's folder, with `audit.json`.
        plan: What was planned.
        finished: The finished cells, maybe none.

    Returns:
        The audit.
    """
    audit = AuditRecord.read(folder.audit)
    if finished:
        audit = audit.but(labels=judged_by_study(finished, plan.data.classes, audit))
        audit.write(folder.audit)
    return audit


class _Asked:
    """The features of one network of the pictures of one source, computed when they are first needed."""

    def __init__(self, settings: DataSettings, network: Network, progress: Progress) -> None:
        self.settings, self.network, self.progress = settings, network, progress

    def check(self) -> None:
        """Refuse a model or weights that do not exist before an hour has been spent on the pictures."""
        backend.select(self.network.backend)
        check_weights(find(self.network.model), self.network.weights, self.progress)

    @functools.cached_property
    def data(self) -> PreparedData | DataError:
        """The pictures as prepared, or why they cannot be."""
        try:
            return prepare(self.settings.but(skip_unreadable=True), progress=self.progress)
        except DataError as error:
            return error

    @functools.cached_property
    def features(self) -> NDArray[np.float32]:
        """The features, (pictures, channels), in the order of the prepared pictures."""
        from photofinish.models import Head, build
        from photofinish.training.features import Features

        if isinstance(self.data, DataError):
            raise self.data
        size = self.settings.image_size
        entrant = build(self.network.model, Head(None), image_size=size, weights=self.network.weights)

        def notify(event: StageEvent) -> None:
            self.progress("computing features", event.done, event.total)

        found, _ = Features(entrant.model, self.network.model, self.data, size, notify).of(PARTS)
        # Of a memory map of floats, whatever the prepared data calls its pictures.
        return np.asarray(found.images, np.float32)

    def alike(self, ids: ManyNames) -> NDArray[np.int64]:
        """Return places (pairs, 2) of pictures whose features are alike."""
        if isinstance(self.data, DataError) or len(ids) > MOST_COMPARED:
            return np.zeros((0, 2), np.int64)
        self._require_same(ids)
        return alike_by_features(self.features, self.progress)

    def labels(self, audited: AuditedSource) -> LabelAudit:
        """Return what the features say of the labels."""
        judge = f"features of {self.network.model} at {self.settings.image_size} pixels"
        nothing = LabelAudit(judge=judge, pictures=0)
        if isinstance(self.data, DataError):
            return nothing.but(unavailable=f"the pictures cannot be prepared: {self.data}")
        pictures = audited.pictures
        self._require_same(pictures.ids)
        groups = len(np.unique(audited.groups))
        if groups < FOLDS:
            return nothing.but(
                unavailable=f"there are only {groups} different pictures, and {FOLDS} parts of them are needed"
            )
        folds = folds_of(pictures.labels, audited.groups, FOLDS)

        def notify(done: int, total: int) -> None:
            self.progress("predicting labels", done, total)

        probabilities = out_of_sample_probabilities(
            self.features, pictures.labels, folds, len(pictures.classes), notify
        )
        return judged(judge, pictures, probabilities)

    def _require_same(self, ids: ManyNames) -> None:
        data = self.data
        if isinstance(data, DataError) or data.ids.tolist() != list(ids):
            raise DataError(
                f"{self.settings.source} changed while it was audited; start again when nothing writes to it"
            )


def alike_by_features(features: NDArray[np.float32], progress: Progress = silent) -> NDArray[np.int64]:
    """Return the pairs of pictures whose centred features point the same way.

    Args:
        features: (pictures, channels).
        progress: Told how many pictures have been compared.

    Returns:
        (pairs, 2) places, the first below the second: of each picture the 64 nearest at most of those after it.

    Examples:
        >>> alike_by_features(np.array([[1, 0], [0.9, 0.1], [-1, 0], [-0.9, -0.1]], np.float32))
        array([[0, 1],
               [2, 3]])
    """
    centred = features - features.mean(axis=0)
    centred /= np.maximum(np.linalg.norm(centred, axis=1, keepdims=True), 1e-12)
    found = []
    for start in range(0, len(centred), _ROWS_AT_ONCE):
        # Each pair is met once, on the row of its first picture.
        cosines = centred[start : start + _ROWS_AT_ONCE] @ centred[start:].T
        before = cosines[:, : len(cosines)]
        before[np.tri(len(cosines), dtype=bool)] = -1
        for row in np.flatnonzero((cosines >= FEATURES_ALIKE).sum(axis=1) > _MOST_ALIKE):
            cosines[row, np.argpartition(cosines[row], -_MOST_ALIKE)[:-_MOST_ALIKE]] = -1
        rows, columns = np.nonzero(cosines >= FEATURES_ALIKE)
        found.append(np.stack([rows, columns], axis=1) + start)
        progress("comparing features", min(start + _ROWS_AT_ONCE, len(centred)), len(centred))
    return np.concatenate(found).astype(np.int64)
