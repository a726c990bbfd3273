from __future__ import annotations

from pathlib import Path
from types import ModuleType

import pytest

from photofinish.report.audit import audit_section, findings, section_of
from photofinish.report.audit_text import render_audit
from photofinish.report.material import Material
from photofinish.report.page import write_report
from photofinish.runs import AuditRecord, StudyFolder
from photofinish.runs.audits import ClassCount, Duplicates

HOSTILE = "<script>alert(1)</script> | a&b\n\u202egpj \u2028`*_[x](javascript:y)"


@pytest.fixture
def record(studies: ModuleType) -> AuditRecord:
    made: AuditRecord = studies.audit_of(HOSTILE)
    return made


@pytest.fixture
def folder(studies: ModuleType, tmp_path: Path) -> StudyFolder:
    made: StudyFolder = studies.write_study(tmp_path, studies.Design(entrants=studies.RACE[:1], test=60, epochs=1))
    return made


def test_every_finding_is_a_sentence_with_its_count(record: AuditRecord) -> None:
    text = "\n".join(findings(record))
    for part in (
        "Training would be refused: mend the data set.",
        "2 of 120 pictures do not decode. Up to 5% may be left out, with --skip-unreadable.",
        "2 of 18 test pictures (11.1%) have an exact or near duplicate among the training pictures.",
        "1 of 20 validation pictures (5.0%) has an exact or near duplicate",
        "0 groups of exact and 1 group of near duplicates; across splits 1, with more than one class 1.",
        "8 pictures would go",
        "3 of 118 pictures judged may be labelled wrongly.",
        "The judge (features of efficientnetv2-b0 at 96 pixels) agrees with 80.0% of the labels",
        "train 3.0, validation 1.0, test without limit, as a class is empty: accuracy favours the large classes",
        "7 pictures are grey",
    ):
        assert part in text


def test_a_clean_set_has_little_to_say(record: AuditRecord) -> None:
    none = Duplicates(
        exact_groups=0, near_groups=0, repeated=0, across_splits=0, disagreeing=0, groups=(), leaked_test=(),
        leaked_validation=(), near_search="complete", resembling_share=0.0,
    )  # fmt: skip
    clean = record.but(duplicates=none, unreadable=(), refused=None, oddities=(), labels=None, imbalance={"train": 1.0})
    assert list(findings(clean)) == ["No picture is there twice.", "The largest class over the smallest: train 1.0."]
    assert [table.caption for table in section_of(clean).tables] == ["Pictures of each class."]


def test_a_search_that_was_not_made_is_said_to_be_so(record: AuditRecord) -> None:
    none = record.duplicates.but(near_search="not made: all are alike", groups=(), near_groups=0)
    assert "A search for near duplicates was not made: all are alike." in list(findings(record.but(duplicates=none)))


def test_tables_say_how_much_of_the_whole_they_show(record: AuditRecord) -> None:
    many = record.duplicates.but(near_groups=500)
    captions = [table.caption for table in section_of(record.but(duplicates=many)).tables]
    assert captions[0] == "Groups of duplicates, those across splits first. 1 of 500 are shown."


def test_of_very_many_classes_the_smallest_and_largest_are_shown(record: AuditRecord) -> None:
    classes = tuple(ClassCount(name=f"class {number}", train=number, validation=1, test=1) for number in range(300))
    table = section_of(record.but(classes=classes)).tables[-1]
    names = [row[0].text for row in table.rows]
    assert len(names) == 40
    assert {"class 0", "class 299"} <= set(names)
    assert "class 150" not in names


def test_the_page_has_the_section_with_names_escaped(folder: StudyFolder, record: AuditRecord) -> None:
    write_report(folder)
    assert '<section id="audit">' not in folder.report_html.read_text(encoding="utf-8")
    record.write(folder.audit)
    write_report(folder)
    html = folder.report_html.read_text(encoding="utf-8")
    section = html[html.index('<section id="audit">') :].partition("</section>")[0]
    assert "2 of 18 test pictures" in section
    assert section.count("<table") == 5
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in section
    assert "<script" not in section
    assert not set(html) & set("\u202e\u2028")


def test_a_study_without_an_audit_has_no_such_section(folder: StudyFolder) -> None:
    assert audit_section(Material.read(folder)) is None
    write_report(folder)
    assert "## Pictures" not in folder.report_markdown.read_text(encoding="utf-8")


def test_the_text_of_the_report_has_the_findings(folder: StudyFolder, record: AuditRecord) -> None:
    record.write(folder.audit)
    write_report(folder)
    text = folder.report_markdown.read_text(encoding="utf-8")
    assert "## Pictures\n\n- Training would be refused" in text
    assert "<" not in text


def test_the_audits_own_text_has_every_table_and_escapes_names(record: AuditRecord) -> None:
    text = render_audit(record)
    for title in ("# Audit: ", "## Found", "## Groups of duplicates", "## Labels", "## Pictures that do not decode",
                  "## Sizes and encodings", "## Pictures of each class"):  # fmt: skip
        assert title in text
    assert "<script>" not in text
    assert not set(text) & set("\u202e\u2028")
    tables = [line for line in text.splitlines() if line.startswith("|")]
    assert len({line.replace(r"\|", "").count("|") for line in tables}) > 1
    assert not [line for line in text.splitlines() if line.startswith("javascript")]
