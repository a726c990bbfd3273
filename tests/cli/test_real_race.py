"""A race on real pictures, three models with three seeds, to the report in a real browser."""

import json
import tarfile
from collections import Counter
from pathlib import Path

import pytest

from photofinish.report.names import with_short_names
from photofinish.report.papers import write_figures
from photofinish.report.verdict import verdict_sentence
from photofinish.runs import StudyFolder
from photofinish.study.results import Results

from .conftest import TINY, CommandLine

pytestmark = pytest.mark.shared_data

MODELS = ("mobilenetv2-0.35", f"{TINY}:small", f"{TINY}:linear")
TRAIN, TEST = 30, 20
LOOK = """<script>
const all = (selector) => [...document.querySelectorAll(selector)];
sendFound({
  headings: all('h2').map((heading) => heading.textContent),
  models: all('#models tbody tr').map((row) => row.querySelector('.rowname').textContent.trim()),
  drawings: all('main svg.figure').filter((one) => one.getBoundingClientRect().width > 0).length,
  pictures: all('#mistakes img').map((one) => one.complete && one.naturalWidth),
  verdict: document.querySelector('.verdict').textContent,
  overflowing: all('main > section').filter((one) => one.scrollWidth > one.clientWidth + 1).length,
});
</script>"""
SECTIONS = {"Models", "Pairs", "Progress", "Calibration", "Confusions", "Mistakes", "Conditions"}


def unpack(archive: Path, target: Path) -> None:
    """Unpack a few pictures of every class."""
    taken = Counter()
    with tarfile.open(archive) as pictures:
        for member in pictures:
            path = Path(member.name)
            if not member.isfile() or path.suffix != ".jpg":
                continue
            part, label = path.parts[-3:-1]
            if taken[part, label] < {"train": TRAIN, "test": TEST}.get(part, 0):
                taken[part, label] += 1
                place = target / part / label / path.name
                place.parent.mkdir(parents=True, exist_ok=True)
                place.write_bytes(pictures.extractfile(member).read())
    assert len(taken) == 20


@pytest.fixture(scope="module")
def study(tmp_path_factory, cache, shared_file) -> StudyFolder:
    archive = shared_file("cifar10-jpeg.tar.xz")
    command = CommandLine(tmp_path_factory.mktemp("real"), cache)
    unpack(archive, command.folder / "pictures")
    arguments = ("--data", "pictures", "--seeds", "3", "--epochs", "2", "--image-size", "32", "--output", "study")
    done = command("compare", *MODELS, *arguments, timeout=560)
    assert done.returncode == 0, done.stderr
    return StudyFolder(command.folder / "study")


@pytest.mark.parametrize("width", [1280, 390])
def test_the_report_of_a_real_race_is_whole_in_a_browser(study, browser, width):
    found = browser.probe_of(study, LOOK, width)
    assert found["models"] == ["mobilenetv2-0.35", "tiny.py:small", "tiny.py:linear"]
    assert {"Models", "Pairs", "Progress", "Calibration", "Confusions", "Mistakes", "Conditions"} <= set(
        found["headings"]
    )
    assert found["drawings"] > 20
    assert len(found["pictures"]) > 30
    assert set(found["pictures"]) == {32}
    assert found["overflowing"] == 0
    assert found["verdict"] == verdict_sentence(with_short_names(Results.read(study.results)))


def test_every_cell_predicted_every_test_picture(study):
    results = json.loads(study.results.read_text())
    assert results["data"]["test"] == 10 * TEST
    assert [model["seeds"] for model in results["models"]] == [[0, 1, 2]] * 3
    assert len(results["pairs"]) == 3


def test_the_plots_for_papers_are_drawn_of_it(study, tmp_path):
    written = write_figures(study, ["svg"], tmp_path)
    assert len(written) == 4 + 3 + 1
    assert all(path.stat().st_size > 500 for path in written)
