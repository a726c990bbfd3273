"""Which labels a study's own predictions speak against."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.special import softmax

from photofinish.data.audit import Labelled
from photofinish.runs import AuditRecord, Predictions, StudyFolder
from photofinish.study.audit import judge_study
from photofinish.study.cells import FinishedCell, read_cells, read_plan
from photofinish.study.labels import judged, judged_by_study

TEST = 300


@pytest.fixture(scope="module")
def folder(studies: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> StudyFolder:
    skilled = tuple(replace(entrant, skill=2.6) for entrant in studies.RACE[:2])
    design = studies.Design(entrants=skilled, seeds=(0, 1), test=TEST, epochs=1)
    folder = studies.write_study(tmp_path_factory.mktemp("study"), design)
    audit_without(studies, ()).write(folder.audit)
    return folder


@pytest.fixture(scope="module")
def finished(folder: StudyFolder) -> list[FinishedCell]:
    """The cells of a study three of whose test labels are wrong; validation pictures have names of their own."""
    cells = read_cells(folder, read_plan(folder))[1]
    return [
        replace(one, test=relabelled(one.test, clearest(cells)), validation=renamed(one.validation)) for one in cells
    ]


@pytest.fixture(scope="module")
def wrong(folder: StudyFolder) -> list[int]:
    """The places of the wrong labels."""
    return clearest(read_cells(folder, read_plan(folder))[1])


def clearest(cells: list[FinishedCell]) -> list[int]:
    """The test pictures that no model has a doubt about."""
    own = [softmax(one.test.logits, axis=1)[np.arange(TEST), one.test.labels] for one in cells]
    return np.argsort(-np.min(own, axis=0))[:3].tolist()


def relabelled(predictions: Predictions, wrong: list[int]) -> Predictions:
    labels = predictions.labels.copy()
    labels[wrong] = (labels[wrong] + 5) % 10
    return replace(predictions, labels=labels)


def renamed(predictions: Predictions) -> Predictions:
    return replace(predictions, ids=np.array([f"v{name}" for name in predictions.ids.tolist()]))


def audit_without(studies: ModuleType, leaked: tuple[str, ...]) -> AuditRecord:
    made: AuditRecord = studies.audit_of("cat")
    return made.but(duplicates=made.duplicates.but(leaked_test=leaked, leaked_validation=()), labels=None)


def test_wrong_labels_are_suspected_first_with_the_class_that_models_see(
    studies: ModuleType, folder: StudyFolder, finished: list[FinishedCell], wrong: list[int]
) -> None:
    labels = judged_by_study(finished, studies.TEN, audit_without(studies, ()))
    true = read_cells(folder, read_plan(folder))[1][0].test.labels
    first = {one.id: one for one in labels.suspects[:5]}
    assert labels.pictures == 2 * TEST
    assert labels.judge == "the mean prediction of 2 models for validation and test pictures"
    for place in wrong:
        suspect = first[f"{place:06}"]
        assert (suspect.label, suspect.suggested) == (studies.TEN[(true[place] + 5) % 10], studies.TEN[true[place]])
        assert suspect.split == "test"
        assert suspect.self_confidence < suspect.suggested_confidence


def test_confidence_is_the_mean_over_all_cells(
    studies: ModuleType, finished: list[FinishedCell], wrong: list[int]
) -> None:
    (suspect,) = (
        one for one in judged_by_study(finished, studies.TEN, audit_without(studies, ())).suspects
        if one.id == f"{wrong[0]:06}"
    )  # fmt: skip
    place = studies.TEN.index(suspect.label)
    expected = np.mean([softmax(one.test.logits[wrong[0]].astype(np.float64))[place] for one in finished])
    assert suspect.self_confidence == pytest.approx(expected, abs=1e-4)


def test_a_picture_that_training_has_seen_is_not_judged(
    studies: ModuleType, finished: list[FinishedCell], wrong: list[int]
) -> None:
    leaked = f"{wrong[0]:06}"
    labels = judged_by_study(finished, studies.TEN, audit_without(studies, (leaked,)))
    assert labels.pictures == 2 * TEST - 1
    assert leaked not in {one.id for one in labels.suspects}
    assert f"{wrong[1]:06}" in {one.id for one in labels.suspects}


def test_a_judge_who_is_mostly_wrong_accuses_nobody() -> None:
    labels = np.arange(100, dtype=np.int32) % 5
    names = [str(number) for number in range(100)]
    pictures = Labelled(names, labels, np.zeros(100, np.int8), ("cat", "dog", "elk", "fox", "gnu"))

    def told(right: int) -> NDArray[np.float64]:
        """Probabilities by which so many of the pictures are what they are labelled as."""
        answers = np.where(np.arange(100) < right, labels, (labels + 1) % 5)
        return np.eye(5)[answers] * 0.8 + 0.04

    found = judged("a coin", pictures, told(49))
    assert (
        found.unavailable == "a coin agrees with 49.0% of the labels only, and a judge of labels must with 50% at least"
    )
    assert (found.accuracy, found.count, found.suspects) == (0.49, 0, ())
    assert judged("a coin", pictures, told(51)).unavailable is None


def test_where_every_picture_was_seen_in_training_nothing_is_left_to_judge() -> None:
    nothing = Labelled([], np.zeros(0, np.int32), np.zeros(0, np.int8), ("cat",))
    assert judged("anyone", nothing, np.zeros((0, 1))).unavailable == "no picture is left to judge"


def test_judging_is_kept_in_the_studys_audit_and_made_anew(
    folder: StudyFolder, finished: list[FinishedCell], tmp_path: Path
) -> None:
    copied = StudyFolder(tmp_path)
    AuditRecord.read(folder.audit).write(copied.audit)
    plan = read_plan(folder)
    first = judge_study(copied, plan, finished[:1])
    assert AuditRecord.read(copied.audit) == first
    second = judge_study(copied, plan, finished[:3])
    assert AuditRecord.read(copied.audit) == second
    assert first.labels is not None
    assert second.labels is not None
    assert second.labels.judge != first.labels.judge
    assert judge_study(copied, plan, []) == second


def test_a_judge_who_only_knows_how_frequent_classes_are_accuses_nobody() -> None:
    generator = np.random.default_rng(0)
    labels = (generator.random(1000) < 0.1).astype(np.int64)
    wild = 0.9 + generator.normal(0, 0.02, 1000).clip(-0.05, 0.05)
    pictures = Labelled([str(place) for place in range(1000)], labels, np.zeros(1000, np.int8), ("good", "bad"))
    found = judged("a guess", pictures, np.stack([wild, 1 - wild], axis=1))
    assert found.accuracy == pytest.approx((labels == 0).mean(), abs=1e-4)
    assert "not shown to be more than always answering with the largest class" in str(found.unavailable)
    assert found.suspects == ()
