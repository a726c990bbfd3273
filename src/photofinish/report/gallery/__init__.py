"""The study's plots as files for papers: vector and pixel pictures without what only a screen can do."""

from photofinish.report.gallery.write import FORMATS, write_gallery

__all__ = ["FORMATS", "write_gallery"]
