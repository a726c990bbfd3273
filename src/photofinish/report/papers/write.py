"""The files for papers."""

from __future__ import annotations

import io
import warnings
from collections.abc import Sequence
from pathlib import Path

from photofinish.errors import SettingsError, nearest
from photofinish.report.latex import render_latex
from photofinish.report.material import Material
from photofinish.report.papers import plots
from photofinish.report.papers.style import SETTINGS
from photofinish.runs import StudyFolder, cell_name
from photofinish.storage import write_bytes, write_text

FORMATS = ("svg", "png", "pdf")
# The day of writing would make the same study's files differ.
_METADATA = {"svg": {"Date": None}, "png": {}, "pdf": {"CreationDate": None}}


def write_figures(study: StudyFolder, formats: Sequence[str] = FORMATS, output: Path | None = None) -> list[Path]:
    """Write the study's plots and its LaTeX table.

    The plots are `accuracy`, `differences`, `accuracy-by-epoch`, `accuracy-by-time` and, for each model,
    `confusion-<model>`; each is sized for a column or a page of a paper, with embedded fonts, and the same study
    gives the same bytes. What there is nothing to draw of is left out.

    Args:
        study: The study's folder.
        formats: Any of `svg`, `png` (300 dots per inch) and `pdf`.
        output: Where they go; `figures/` in the study's folder by default.

    Returns:
        The files written, in order.

    Raises:
        SettingsError: A format is unknown.
        StudyError: The folder is not a study, is damaged, or its cells do not belong together.
        PhotofinishError: A file cannot be written.
    """
    import matplotlib as mpl

    for form in formats:
        if form not in FORMATS:
            raise SettingsError(f"unknown format '{form}': {nearest(form, FORMATS)}")
    material, target = Material.read(study), output or study.figures
    wanted: dict[str, plots.Plot] = {
        "accuracy": plots.accuracy,
        "differences": plots.differences,
        "accuracy-by-epoch": plots.accuracy_by_epoch,
        "accuracy-by-time": plots.accuracy_by_time,
    }
    for place, entrant in enumerate(material.entrants):
        wanted[f"confusion-{cell_name(entrant.result.name)}"] = plots.confusion_of(place)
    written: list[Path] = []
    with mpl.rc_context(SETTINGS), warnings.catch_warnings():
        # A name may be written in letters that the embedded font lacks; a box stands for each.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        for name, plot in wanted.items():
            figure = plot(material)
            if figure is None:
                continue
            for form in formats:
                file = io.BytesIO()
                figure.savefig(file, format=form, metadata=_METADATA[form])
                written.append(target / f"{name}.{form}")
                write_bytes(written[-1], file.getvalue())
    if material.entrants:
        written.append(target / "models.tex")
        write_text(written[-1], render_latex(material))
    return written
