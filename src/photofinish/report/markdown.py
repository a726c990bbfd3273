"""`report.md`: verdict, tables and recipe as GitHub Markdown, for pull requests and READMEs."""

from __future__ import annotations

import re
from collections.abc import Sequence

from photofinish.report import audit, calibration, confusions, machines, readings, recipe, stages, tables
from photofinish.report.claims import claims
from photofinish.report.material import Material
from photofinish.report.names import printable
from photofinish.report.verdict import cost_sentence, verdict_sentence


def render_markdown(material: Material) -> str:
    """Return the text; every name is escaped, so that it can neither break a table nor become markup."""
    results = material.results
    calibration_figures, confused = calibration.calibration_table(material), confusions.confused_table(material)
    blocks = [
        f"# photofinish: {escaped(results.data.name)}",
        f"**{escaped(verdict_sentence(results))}**",
        escaped(cost_sentence(results)),
        bullets("Warnings", list(results.warnings)),
        titled("Models", tables.models_table(material)),
        *_claims(material),
        titled("Pairs", tables.pairs_table(material)) if results.pairs else "",
        _readings(readings.read(material)),
        titled("Calibration", calibration_figures) if calibration_figures.rows else "",
        bullets("", calibration.calibration_notes(material)),
        titled("Most confused", confused) if confused.rows else "",
        titled("Stages", table) if (table := stages.stages_table(material)) else "",
        bullets("Not equal", material.differences or ["Nothing that was recorded."]),
        titled("Studies", table) if (table := machines.studies_table(material)) else "",
        titled("Times by machine", table) if (table := machines.machines_table(material)) else "",
        titled("Recipe", recipe.recipe_table(material)),
        titled("Data", recipe.data_table(material)),
        bullets("Pictures", section.sentences) if (section := audit.audit_section(material)) else "",
        titled("Machine and software", recipe.environment_table(material)),
        bullets("Failed cells", [f"{cell.name}: {cell.failure}" for cell in material.failed]),
        f"Made by {escaped('; '.join(material.plan.commands))}" if material.plan.command else "",
    ]
    return "\n\n".join(block for block in blocks if block) + "\n"


def escaped(text: str) -> str:
    r"""Return a text that GitHub shows as it is.

    Examples:
        >>> escaped("a|b <script>*_")
        'a\\|b &lt;script&gt;\\*\\_'
    """
    visible = printable(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    # A mention or a bare address would notify somebody or become a link.
    visible = re.sub(r"@(?=\w)", "@\u200b", visible).replace("://", ":\u200b//")
    return re.sub(r"([\\`*_{}\[\]#|~$!])", r"\\\1", visible)


def _readings(found: readings.Readings | None) -> str:
    """Write the readings at equal epochs and equal time: the sentence, then its tables."""
    if found is None:
        return ""
    return "\n\n".join(["## Equal epochs and equal time", escaped(found.sentence), *map(_captioned, found.tables)])


def titled(title: str, table: tables.Table) -> str:
    """Return a table under its title, with its caption and source."""
    return f"## {title}\n\n{_captioned(table)}"


def _captioned(table: tables.Table) -> str:
    return f"{_table(table)}\n\n{escaped(table.caption)} Source: `{table.source}`."


def _table(table: tables.Table) -> str:
    header = " | ".join(_joined(column.title, column.note) for column in table.columns)
    rule = " | ".join("---:" if column.number else "---" for column in table.columns)
    rows = [" | ".join(_joined(field.text, field.detail) for field in row) for row in table.rows]
    return "\n".join(f"| {row} |" for row in (header, rule, *rows))


def _joined(text: str, detail: str) -> str:
    return f"{escaped(text)} ({escaped(detail)})" if detail else escaped(text)


def _claims(material: Material) -> list[str]:
    answered = claims(material)
    if answered is None:
        return []
    table = titled("The published claims", answered.table) if answered.table else ""
    changes = bullets("Settings that differ from the source's", list(answered.changes))
    return [table, changes, bullets("About the source", list(answered.remarks))]


def bullets(title: str, sentences: Sequence[str]) -> str:
    """Return sentences as a list, under a title where there is one; nothing where there are no sentences."""
    if not sentences:
        return ""
    heading = [f"## {title}", ""] if title else []
    return "\n".join([*heading, *(f"- {escaped(sentence)}" for sentence in sentences)])
