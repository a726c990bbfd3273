"""Where the time went: parts that add up, old records that stay readable, and a bar in which every part is seen."""

from __future__ import annotations

import json
import re
from importlib.resources import files
from pathlib import Path
from statistics import fmean
from types import ModuleType
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from photofinish.report.figures.bars import Bar, Part, stacked_bars
from photofinish.report.material import Material
from photofinish.report.page import write_report
from photofinish.report.tables import MISSING
from photofinish.report.times import PARTS, cells_table, machine_note, models_table, spent, waited
from photofinish.runs import InterruptionRecord, LoadRecord, RunRecord, StudyFolder
from photofinish.study.cells import FinishedCell
from photofinish.study.collect import collect

STYLE = (files("photofinish.report") / "static" / "report.css").read_text(encoding="utf-8")
NEW_FIELDS = ("compile_other", "warm_up", "warm_up_steps", "stall")
SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture
def folder(studies: ModuleType, tmp_path: Path) -> StudyFolder:
    return studies.write_study(tmp_path, studies.Design(seeds=(0, 1), test=100, epochs=2))


def change(folder: StudyFolder, model: str, seed: int, **changes: Any) -> None:
    """Change what a cell's `run.json` says; None takes a field of its times away."""
    path = folder.cell(model, seed).record
    content = json.loads(path.read_text())
    for name, value in changes.items():
        into = content if name in RunRecord.model_fields else content["seconds"]
        into[name] = value
        if value is None:
            del into[name]
    path.write_text(json.dumps(content))


def cells_of(folder: StudyFolder, place: int = 0) -> tuple[FinishedCell, ...]:
    return Material.read(folder).entrants[place].cells


def test_the_parts_of_a_cell_add_up_to_its_total_and_training(folder: StudyFolder) -> None:
    for one in cells_of(folder):
        parts = spent(one)
        assert list(parts) == list(PARTS)
        assert sum(parts.values()) == pytest.approx(one.seconds.total)
        training = parts["warming"] + parts["computing"] + parts["waiting"]
        assert training == pytest.approx(one.seconds.train)
        assert parts["waiting"] == 0.4
        assert parts["warming"] == pytest.approx(3 * 0.181)
        assert parts["compile"] == pytest.approx(21.5 + 3.5)


def test_features_found_in_the_cache_took_no_time_here(folder: StudyFolder) -> None:
    change(folder, "efficientnetv2-b0", 0, features=1.0, features_from_cache=True)
    change(folder, "efficientnetv2-b0", 1, features=1.0)
    found, computed = (spent(one) for one in cells_of(folder))
    assert (found["features"], computed["features"]) == (0.0, 1.0)
    table = models_table(Material.read(folder))
    column = [one.title for one in table.columns].index("Features")
    assert (table.rows[0][column].text, table.rows[0][column].detail) == ("1.0 s", "from the cache")


def test_a_cell_that_was_resumed_is_marked_as_a_sum_of_its_parts(folder: StudyFolder) -> None:
    path = folder.cell("resnet50", 1).record
    RunRecord.read(path).but(interruptions=InterruptionRecord(resumed=2)).write(path)
    cells = [row[0] for row in cells_table(Material.read(folder)).rows]
    assert [cell.detail for cell in cells] == ["", "", "", "sum of its 3 parts", *[""] * (len(cells) - 4)]


def test_a_record_of_an_older_version_is_read_and_its_gaps_are_shown_as_gaps(folder: StudyFolder) -> None:
    for seed in (0, 1):
        change(folder, "resnet50", seed, **dict.fromkeys((*NEW_FIELDS, "load")))
    table = models_table(Material.read(folder))
    titles = [one.title for one in table.columns]
    new, old = table.rows[0], table.rows[1]
    for title in ("Warm-up", "Waiting"):
        assert new[titles.index(title)].text != MISSING
        assert (old[titles.index(title)].text, old[titles.index(title)].detail) == (MISSING, "not recorded")
    write_report(folder)
    assert "Older runs among these" in folder.report_html.read_text(encoding="utf-8")


def test_what_an_older_version_says_of_making_batches_is_waiting_on_a_processor_only(folder: StudyFolder) -> None:
    hardware = {"processor": "Xeon", "cores": "2"}
    change(folder, "resnet50", 0, stall=None, hardware={**hardware, "device": "cpu"})
    change(folder, "resnet50", 1, stall=None, hardware={**hardware, "device": "H200"})
    on_processor, on_accelerator = cells_of(folder, 1)
    assert waited(on_processor) == on_processor.seconds.data == 0.6
    assert waited(on_accelerator) is None


def test_a_models_row_is_the_mean_of_its_cells_rows(folder: StudyFolder) -> None:
    change(folder, "resnet50", 1, compile=81.5, stall=2.4, peak_memory_bytes=9_000_000_000)
    material = Material.read(folder)
    model, cells = models_table(material).rows[1], cells_table(material).rows[2:4]
    titles = [column.title for column in models_table(material).columns]
    assert [row[0].text for row in cells] == ["resnet50, seed 0", "resnet50, seed 1"]
    for title in ("Compile", "Training", "Warm-up", "Waiting", "Validation", "Evaluation", "Total"):
        place = titles.index(title)
        assert model[place].order == pytest.approx(fmean(row[place].order or 0.0 for row in cells)), title
    share = float(model[titles.index("Waiting")].detail.rstrip("%"))
    assert share == pytest.approx(100 * 1.4 / (model[titles.index("Training")].order or 0.0), abs=0.06)
    assert model[titles.index("Peak memory")].text == "9.00 GB"
    assert model[titles.index("Training step")].detail == "394 to 422 ms"
    assert [field.text for field in cells[0][-2:]] == ["0.2, 2.4", "0.0"]


