"""What is odd about the pictures, as sentences and tables: for the report, for `audit.md` and for the terminal."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from photofinish.report import wording
from photofinish.report.evidence import Wall, walls_of
from photofinish.report.material import Material
from photofinish.report.tables import MISSING, Column, Field, Table
from photofinish.runs import AuditRecord
from photofinish.runs.audits import DuplicateGroup, Oddity
from photofinish.study.results import Estimate

SOURCE, RESULTS = "audit.json", "results.json"
MOST_ROWS = 20
MOST_CLASSES = 40
MOST_NAMED = 6
MOST_NAMED_IN_SENTENCES = 3
UNEVEN = 3.0
"""Largest class over smallest from which the sentence says that accuracy favours the large ones."""


@dataclass(frozen=True)
class AuditSection:
    """The report's section on the pictures.

    Attributes:
        sentences: What was found, the gravest first.
        tables: The findings one by one.
        leaked: Accuracy with and without leaked test pictures, or None where there are none or it is no study.
        walls: Findings as pictures, of a study.
        problem: Why there are no pictures, as a sentence; empty where there are, or none are to be shown.
    """

    sentences: tuple[str, ...]
    tables: tuple[Table, ...]
    leaked: Table | None = None
    walls: tuple[Wall, ...] = ()
    problem: str = ""


def audit_section(material: Material) -> AuditSection | None:
    """Return the section, or None where the study has no audit."""
    if material.audit is None:
        return None
    walls, problem = walls_of(material.audit, material.folder)
    return replace(section_of(material.audit), leaked=_leaked_table(material), walls=walls, problem=problem)


def _leaked_table(material: Material) -> Table | None:
    """Return what the leaked test pictures change, or None where there are none or nothing else."""
    pairs = [(model, model.test_accuracy_without_leaked) for model in material.results.models]
    rows = tuple(
        (Field(model.name), *(_accuracy(estimate) for estimate in (model.test_accuracy, without)))
        for model, without in pairs
        if without is not None
    )
    columns = (
        Column("Model", number=False),
        Column("All", "accuracy on test pictures"),
        Column("Without leaked", "accuracy on the others"),
    )
    caption = "What the leaked test pictures change: means over seeds with 95% intervals."
    return Table(caption, columns, rows, RESULTS) if rows else None


def _accuracy(estimate: Estimate) -> Field:
    return Field(
        wording.percent(estimate.mean),
        f"{wording.percent(estimate.low)} to {wording.percent(estimate.high)}",
        estimate.mean,
    )


def section_of(record: AuditRecord, *, rows: int = MOST_ROWS) -> AuditSection:
    """Return what an audit found.

    Args:
        record: The audit.
        rows: Rows of each table at most.
    """
    found = (
        groups_table(record, rows),
        suspects_table(record, rows),
        unreadable_table(record, rows),
        oddities_table(record),
        classes_table(record),
    )
    return AuditSection(tuple(findings(record)), tuple(table for table in found if table))


def findings(record: AuditRecord) -> Iterator[str]:
    """Yield what was found in sentences, the gravest first."""
    if record.refused:
        yield f"Training would be refused: {record.refused}."
    yield from _unreadable(record)
    yield from _leaked(record)
    yield from _duplicates(record)
    yield from _labels(record)
    yield from _balance(record)
    for oddity in record.oddities:
        are = "is" if oddity.count == 1 else "are"
        names = _named(oddity.ids, oddity.count, MOST_NAMED_IN_SENTENCES)
        yield f"{_pictures(oddity.count)} {are} {oddity.name}: {oddity.explanation} ({names})."


def _unreadable(record: AuditRecord) -> Iterator[str]:
    count = len(record.unreadable)
    if count:
        yield (
            f"{count:,} of {_pictures(record.pictures)} {'does' if count == 1 else 'do'} not decode. "
            f"Up to {record.tolerated_share:.0%} may be left out, with --skip-unreadable."
        )


def _leaked(record: AuditRecord) -> Iterator[str]:
    totals = {
        "test": (record.duplicates.leaked_test, sum(one.test for one in record.classes)),
        "validation": (record.duplicates.leaked_validation, sum(one.validation for one in record.classes)),
    }
    for part, (leaked, total) in totals.items():
        if leaked:
            yield (
                f"{len(leaked):,} of {total:,} {part} pictures ({wording.percent(len(leaked) / total)}) "
                f"{'has' if len(leaked) == 1 else 'have'} an exact or near duplicate among the training pictures."
            )


def _duplicates(record: AuditRecord) -> Iterator[str]:
    found = record.duplicates
    groups = found.exact_groups + found.near_groups
    if groups:
        yield (
            f"{_groups(found.exact_groups, 'exact')} and {_groups(found.near_groups, 'near')} duplicates; "
            f"across splits {found.across_splits:,}, with more than one class {found.disagreeing:,}. "
            f"{_pictures(found.repeated)} would go if one of each group stayed."
        )
    else:
        yield "No picture is there twice."
    if found.near_search != "complete":
        yield f"A search for near duplicates was {found.near_search}."


def _labels(record: AuditRecord) -> Iterator[str]:
    labels = record.labels
    if labels is None:
        return
    if labels.unavailable or labels.accuracy is None or labels.estimated_share is None:
        yield f"Labels were not judged: {labels.unavailable or 'no reason was given'}."
        return
    error = ", and much of the list is its own error: look at the first" if labels.count else ""
    yield (
        f"{labels.count:,} of {_pictures(labels.pictures)} judged may be labelled wrongly. The judge ({labels.judge}) "
        f"agrees with {wording.percent(labels.accuracy)} of the labels{error}."
    )


def _balance(record: AuditRecord) -> Iterator[str]:
    ratios = record.imbalance
    if not ratios:
        return
    words = [f"{part} {_ratio(ratio)}" for part, ratio in ratios.items()]
    uneven = any(ratio is None or ratio >= UNEVEN for ratio in ratios.values())
    advice = ": accuracy favours the large classes, so look at each class" if uneven else ""
    yield f"The largest class over the smallest: {', '.join(words)}{advice}."


def _ratio(ratio: float | None) -> str:
    return "without limit, as a class is empty" if ratio is None else wording.ratio(ratio)


def _pictures(count: int) -> str:
    return "1 picture" if count == 1 else f"{count:,} pictures"


def _groups(count: int, kind: str) -> str:
    return f"1 group of {kind}" if count == 1 else f"{count:,} groups of {kind}"


def groups_table(record: AuditRecord, rows: int = MOST_ROWS) -> Table | None:
    """Return the groups of duplicates, those across splits first, or None where there are none."""
    found = record.duplicates
    total = found.exact_groups + found.near_groups
    if not total:
        return None
    columns = (
        Column("Pictures", "of a group", number=False),
        Column("How many"),
        Column("Alike", "structure, at least"),
        Column("Distance", "bits of 63, at most"),
        Column("Splits", number=False),
        Column("Classes", number=False),
    )
    shown = found.groups[:rows]
    caption = _caption("Groups of duplicates, those across splits first.", len(shown), total)
    return Table(caption, columns, tuple(_group_row(group) for group in shown), SOURCE)


def _group_row(group: DuplicateGroup) -> tuple[Field, ...]:
    alike = "same bytes" if group.same_bytes else "same pixels" if group.kind == "exact" else "near"
    return (
        Field(_named(group.ids, group.size), f"{alike}, mirrored" if group.mirrored else alike),
        Field(f"{group.size:,}", "", group.size),
        Field(f"{group.similarity:.2f}", "", group.similarity),
        Field(str(group.distance), "", group.distance),
        Field(", ".join(dict.fromkeys(group.splits))),
        Field(", ".join(dict.fromkeys(group.labels)), "" if group.labels_agree else "differ"),
    )


def suspects_table(record: AuditRecord, rows: int = MOST_ROWS) -> Table | None:
    """Return the labels under suspicion, or None where there are none."""
    labels = record.labels
    if labels is None or not labels.suspects:
        return None
    columns = (
        Column("Picture", number=False),
        Column("Split", number=False),
        Column("Label", number=False),
        Column("Confidence", "in its label"),
        Column("Rather", number=False),
        Column("Confidence", "in that"),
    )
    shown = tuple(
        (
            Field(suspect.id),
            Field(suspect.split),
            Field(suspect.label),
            Field(f"{suspect.self_confidence:.3f}", "", suspect.self_confidence),
            Field(suspect.suggested),
            Field(f"{suspect.suggested_confidence:.3f}", "", suspect.suggested_confidence),
        )
        for suspect in labels.suspects[:rows]
    )
    caption = _caption("Labels that are probably wrong, the most suspicious first.", len(shown), labels.count)
    return Table(caption, columns, shown, SOURCE)


def unreadable_table(record: AuditRecord, rows: int = MOST_ROWS) -> Table | None:
    """Return the pictures that do not decode, or None where all do."""
    if not record.unreadable:
        return None
    shown = tuple((Field(one.id), Field(one.reason)) for one in record.unreadable[:rows])
    caption = _caption("Pictures that do not decode: mend or remove them.", len(shown), len(record.unreadable))
    return Table(caption, (Column("Picture", number=False), Column("Why", number=False)), shown, SOURCE)


def oddities_table(record: AuditRecord) -> Table | None:
    """Return sizes and encodings out of the ordinary, or None where there are none."""
    if not record.oddities:
        return None
    columns = (Column("What", number=False), Column("How many"), Column("Which", number=False))
    caption = "Sizes and encodings out of the ordinary."
    return Table(caption, columns, tuple(_oddity_row(oddity) for oddity in record.oddities), SOURCE)


def _oddity_row(oddity: Oddity) -> tuple[Field, ...]:
    return (
        Field(oddity.name, oddity.explanation),
        Field(f"{oddity.count:,}", "", oddity.count),
        Field(_named(oddity.ids, oddity.count)),
    )


def classes_table(record: AuditRecord) -> Table:
    """Return the pictures of each class; of very many the smallest and largest."""
    chosen = list(record.classes)
    if len(chosen) > MOST_CLASSES:
        ranked = sorted(chosen, key=lambda one: one.train)
        chosen = [*ranked[: MOST_CLASSES // 2], *ranked[-MOST_CLASSES // 2 :]]
    rows = tuple(
        (Field(one.name), *(Field(f"{count:,}" if count else MISSING, "", count) for count in counts))
        for one in chosen
        for counts in [(one.train, one.validation, one.test)]
    )
    columns = (Column("Class", number=False), Column("Training"), Column("Validation"), Column("Test"))
    caption = _caption("Pictures of each class.", len(chosen), len(record.classes))
    return Table(caption, columns, rows, SOURCE)


def _caption(title: str, shown: int, total: int) -> str:
    return title if shown == total else f"{title} {shown:,} of {total:,} are shown."


def _named(ids: tuple[str, ...], total: int, most: int = MOST_NAMED) -> str:
    """Return some names; the file has more of them."""
    more = total - min(total, most)
    return ", ".join(ids[:most]) + (f" and {more:,} more" if more else "")
