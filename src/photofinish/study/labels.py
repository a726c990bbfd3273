"""Which labels of a set are probably wrong, as judged by a network's features or by the predictions of a study."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import scipy
from numpy.typing import NDArray

from photofinish.data.audit import Labelled
from photofinish.data.listing import PARTS
from photofinish.evaluation.label_errors import LabelErrors, find_label_errors
from photofinish.evaluation.metrics import wilson_interval
from photofinish.runs import AuditRecord
from photofinish.runs.audits import LabelAudit, LabelSuspect
from photofinish.study.cells import SPLITS, FinishedCell

MOST_LISTED = 1000
LEAST_ACCURACY = 0.5
"""A judge who is wrong more often accuses more right labels than wrong ones: see docs/audit.md."""


def judged_by_study(finished: Sequence[FinishedCell], classes: Sequence[str], audit: AuditRecord) -> LabelAudit:
    """Judge the validation and test pictures by the mean prediction of all models and seeds.

    No model trained on them. Those that have a duplicate among the training pictures are left out: a model may know
    their label, right or wrong, by heart.

    Args:
        finished: The finished cells of a study, at least one.
        classes: Class names.
        audit: What was found in the study's pictures.
    """
    seen = (*audit.duplicates.leaked_test, *audit.duplicates.leaked_validation)
    sets = [{"test": one.test, "validation": one.validation} for one in finished]
    ids = np.concatenate([sets[0][split].ids for split in SPLITS])
    labels = np.concatenate([sets[0][split].labels for split in SPLITS])
    parts = np.concatenate([np.full(len(sets[0][split].ids), PARTS.index(split), np.int8) for split in SPLITS])
    total = np.zeros((len(ids), len(classes)))
    for predictions in sets:
        logits = np.concatenate([predictions[split].logits for split in SPLITS])
        total += scipy.special.softmax(logits.astype(np.float64), axis=1)
    kept = ~np.isin(ids, seen)
    pictures = Labelled(ids[kept], labels[kept], parts[kept], classes)
    models = len({one.cell.model for one in finished})
    judge = f"the mean prediction of {models} {'model' if models == 1 else 'models'} for validation and test pictures"
    return judged(judge, pictures, total[kept] / len(finished))


def judged(judge: str, pictures: Labelled, probabilities: NDArray[np.float64]) -> LabelAudit:
    """Return which labels are probably wrong.

    Args:
        judge: Whose probabilities they are, in words.
        pictures: The pictures.
        probabilities: (pictures, classes) by models that were not trained on the picture.
    """
    found = LabelAudit(judge=judge, pictures=len(pictures.ids))
    if not len(pictures.ids):
        return found.but(unavailable="no picture is left to judge")
    accuracy = float((probabilities.argmax(axis=1) == pictures.labels).mean())
    found = found.but(accuracy=round(accuracy, 4))
    if accuracy < LEAST_ACCURACY:
        return found.but(
            unavailable=f"{judge} agrees with {accuracy:.1%} of the labels only, and a judge of labels must with "
            f"{LEAST_ACCURACY:.0%} at least"
        )
    largest = float(np.bincount(pictures.labels).max() / len(pictures.labels))
    if wilson_interval(accuracy, len(pictures.ids))[0] <= largest:
        return found.but(
            unavailable=f"{judge} agrees with {accuracy:.1%} of the labels, which is not shown to be more than always "
            f"answering with the largest class ({largest:.1%})"
        )
    errors = find_label_errors(pictures.labels, probabilities)
    return found.but(
        estimated_share=round(errors.estimated_share, 4),
        count=len(errors.suspects),
        suspects=_suspects(pictures, errors, probabilities),
    )


def _suspects(pictures: Labelled, errors: LabelErrors, probabilities: NDArray[np.float64]) -> tuple[LabelSuspect, ...]:
    return tuple(
        LabelSuspect(
            id=str(pictures.ids[place]),
            split=PARTS[pictures.parts[place]],
            label=pictures.classes[pictures.labels[place]],
            suggested=pictures.classes[suggested],
            self_confidence=round(float(errors.self_confidence[place]), 4),
            suggested_confidence=round(float(probabilities[place, suggested]), 4),
        )
        for place, suggested in zip(
            errors.suspects[:MOST_LISTED].tolist(), errors.suggested[:MOST_LISTED].tolist(), strict=True
        )
    )