def test_every_part_is_drawn_in_its_colour_at_its_length_and_told(folder: StudyFolder) -> None:
    seconds = [60.0, 0.0, 30.0, 0.001, 29.0]
    parts = tuple(Part(kind, label, each) for (kind, label), each in zip(list(PARTS.items())[:5], seconds, strict=True))
    for wide in (True, False):
        drawing = stacked_bars([Bar(3, "net", parts), Bar(7, "<other>", parts[:1])], "Time", "wall time", wide=wide)
        root = ET.fromstring(drawing)  # noqa: S314 - our own output
        rects = list(root.iter("rect"))
        assert [rect.attrib["class"] for rect in rects] == [
            *(f"part {part.kind}" for part in parts if part.seconds),
            "part rest",
        ]
        widths = [float(rect.attrib["width"]) for rect in rects]
        assert widths[0] / widths[1] == pytest.approx(2, rel=0.03)
        # What took a moment is a line, and what follows begins where it belongs.
        assert widths[2] == pytest.approx(1, abs=0.06)
        assert float(rects[3].attrib["x"]) == pytest.approx(float(rects[1].attrib["x"]) + widths[1] + 1, abs=0.2)
        assert float(rects[-1].attrib["x"]) + widths[-1] <= float(root.attrib["width"])
        told = json.loads(root.attrib["data-hover"])
        assert told[1][2:4] == ["net\ncompilation: 30 s, 25.2%", 3]
        # The text is shown wherever the pointer is on the part.
        assert told[1][0] - told[1][4] == pytest.approx(float(rects[1].attrib["x"]), abs=0.1)
        assert [group.attrib["data-models"] for group in root.iter("g")] == ["3", "7"]
        assert "net took 119 s: start, building, saving 60 s, compilation 30 s" in root.attrib["aria-label"]
        assert "<other>" in root.attrib["aria-label"]


def test_the_legend_names_the_parts_that_are_there_and_no_others(folder: StudyFolder) -> None:
    write_report(folder)
    html = folder.report_html.read_text(encoding="utf-8")
    legend = html[html.index('class="legend parts"') : html.index("</ul>", html.index('class="legend parts"'))]
    named = re.findall(r"</svg> ([^<]+)</li>", legend)
    assert named == [label for kind, label in PARTS.items() if kind != "features"]
    section = html[html.index('<section id="time"') : html.index('<section id="conditions"')]
    for kind in re.findall(r'class="part (\w+)"', section):
        assert f".{kind} {{ --p: var(--{kind}); }}" in STYLE


def test_what_else_the_machine_did_is_said_in_words(folder: StudyFolder) -> None:
    load = LoadRecord(cores=2, start=0.4, end=4.1, others=0.9)
    change(folder, "efficientnetv2-b0", 1, load=load.model_dump())
    said = machine_note(cells_of(folder))
    assert "others kept 0.0 to 0.9 of 2 cores busy" in said
    assert "was 0.2 to 4.1" in said
    for seed in (0, 1):
        change(folder, "efficientnetv2-b0", seed, load=None)
    assert machine_note(cells_of(folder)) == "What else the machine was doing was not recorded."


def test_cells_beside_other_heavy_work_are_warned_of_by_name(studies: ModuleType, tmp_path: Path) -> None:
    quiet = studies.write_study(tmp_path / "quiet", studies.Design(seeds=(0, 1), test=100, epochs=1))
    assert not [one for one in collect(quiet).warnings if "heavy work" in one]
    for seed, others in ((0, 0.7), (1, 0.6)):
        busy = LoadRecord(cores=2, start=0.4, end=4.1, others=others)
        change(quiet, "resnet50", seed, load=busy.model_dump())
    change(quiet, "mobilenetv2", 1, load=LoadRecord(cores=2, start=0.4, end=4.1, others=0.8).model_dump())
    (warning,) = [one for one in collect(quiet).warnings if "heavy work" in one]
    assert warning.startswith("resnet50, mobilenetv2 (seed 1) ran beside other heavy work: others kept 0.8 of 2 cores")


def test_a_study_in_which_nothing_finished_has_no_bars(studies: ModuleType, tmp_path: Path) -> None:
    gone = studies.Entrant("gone", 1.0, 10, None, 0.1, failures=((0, "broken"),))
    folder = studies.write_study(tmp_path, studies.Design(entrants=(gone,), seeds=(0,), test=60))
    write_report(folder)
    html = folder.report_html.read_text(encoding="utf-8")
    section = html[html.index('<section id="time"') : html.index('<section id="conditions"')]
    assert "No cell finished." in section
    assert "<svg" not in section
