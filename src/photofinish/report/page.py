"""`report.html`: one page that needs nothing but itself."""

from __future__ import annotations

from importlib.resources import files
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from photofinish.report import (
    audit,
    calibration,
    charts,
    confusions,
    machines,
    mistakes,
    readings,
    recipe,
    stages,
    tables,
    times,
    wording,
)
from photofinish.report.claims import claims
from photofinish.report.figures.intervals import (
    accuracy_strip,
    accuracy_ticks,
    difference_strip,
    difference_ticks,
    strip_axis,
)
from photofinish.report.figures.svg import swatch
from photofinish.report.markdown import render_markdown
from photofinish.report.material import Material
from photofinish.report.names import printable
from photofinish.report.verdict import cost_sentence, verdict_sentence
from photofinish.runs import StudyFolder
from photofinish.storage import write_text

MOST_NAMED_IN_TITLE = 4


def write_report(folder: StudyFolder) -> None:
    """Write `report.html` and `report.md` from what lies in a study's folder.

    Everything is read from `study.json`, `results.json` and the cells; a missing `results.json` is computed
    and written first.

    Args:
        folder: The study's folder.

    Raises:
        StudyError: The folder is not a study, is damaged, or its cells do not belong together.
        PhotofinishError: A file cannot be written.
    """
    material = Material.read(folder)
    write_text(folder.report_html, render_page(material))
    write_text(folder.report_markdown, render_markdown(material))


def render_page(material: Material) -> str:
    """Return the page as HTML."""
    environment = Environment(
        loader=PackageLoader("photofinish.report"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_shown,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    static = files("photofinish.report") / "static"
    return environment.get_template("report.html.j2").render(
        # Our own files, the only markup that does not come from a function that escapes.
        style=Markup((static / "report.css").read_text(encoding="utf-8")),  # noqa: S704 - ours
        script=Markup((static / "report.js").read_text(encoding="utf-8")),  # noqa: S704 - ours
        **_summary(material),
        **_comparison(material),
        **_details(material),
    )


def _shown(value: Any) -> Any:
    """Write out what is invisible in every text of the page; markup passes as it is."""
    return printable(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def _summary(material: Material) -> dict[str, Any]:
    results = material.results
    names = [model.name for model in results.models]
    entrants = f"{len(names)} models"
    if len(names) <= MOST_NAMED_IN_TITLE:
        entrants = " against ".join(names) if len(names) < 3 else wording.listing(names)
    return {
        "title": f"{results.data.name}: {entrants or 'no model finished'}",
        "verdict": verdict_sentence(results),
        "cost": cost_sentence(results),
        "warnings": results.warnings,
        "data": results.data,
        "seeds": len(material.plan.seeds),
        "planned": len(material.plan.models),
    }


def _comparison(material: Material) -> dict[str, Any]:
    """Return the tables with their strips and the charts that set the models side by side."""
    results = material.results
    place = {entrant.name: entrant.index for entrant in material.entrants}
    accuracies = accuracy_ticks(results.models) if results.models else []
    differences = difference_ticks(results.pairs) if results.pairs else []
    winners = [{"a": place[pair.a], "b": place[pair.b]}.get(pair.verdict) for pair in results.pairs]
    return {
        "models": tables.models_table(material),
        "swatches": [swatch(entrant.index) for entrant in material.entrants],
        "model_owners": [entrant.index for entrant in material.entrants],
        "pair_owners": [f"{place[pair.a]} {place[pair.b]}" for pair in results.pairs],
        "model_strips": [
            accuracy_strip(place[model.name], model.name, model.test_accuracy, accuracies) for model in results.models
        ],
        "model_axis": strip_axis(accuracies, "%") if accuracies else "",
        "claims": claims(material),
        "pairs": tables.pairs_table(material),
        "pair_strips": [
            difference_strip(pair, winner, differences) for pair, winner in zip(results.pairs, winners, strict=True)
        ],
        "pair_axis": strip_axis(differences, "") if differences else "",
        "by_epoch": [charts.accuracy_by_epoch(material, wide=wide) for wide in (True, False)],
        "by_time": [charts.accuracy_by_time(material, wide=wide) for wide in (True, False)],
        "sources": [link for entrant in material.entrants for link in material.sources(entrant, "metrics.jsonl")],
        "readings": readings.read(material),
    }


def _details(material: Material) -> dict[str, Any]:
    """Return what is known of every model, of every cell, and of how the study was run."""
    return {
        "panels": charts.cell_panels(material),
        "augmented": material.plan.training.is_augmented,
        "calibration": calibration.section(material),
        "confusions": confusions.section(material),
        "mistakes": mistakes.section(material),
        "recipe": recipe.recipe_table(material),
        "data_table_facts": recipe.data_table(material),
        "environment": recipe.environment_table(material),
        **times.context(material),
        "stages": stages.stages_table(material),
        "sheets": stages.sheets(material),
        "audit": audit.audit_section(material),
        "not_equal": material.differences,
        "figures": material.folder.figures.is_dir(),
        "machines": machines.machines_table(material),
        "joined": machines.studies_table(material),
        "command": "; ".join(material.plan.commands),
        "skipped": material.plan.data.skipped,
        "failed": [
            {
                "name": cell.name,
                "reason": cell.failure,
                "error": (cell.record.error if cell.record and cell.record.error else "").splitlines(),
                "log": material.link(cell.folder, "log.txt"),
            }
            for cell in material.failed
        ],
    }
