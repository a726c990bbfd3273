"""What a study makes of its audit, and what features of a network add to one."""

from __future__ import annotations

import importlib.metadata
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from photofinish.config import DataSettings, TrainingSettings
from photofinish.data import PreparedData, prepare
from photofinish.data.audit import audit_prepared
from photofinish.errors import StudyError
from photofinish.runs import AuditRecord, Predictions, StudyFolder
from photofinish.runs.audits import ClassCount, Duplicates
from photofinish.study.audit import FEATURES_ALIKE, alike_by_features, audit_study
from photofinish.study.cells import read_plan
from photofinish.study.collect import collect
from photofinish.study.race import Race, make_plan
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


@pytest.fixture
def set_of_pictures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[PreparedData, str]:
    monkeypatch.setenv("PHOTOFINISH_CACHE", str(tmp_path / "cache"))
    generator = np.random.default_rng(0)
    for name in ("cat", "dog"):
        (tmp_path / "pictures" / name).mkdir(parents=True)
        for number in range(20):
            pixels = generator.integers(0, 256, (32, 32, 3), np.uint8)
            Image.fromarray(pixels).save(tmp_path / "pictures" / name / f"{number}.png")
    source = str(tmp_path / "pictures")
    return prepare(DataSettings(source=source, image_size=32)), source


def study_of(folder: Path, data: PreparedData, source: str) -> AuditRecord:
    """Audit a new study of some pictures."""
    settings = DataSettings(source=source, image_size=32)
    race = Race(models=("resnet50",), seeds=(0,), data=settings, training=TrainingSettings())
    study = StudyFolder(folder)
    folder.mkdir()
    audit_study(study, make_plan(race, data), data, source)
    return AuditRecord.read(study.audit)


def counting(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Count how often pictures are audited."""
    audited: list[str] = []

    def count(data: PreparedData, *arguments: object, **named: object) -> AuditRecord:
        audited.append(data.record.fingerprint)
        return audit_prepared(data, *arguments, **named)

    monkeypatch.setattr("photofinish.study.audit.audit_prepared", count)
    return audited


def test_pictures_of_several_studies_are_audited_once(set_of_pictures, tmp_path: Path, monkeypatch) -> None:
    audited = counting(monkeypatch)
    first, second = (study_of(tmp_path / name, *set_of_pictures) for name in ("first", "second"))
    assert first == second
    assert first.fingerprint == set_of_pictures[0].record.fingerprint
    assert len(audited) == 1


def test_a_changed_picture_is_audited(set_of_pictures, tmp_path: Path, monkeypatch) -> None:
    data, source = set_of_pictures
    audited = counting(monkeypatch)
    assert study_of(tmp_path / "first", data, source).duplicates.exact_groups == 0
    (Path(source) / "cat" / "0.png").write_bytes((Path(source) / "cat" / "1.png").read_bytes())
    changed = prepare(DataSettings(source=source, image_size=32))
    assert study_of(tmp_path / "second", changed, source).duplicates.exact_groups == 1
    assert len(set(audited)) == 2


@pytest.mark.parametrize("spoiled", ["{", "{}", "another"])
def test_an_audit_in_the_cache_that_is_spoiled_is_made_again(
    spoiled: str, set_of_pictures, tmp_path: Path, monkeypatch
) -> None:
    data, source = set_of_pictures
    audited = counting(monkeypatch)
    first = study_of(tmp_path / "first", data, source)
    (kept,) = data.folder.glob("audit-*.json")
    if spoiled == "another":
        first.but(fingerprint="another").write(kept)
    else:
        kept.write_text(spoiled)
    assert study_of(tmp_path / "second", data, source).but(seconds=0) == first.but(seconds=0)
    assert study_of(tmp_path / "third", data, source).but(seconds=0) == first.but(seconds=0)
    assert len(audited) == 2


def test_an_audit_of_another_version_is_made_again(set_of_pictures, tmp_path: Path, monkeypatch) -> None:
    audited = counting(monkeypatch)
    study_of(tmp_path / "first", *set_of_pictures)
    monkeypatch.setattr("importlib.metadata.version", lambda _: "1000.0")
    study_of(tmp_path / "second", *set_of_pictures)
    assert len(audited) == 2


def test_a_cache_that_cannot_be_written_does_not_stop_a_study(set_of_pictures, tmp_path: Path) -> None:
    data, source = set_of_pictures
    (data.folder / f"audit-{importlib.metadata.version('photofinish')}.json").mkdir()
    assert study_of(tmp_path / "first", data, source).pictures == 40
