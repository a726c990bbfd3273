"""A real browser, where one is installed, and what a page does in it."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from html import unescape
from typing import Any

import pytest

from photofinish.runs import StudyFolder

BROWSER = next(
    (path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), None
)
FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--hide-scrollbars"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    *("--enable-logging=stderr", "--v=0", "--virtual-time-budget=2000", "--dump-dom"),
)
TELL = """<script>
const sendFound = (found) => parent.postMessage(JSON.stringify({
  ...found,
  window: window.innerWidth,
  content: document.documentElement.scrollWidth,
  fetched: performance.getEntriesByType('resource').map((one) => one.name).filter((name) => !name.startsWith('data:')),
}), '*');
</script>"""
# A headless window is never narrower than 500 pixels; a frame is.
FRAME = """<!DOCTYPE html><script>
addEventListener('message', (event) => { document.documentElement.dataset.probe = event.data; });
</script><iframe src="probed.html" style="border: 0; width: %dpx; height: 1000px"></iframe>"""


def probe_of(folder: StudyFolder, script: str, width: int) -> dict[str, Any]:
    """Open a report in a browser and return what a script in it found; the console must stay silent.

    The script gives its findings to `sendFound`. The page must fit its window and fetch nothing.
    """
    if BROWSER is None:
        pytest.skip("no Chromium is installed")
    html = folder.report_html.read_text(encoding="utf-8")
    probed = folder.path / "probed.html"
    probed.write_text(html.replace("</body>", f"{TELL}{script}</body>"), encoding="utf-8")
    frame = probed.with_name("frame.html")
    frame.write_text(FRAME % width, encoding="utf-8")
    command = [str(BROWSER), *FLAGS, f"--user-data-dir={folder.path / 'profile'}", "--window-size=1400,1200"]
    done = subprocess.run([*command, frame.as_uri()], capture_output=True, text=True, timeout=120, check=False)
    found = re.search(r'data-probe="([^"]*)"', done.stdout)
    assert found, done.stderr[-2000:]
    assert [line for line in done.stderr.splitlines() if "CONSOLE" in line] == []
    probe: dict[str, Any] = json.loads(unescape(found.group(1)))
    assert probe["window"] == width
    assert probe["content"] <= width
    assert probe["fetched"] == []
    return probe
