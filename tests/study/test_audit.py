"""What a study makes of its audit, and what features of a network add to one."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from photofinish.errors import StudyError
from photofinish.runs import AuditRecord, Predictions, StudyFolder
from photofinish.runs.audits import ClassCount, Duplicates
from photofinish.study.audit import FEATURES_ALIKE, alike_by_features
from photofinish.study.cells import read_plan
from photofinish.study.collect import collect
from photofinish.study.results import Results

TEST = 150


@pytest.fixture
def folder(studies, tmp_path: Path) -> StudyFolder:
    design = studies.Design(entrants=studies.RACE[:2], seeds=(0, 1), test=TEST, epochs=1)
    return studies.write_study(tmp_path, design)


def write_audit(folder: StudyFolder, leaked: tuple[str, ...], fingerprint: str | None = None) -> None:
    plan = read_plan(folder)
    found = Duplicates(
        exact_groups=0, near_groups=len(leaked), repeated=len(leaked), across_splits=len(leaked), disagreeing=0,
        groups=(), leaked_test=leaked, leaked_validation=(), near_search="complete", resembling_share=0.0,
    )  # fmt: skip
    AuditRecord(
        name=plan.data.name,
        fingerprint=fingerprint or plan.data.fingerprint,
        pictures=plan.data.train + 2 * TEST,
        classes=tuple(ClassCount(name=name, train=1, validation=1, test=1) for name in plan.data.classes),
        imbalance={"train": 1.0},
        tolerated_share=0.05,
        duplicates=found,
    ).write(folder.audit)


def test_accuracy_without_leaked_pictures_is_that_of_the_others(folder: StudyFolder) -> None:
    leaked = tuple(f"{number:06}" for number in range(0, TEST, 7))
    write_audit(folder, leaked)
    for model in collect(folder).models:
        kept = ~np.isin(np.arange(TEST), np.arange(0, TEST, 7))
        files = [folder.cell(model.name, seed).predictions("test") for seed in model.seeds]
        wanted = [Predictions.read(path).correct[kept].mean() for path in files]
        assert model.test_accuracy_without_leaked is not None
        assert model.test_accuracy_without_leaked.per_seed == pytest.approx(wanted)
        assert model.test_accuracy_without_leaked.mean == pytest.approx(np.mean(wanted))
        assert model.test_accuracy_without_leaked.mean != model.test_accuracy.mean


def test_leaked_pictures_are_warned_of_with_what_they_change(folder: StudyFolder) -> None:
    write_audit(folder, tuple(f"{number:06}" for number in range(20)))
    results = collect(folder)
    (warning,) = (one for one in results.warnings if "duplicate" in one)
    assert warning.startswith(
        "20 of 150 test pictures have an exact or near duplicate among the training pictures "
        "(000000, 000001, 000002, 000003, 000004 and 15 more); without them"
    )
    for model in results.models:
        assert model.test_accuracy_without_leaked is not None
        before, after = model.test_accuracy.mean, model.test_accuracy_without_leaked.mean
        assert f"{model.name} has {after:.1%} instead of {before:.1%}" in warning


@pytest.mark.parametrize("leaked", [(), None])
def test_without_leaked_pictures_or_without_an_audit_there_is_nothing_to_say(folder: StudyFolder, leaked) -> None:
    if leaked is not None:
        write_audit(folder, leaked)
    results = collect(folder)
    assert all(model.test_accuracy_without_leaked is None for model in results.models)
    assert not [one for one in results.warnings if "duplicate" in one]


def test_where_every_test_picture_is_leaked_no_accuracy_is_left(folder: StudyFolder) -> None:
    write_audit(folder, tuple(f"{number:06}" for number in range(TEST)))
    results = collect(folder)
    assert all(model.test_accuracy_without_leaked is None for model in results.models)
    assert any(one.endswith("nothing else is left to test on.") for one in results.warnings)


def test_pairs_are_compared_on_all_test_pictures(folder: StudyFolder) -> None:
    before = collect(folder).pairs
    write_audit(folder, ("000001", "000002"))
    assert collect(folder).pairs == before


def test_an_audit_of_other_pictures_is_refused(folder: StudyFolder) -> None:
    write_audit(folder, (), fingerprint="other")
    with pytest.raises(StudyError, match=r"audit\.json is of other pictures.*delete it"):
        collect(folder)


def test_a_damaged_audit_is_refused_with_the_remedy(folder: StudyFolder) -> None:
    folder.audit.write_text('{"schema_version": 1}', encoding="utf-8")
    with pytest.raises(StudyError, match=r"audit\.json is not an audit of this version.*delete it"):
        collect(folder)


def test_results_of_earlier_versions_can_be_read(folder: StudyFolder) -> None:
    collect(folder).write(folder.results)
    content = json.loads(folder.results.read_text(encoding="utf-8"))
    for model in content["models"]:
        assert model.pop("test_accuracy_without_leaked") is None
    folder.results.write_text(json.dumps(content), encoding="utf-8")
    assert Results.read(folder.results) == collect(folder)


def test_pairs_of_like_features_are_those_of_comparing_all_with_all() -> None:
    generator = np.random.default_rng(0)
    centres = generator.normal(size=(300, 16))
    features = np.repeat(centres, 3, axis=0) + 0.3 * generator.normal(size=(900, 16)) + 5
    features = features.astype(np.float32)
    centred = features - features.mean(axis=0)
    centred /= np.linalg.norm(centred, axis=1, keepdims=True)
    first, second = np.nonzero(np.triu(centred @ centred.T >= FEATURES_ALIKE, 1))
    wanted = set(zip(first.tolist(), second.tolist(), strict=True))
    assert {tuple(pair) for pair in alike_by_features(features).tolist()} == wanted
    assert len(wanted) > 300


def test_of_very_many_like_features_the_nearest_of_each_are_kept() -> None:
    generator = np.random.default_rng(0)
    features = np.concatenate([np.ones((200, 8)), -np.ones((200, 8))]) + 0.05 * generator.normal(size=(400, 8))
    pairs = alike_by_features(features.astype(np.float32))
    counts = np.bincount(pairs[:, 0], minlength=400)
    assert counts.max() == 64
    assert (pairs[:, 0] < pairs[:, 1]).all()
