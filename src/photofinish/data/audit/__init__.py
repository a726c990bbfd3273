"""What is odd about a set of pictures: unreadable files, duplicates, uneven classes, strange sizes and encodings."""

from photofinish.data.audit.groups import Labelled
from photofinish.data.audit.prepared import audit_prepared
from photofinish.data.audit.source import AuditedSource, audit_source

__all__ = ["AuditedSource", "Labelled", "audit_prepared", "audit_source"]
