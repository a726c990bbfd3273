"""`audit.json`: what is odd about a set of pictures."""

from __future__ import annotations

from typing import ClassVar, Literal

from photofinish.config.base import Settings
from photofinish.runs.stored import StoredRecord


class Unreadable(Settings):
    """A picture that does not decode."""

    id: str
    reason: str


class DuplicateGroup(Settings):
    """Pictures that are the same, or nearly; each is like at least one other of the group.

    Attributes:
        kind: `exact` where all have the same pixels, else `near`.
        size: How many there are; of a large group not all are listed.
        ids: Names of pictures.
        splits: The split of each.
        labels: The class of each.
        same_bytes: Whether the files are alike byte for byte, or None where only pixels are known.
        distance: Bits, of 63, in which the hashes of neighbours in the group differ at most; 0 where exact.
        similarity: How alike the structure of neighbours in the group is at least; 1 where exact.
        mirrored: Whether some are mirrored left to right.
        labels_agree: Whether all have one class.
        across_splits: Whether they are in more than one split.
    """

    kind: Literal["exact", "near"]
    size: int
    ids: tuple[str, ...]
    splits: tuple[str, ...]
    labels: tuple[str, ...]
    same_bytes: bool | None
    distance: int
    similarity: float
    mirrored: bool
    labels_agree: bool
    across_splits: bool


class Duplicates(Settings):
    """Repeated pictures of a set.

    Attributes:
        exact_groups: Groups of pictures with the same pixels.
        near_groups: Groups in which some differ.
        repeated: Pictures that could be left out while one of each group stays.
        across_splits: Groups in more than one split.
        disagreeing: Groups with more than one class.
        groups: The groups, those across splits and with disagreeing classes first; of very many not all.
        leaked_test: Test pictures that have a duplicate, exact or near, among the training pictures.
        leaked_validation: Likewise of validation pictures.
        near_search: `complete`, or why near duplicates were not looked for.
        resembling_share: Share of pairs of different classes, in a sample, that are rather alike by chance.
    """

    exact_groups: int
    near_groups: int
    repeated: int
    across_splits: int
    disagreeing: int
    groups: tuple[DuplicateGroup, ...]
    leaked_test: tuple[str, ...]
    leaked_validation: tuple[str, ...]
    near_search: str
    resembling_share: float


class ClassCount(Settings):
    """How many pictures a class has in each split."""

    name: str
    train: int
    validation: int
    test: int


class Oddity(Settings):
    """A property that some pictures have and others have not.

    Attributes:
        name: What it is, as in `grey`.
        explanation: What it means, in a sentence.
        count: How many pictures have it.
        ids: Names of some of them.
    """

    name: str
    explanation: str
    count: int
    ids: tuple[str, ...]


class LabelSuspect(Settings):
    """A picture whose label is probably wrong.

    Attributes:
        id: Its name.
        split: Its split.
        label: The class it has been given.
        suggested: The class that the others make most probable.
        self_confidence: Probability of the class it has been given, from a model that did not see this picture.
        suggested_confidence: Likewise of the class suggested.
    """

    id: str
    split: str
    label: str
    suggested: str
    self_confidence: float
    suggested_confidence: float


class LabelAudit(Settings):
    """What predictions of pictures that were not trained on say of the labels.

    Attributes:
        judge: Whose predictions they are, in words.
        pictures: How many pictures were judged.
        accuracy: Share of labels that these predictions agree with.
        estimated_share: Share of wrong labels as confident learning estimates it.
        count: Pictures under suspicion.
        suspects: The most suspicious of them, in that order.
        unavailable: Why there is nothing of this, or None.
    """

    judge: str
    pictures: int
    accuracy: float | None = None
    estimated_share: float | None = None
    count: int = 0
    suspects: tuple[LabelSuspect, ...] = ()
    unavailable: str | None = None


class AuditRecord(StoredRecord):
    """What an audit found.

    Attributes:
        schema_version: Version of this layout.
        name: Name of the data set.
        fingerprint: That of the prepared pictures, or None where they were not prepared.
        pictures: How many were looked at, unreadable ones included.
        classes: Pictures of each class by split, in label order, unreadable ones left out.
        imbalance: For each split that has any, pictures of the largest class over those of the smallest; None where a
            class has none.
        duplicates: Repeated pictures.
        unreadable: Pictures that do not decode; they are left out where that is allowed.
        tolerated_share: Share of such pictures beyond which a set is refused whatever is allowed.
        refused: Why `compare` would refuse the set as it is, or None.
        oddities: Sizes and encodings out of the ordinary.
        labels: Suspicious labels, or None where they were not looked for.
        seconds: How long the audit took.
    """

    called: ClassVar[str] = "an audit"
    remedy: ClassVar[str] = "delete it and run the same command again"

    schema_version: Literal[1] = 1
    name: str
    fingerprint: str | None = None
    pictures: int
    classes: tuple[ClassCount, ...]
    imbalance: dict[str, float | None]
    duplicates: Duplicates
    unreadable: tuple[Unreadable, ...] = ()
    tolerated_share: float
    refused: str | None = None
    oddities: tuple[Oddity, ...] = ()
    labels: LabelAudit | None = None
    seconds: float = 0.0
