"""What the networks saw, stage by stage, is in the report; a file that is no picture is not."""

from __future__ import annotations

import base64
import re
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from PIL import Image

from photofinish.report.material import Material
from photofinish.report.page import write_report
from photofinish.report.stages import sheets, stages_table
from photofinish.runs import StudyFolder
from photofinish.study.contact_sheet import GAP, TILE, write_sheet


@pytest.fixture
def progressive(studies: ModuleType, tmp_path: Path) -> StudyFolder:
    return studies.write_study(tmp_path, studies.Design(seeds=(0, 1), stages=3, sheets=True, test=100, epochs=6))


def test_every_stage_has_its_conditions_and_every_models_time(progressive: StudyFolder) -> None:
    table = stages_table(Material.read(progressive))
    assert table is not None
    assert [row[0].detail for row in table.rows] == ["epochs 1 to 2", "epochs 3 to 4", "epochs 5 to 6"]
    assert [row[1].text for row in table.rows] == ["16", "24", "32"]
    assert [row[2].text for row in table.rows] == ["0", "5", "10"]
    material = Material.read(progressive)
    for place, entrant in enumerate(material.entrants):
        whole = np.mean([one.seconds.train for one in entrant.cells])
        shown = sum(row[7 + place].order or 0 for row in table.rows)
        assert shown == pytest.approx(whole)


def test_the_page_holds_the_pictures_of_every_stage_and_fetches_none(progressive: StudyFolder) -> None:
    write_report(progressive)
    html = progressive.report_html.read_text(encoding="utf-8")
    embedded = re.findall(r'<img src="data:image/png;base64,([^"]+)" alt="([^"]+)"', html)
    assert len(embedded) == 3
    stored = [base64.b64decode(content) for content, _ in embedded]
    cell = Material.read(progressive).entrants[0].cells[0].cell.folder
    assert stored == [cell.sheet(number).read_bytes() for number in (1, 2, 3)]
    assert "Stage 2, epochs 3 to 4: 24 x 24 pixels, RandAugment 5, mixup 0.1" in html
    assert 'href="cells/efficientnetv2-b0/seed-0/stages/stage-1.png"' in html


def test_a_file_that_is_no_picture_of_ours_is_left_out(progressive: StudyFolder) -> None:
    cell = Material.read(progressive).entrants[0].cells[0].cell.folder
    cell.sheet(1).write_bytes(b"<svg onload=alert(1)>")
    cell.sheet(2).write_bytes(cell.sheet(2).read_bytes() + bytes(2 << 20))
    assert [sheet.caption[:7] for sheet in sheets(Material.read(progressive))] == ["Stage 3"]


def test_one_stage_without_augmentation_needs_no_section(studies: ModuleType, tmp_path: Path) -> None:
    folder = studies.write_study(tmp_path, studies.Design(seeds=(0,), test=60, epochs=2))
    write_report(folder)
    assert "Training pictures</h2>" not in folder.report_html.read_text(encoding="utf-8")


def test_a_sheet_shows_stored_pictures_above_and_seen_ones_below(tmp_path: Path) -> None:
    stored = np.zeros((3, 4, 4, 3), np.uint8)
    stored[1] = (200, 10, 30)
    seen = np.full((3, 300, 300, 3), 127.6, np.float32)
    write_sheet(tmp_path / "a" / "sheet.png", stored, seen)
    with Image.open(tmp_path / "a" / "sheet.png") as picture:
        assert picture.size == (3 * TILE + 2 * GAP, 2 * TILE + GAP)
        assert picture.getpixel((TILE + GAP + 5, 5)) == (200, 10, 30, 255)
        assert picture.getpixel((5, TILE + GAP + 5)) == (128, 128, 128, 255)
        assert picture.getpixel((TILE + 1, 5)) == (0, 0, 0, 0)
