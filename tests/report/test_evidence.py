"""Duplicates and suspects as pictures: those that were stored, with their names, escaped."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import pytest

from photofinish.report.evidence import walls_of
from photofinish.report.page import write_report
from photofinish.runs import AuditRecord, StudyFolder
from photofinish.runs.audits import LabelSuspect
from photofinish.study.cells import read_plan
from photofinish.study.collect import collect
from photofinish.study.evidence import MOST_GROUPS, MOST_OF_A_GROUP, MOST_SUSPECTS, evidence_of
from photofinish.study.gallery import MOST_DISPUTED, MOST_MISSED, MOST_MISTAKES_OF_ALL
from photofinish.study.pictures import MOST_STORED, store_pictures

HOSTILE = "<script>alert(1)</script>\u202e.png"


def suspect(name: str, label: str = "cat") -> LabelSuspect:
    return LabelSuspect(
        id=name, split="test", label=label, suggested="dog", self_confidence=0.02, suggested_confidence=0.97
    )


@pytest.fixture
def record(studies: ModuleType) -> AuditRecord:
    """A group of 000001 and 000002, and 000003 and a hostile name under suspicion."""
    made: AuditRecord = studies.audit_of("cat")
    (group,) = made.duplicates.groups
    group = group.but(ids=("000001", "000002"), splits=("train", "test"), labels=("cat", "dog"))
    duplicates = made.duplicates.but(groups=(group,), leaked_test=("000002",), leaked_validation=())
    assert made.labels is not None
    return made.but(
        duplicates=duplicates, labels=made.labels.but(count=2, suspects=(suspect("000003"), suspect(HOSTILE, HOSTILE)))
    )


@pytest.fixture
def folder(studies: ModuleType, tmp_path: Path, record: AuditRecord) -> StudyFolder:
    design = studies.Design(entrants=studies.RACE[:1], test=60, epochs=1, picture_size=32)
    folder: StudyFolder = studies.write_study(tmp_path, design)
    record.write(folder.audit)
    store_pictures(folder, studies.prepared(design, read_plan(folder)), evidence_of(record).ids)
    return folder


def test_a_group_stands_side_by_side_with_the_stored_pictures(folder: StudyFolder, record: AuditRecord) -> None:
    (twins, suspects), problem = walls_of(record, folder)
    assert problem == ""
    (row,) = twins.rows
    assert row.title == "Alike by 0.91, mirrored, and 5 more"
    assert [(tile.name, tile.label, tile.note) for tile in row.tiles] == [
        ("000001", "cat", "train"), ("000002", "dog", "test"),
    ]  # fmt: skip
    first, second = (tile.picture for tile in row.tiles)
    assert first is not None
    assert second is not None
    assert first.startswith("data:image/png;base64,")
    assert first != second
    assert suspects.rows[0].tiles[0].note == "rather dog (97.0%); test"


def test_names_and_classes_of_pictures_are_escaped_on_the_page(folder: StudyFolder) -> None:
    write_report(folder)
    html = folder.report_html.read_text(encoding="utf-8")
    section = html[html.index('<section id="audit">') :].partition("</section>")[0]
    assert section.count("<img ") == 3
    assert 'aria-label="Labelled &lt;script&gt;' in section
    assert "<script" not in section
    assert "\u202e" not in html


def test_the_page_shows_what_leaked_pictures_change(folder: StudyFolder) -> None:
    (model,) = collect(folder).models
    assert model.test_accuracy_without_leaked is not None
    write_report(folder)
    section = folder.report_html.read_text(encoding="utf-8").partition('<section id="audit">')[2]
    table = section.partition("What the leaked test pictures change")[2].partition("</table>")[0]
    assert f"{model.test_accuracy.mean:.1%}" in table
    assert f"{model.test_accuracy_without_leaked.mean:.1%}" in table


def test_without_stored_pictures_the_page_says_so(folder: StudyFolder, record: AuditRecord) -> None:
    folder.pictures.unlink()
    walls, problem = walls_of(record, folder)
    assert walls == ()
    assert problem.startswith("Pictures are missing: pictures.npz is not there")


def test_where_nothing_was_found_nothing_is_missed(folder: StudyFolder, record: AuditRecord) -> None:
    folder.pictures.unlink()
    clean = record.but(duplicates=record.duplicates.but(groups=()), labels=None)
    assert walls_of(clean, folder) == ((), "")


def test_evidence_fits_beside_the_mistakes_of_the_largest_race(record: AuditRecord) -> None:
    (group,) = record.duplicates.groups
    many = tuple(group.but(ids=tuple(f"{number}-{place}" for place in range(9))) for number in range(50))
    suspects = tuple(suspect(f"s{number}") for number in range(50))
    assert record.labels is not None
    full = record.but(
        duplicates=record.duplicates.but(groups=many), labels=record.labels.but(suspects=suspects, count=50)
    )
    assert len(evidence_of(full).ids) == MOST_GROUPS * MOST_OF_A_GROUP + MOST_SUSPECTS
    assert len(evidence_of(full).ids) + MOST_MISTAKES_OF_ALL + MOST_MISSED + MOST_DISPUTED <= MOST_STORED
