"""Which duplicates and suspected labels a report shows as pictures: chosen when they are stored and when shown."""

from __future__ import annotations

from dataclasses import dataclass

from photofinish.runs import AuditRecord
from photofinish.runs.audits import DuplicateGroup, LabelSuspect

MOST_GROUPS = 12
MOST_OF_A_GROUP = 4
MOST_SUSPECTS = 16
"""Together with the mistakes no more than `MOST_STORED` pictures."""


@dataclass(frozen=True)
class Evidence:
    """What is worth looking at.

    Attributes:
        groups: Groups of duplicates, the gravest first.
        suspects: Labels that are probably wrong, the most suspicious first.
    """

    groups: tuple[DuplicateGroup, ...]
    suspects: tuple[LabelSuspect, ...]

    @property
    def ids(self) -> list[str]:
        """The names of all these pictures, each once."""
        of_groups = [name for group in self.groups for name in group.ids[:MOST_OF_A_GROUP]]
        return list(dict.fromkeys([*of_groups, *(suspect.id for suspect in self.suspects)]))


def evidence_of(audit: AuditRecord) -> Evidence:
    """Choose what the report shows of an audit."""
    suspects = audit.labels.suspects if audit.labels else ()
    return Evidence(audit.duplicates.groups[:MOST_GROUPS], suspects[:MOST_SUSPECTS])
