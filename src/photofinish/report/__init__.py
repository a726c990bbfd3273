"""The report of a study: one page and one text, rendered from its folder."""

from photofinish.report.page import write_report

__all__ = ["write_report"]
