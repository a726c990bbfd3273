"""The page in a real browser, where one is installed."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from html import unescape
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from photofinish.report import write_report
from photofinish.runs import StudyFolder

BROWSER = next(
    (path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), None
)
FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--hide-scrollbars"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    *("--enable-logging=stderr", "--v=0", "--virtual-time-budget=2000", "--dump-dom"),
)
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
parent.postMessage(JSON.stringify({
  picked: { before, after, again: visible().length },
  window: window.innerWidth,
  content: document.documentElement.scrollWidth,
  tip,
  sorted: [...late.tBodies[0].rows].map((row) => Number(row.cells[row.cells.length - 1].dataset.order)),
}), '*');
}</script>"""
# A headless window is never narrower than 500 pixels; a frame is.
FRAME = """<!DOCTYPE html><script>
addEventListener('message', (event) => { document.documentElement.dataset.probe = event.data; });
</script><iframe src="probed.html" style="border: 0; width: %dpx; height: 1000px"></iframe>"""


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
parent.postMessage(JSON.stringify({
  window: window.innerWidth,
  content: document.documentElement.scrollWidth,
  names: names,
  last: at(names.length - 1, names.length - 1),
  first: at(0, 0),
  off: at(2, 5),
  outside: (at(-2, 3), document.getElementById('tip').hidden),
}), '*');
</script>"""


def probe_of(folder: StudyFolder, script: str, width: int) -> dict[str, Any]:
    """Open a report in a browser and return what a script in it found; the console must stay silent."""
    html = folder.report_html.read_text(encoding="utf-8")
    probed = folder.path / "probed.html"
    probed.write_text(html.replace("</body>", f"{script}</body>"), encoding="utf-8")
    frame = probed.with_name("frame.html")
    frame.write_text(FRAME % width, encoding="utf-8")
    command = [str(BROWSER), *FLAGS, f"--user-data-dir={folder.path / 'profile'}", "--window-size=1400,1200"]
    done = subprocess.run([*command, frame.as_uri()], capture_output=True, text=True, timeout=120, check=False)
    found = re.search(r'data-probe="([^"]*)"', done.stdout)
    assert found, done.stderr[-2000:]
    assert [line for line in done.stderr.splitlines() if "CONSOLE" in line] == []
    return json.loads(unescape(found.group(1)))


@pytest.mark.skipif(BROWSER is None, reason="no Chromium is installed")
@pytest.mark.parametrize("width", [1280, 390])
def test_pointing_at_a_square_of_many_classes_names_them(studies: ModuleType, tmp_path: Path, width: int) -> None:
    classes = tuple(f"a class with a long name {index}" for index in range(100))
    design = studies.Design(entrants=studies.RACE[:2], seeds=(0,), classes=classes, test=800, epochs=1, picture_size=64)
    folder = studies.write_study(tmp_path, design)
    write_report(folder)
    probe = probe_of(folder, POINTER, width)
    assert probe["window"] == width
    assert probe["content"] <= probe["window"]
    names = probe["names"]
    assert re.fullmatch(rf"{names[0]} recognised\n\d+ of \d+ \([\d.]+%\)", probe["first"])
    assert probe["last"].startswith(f"{names[99]} recognised")
    assert probe["off"].startswith(f"{names[2]} taken for {names[5]}")
    assert probe["outside"]


@pytest.mark.skipif(BROWSER is None, reason="no Chromium is installed")
@pytest.mark.parametrize("width", [1280, 390])
def test_the_page_fits_its_window_sorts_and_logs_no_error(studies: ModuleType, tmp_path: Path, width: int) -> None:
    design = studies.Design(seeds=(0, 1), test=200, epochs=3, picture_size=32)
    folder = studies.write_study(tmp_path, design)
    write_report(folder)
    probe = probe_of(folder, PROBE, width)
    assert probe["window"] == width
    assert probe["content"] <= probe["window"]
    assert "95% interval" in probe["tip"]
    shown, names = probe["picked"]["before"]
    left, names_left = probe["picked"]["after"]
    assert set(names) == {entrant.name for entrant in studies.RACE}
    assert left == 0
    assert set(names_left) == set(names) - {studies.RACE[1].name}
    assert probe["picked"]["again"] == shown
    assert probe["sorted"] == sorted(probe["sorted"], reverse=True)
