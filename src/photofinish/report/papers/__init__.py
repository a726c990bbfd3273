"""The study's plots as files for papers: vector and pixel pictures without what only a screen can do."""

from photofinish.report.papers.write import FORMATS, write_figures

__all__ = ["FORMATS", "write_figures"]
