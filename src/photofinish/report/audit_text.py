"""`audit.md`: the findings of an audit as GitHub Markdown."""

from __future__ import annotations

from photofinish.report.audit import section_of
from photofinish.report.markdown import bullets, escaped, titled
from photofinish.runs import AuditRecord

MOST_ROWS = 100


def render_audit(record: AuditRecord) -> str:
    """Return the text; every name is escaped, so that it can neither break a table nor become markup."""
    section = section_of(record, rows=MOST_ROWS)
    blocks = [
        f"# Audit: {escaped(record.name)}",
        bullets("Found", section.sentences),
        # The caption says what a table holds; its first sentence is title enough.
        *(titled(table.caption.partition(".")[0], table) for table in section.tables),
    ]
    return "\n\n".join(blocks) + "\n"
