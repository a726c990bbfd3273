"""The page in a real browser, where one is installed."""

from __future__ import annotations

import re
from pathlib import Path
from types import ModuleType

import pytest

from photofinish.report.page import write_report

PROBE = """<script>{
document.querySelector('.sortable thead th:last-child button').click();
const late = [...document.querySelectorAll('.sortable')][0];
document.querySelector('svg.strip').dispatchEvent(new KeyboardEvent('keydown', { key: 'ArrowRight' }));
const tip = document.getElementById('tip').textContent;
const chart = [...document.querySelectorAll('svg.chart')].find((one) => one.getBoundingClientRect().width > 0);
const visible = () => [...document.querySelectorAll('[data-models]')].filter((part) => part.getClientRects().length);
const told = () => {
  const texts = new Set();
  for (let step = 0; step < 20; step += 1) {
    chart.dispatchEvent(new KeyboardEvent('keydown', { key: 'ArrowRight' }));
    texts.add(document.getElementById('tip').textContent.split('\\n')[0]);
  }
  return [...texts];
};
const before = [visible().length, told()];
document.querySelectorAll('.picker input')[1].click();
const after = [visible().filter((part) => part.dataset.models.split(' ').includes('1')).length, told()];
document.querySelectorAll('.picker input')[1].click();
sendFound({
  picked: { before, after, again: visible().length },
  tip,
  sorted: [...late.tBodies[0].rows].map((row) => Number(row.cells[row.cells.length - 1].dataset.order)),
});
}</script>"""

POINTER = """<script>
const figure = document.querySelector('svg.dense');
const told = JSON.parse(figure.querySelector('[data-cells]').dataset.cells);
const { names, side } = told;
const at = (row, column) => {
  const box = figure.getBoundingClientRect(), scale = box.width / figure.viewBox.baseVal.width;
  const clientX = box.left + scale * (told.left + (column + 0.5) * side);
  const clientY = box.top + scale * (told.top + (row + 0.5) * side);
  figure.dispatchEvent(new PointerEvent('pointermove', { clientX, clientY }));
  return document.getElementById('tip').textContent;
};
sendFound({
  names: names,
  last: at(names.length - 1, names.length - 1),
  first: at(0, 0),
  off: at(2, 5),
  outside: (at(-2, 3), document.getElementById('tip').hidden),
});
</script>"""


@pytest.mark.parametrize("width", [1280, 390])
def test_pointing_at_a_square_of_many_classes_names_them(
    studies: ModuleType, browser: ModuleType, tmp_path: Path, width: int
) -> None:
    classes = tuple(f"a class with a long name {index}" for index in range(100))
    design = studies.Design(entrants=studies.RACE[:2], seeds=(0,), classes=classes, test=800, epochs=1, picture_size=64)
    folder = studies.write_study(tmp_path, design)
    write_report(folder)
    probe = browser.probe_of(folder, POINTER, width)
    names = probe["names"]
    assert re.fullmatch(rf"{names[0]} recognised\n\d+ of \d+ \([\d.]+%\)", probe["first"])
    assert probe["last"].startswith(f"{names[99]} recognised")
    assert probe["off"].startswith(f"{names[2]} taken for {names[5]}")
    assert probe["outside"]


@pytest.mark.parametrize("width", [1280, 390])
def test_the_page_fits_its_window_sorts_and_logs_no_error(
    studies: ModuleType, browser: ModuleType, tmp_path: Path, width: int
) -> None:
    design = studies.Design(seeds=(0, 1), test=200, epochs=3, picture_size=32)
    folder = studies.write_study(tmp_path, design)
    write_report(folder)
    probe = browser.probe_of(folder, PROBE, width)
    assert "95% interval" in probe["tip"]
    shown, names = probe["picked"]["before"]
    left, names_left = probe["picked"]["after"]
    assert set(names) == {entrant.name for entrant in studies.RACE}
    assert left == 0
    assert set(names_left) == set(names) - {studies.RACE[1].name}
    assert probe["picked"]["again"] == shown
    assert probe["sorted"] == sorted(probe["sorted"], reverse=True)
