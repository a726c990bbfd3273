"""A race on real pictures, three models with two seeds, to the report in a real browser."""

import json
import shutil
import tarfile
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from photofinish.report.names import with_short_names
from photofinish.report.papers import write_figures
from photofinish.report.verdict import verdict_sentence
from photofinish.runs import AuditRecord, Predictions, StudyFolder
from photofinish.study.results import Results

from .conftest import TINY, CommandLine

pytestmark = pytest.mark.shared_data

MODELS = ("mobilenetv2-0.35", f"{TINY}:small", f"{TINY}:linear")
TRAIN, TEST = 30, 20
DUPLICATE, TRUNCATED, ANIMATED = "test/cat/copy.jpg", "train/cat/cut.jpg", "train/deer/moving.gif"
MISLABELLED = "train/frog/ship.jpg"
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
SECTIONS = {"Models", "Pairs", "Progress", "Calibration", "Confusions", "Mistakes", "Conditions", "Pictures"}


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


def plant_faults(pictures: Path) -> None:
    """Plant one fault of each kind, in place of pictures, so that the counts stay."""
    cats, deer, ships = (sorted((pictures / "train" / name).iterdir()) for name in ("cat", "deer", "ship"))
    test_cats = sorted((pictures / "test" / "cat").iterdir())
    test_cats[0].unlink()
    shutil.copy(cats[0], pictures / DUPLICATE)
    content = cats[1].read_bytes()
    cats[1].unlink()
    (pictures / TRUNCATED).write_bytes(content[: len(content) // 2])
    frames = [Image.open(path) for path in deer[:2]]
    frames[0].save(pictures / ANIMATED, save_all=True, append_images=frames[1:])
    deer[0].unlink()
    ships[2].rename(pictures / MISLABELLED)


@pytest.fixture(scope="module")
def command(tmp_path_factory, cache, shared_file) -> CommandLine:
    """Return a folder with real pictures in which something of everything is wrong."""
    command = CommandLine(tmp_path_factory.mktemp("real"), cache)
    unpack(shared_file("cifar10-jpeg.tar.xz"), command.folder / "pictures")
    plant_faults(command.folder / "pictures")
    return command


@pytest.fixture(scope="module")
def study(command) -> StudyFolder:
    arguments = ("--data", "pictures", "--seeds", "2", "--epochs", "2", "--image-size", "32", "--output", "study")
    done = command("compare", *MODELS, *arguments, "--skip-unreadable", timeout=560)
    assert done.returncode == 0, done.stderr
    return StudyFolder(command.folder / "study")


@pytest.mark.parametrize("width", [1280, 390])
def test_the_report_of_a_real_race_is_whole_in_a_browser(study, browser, width):
    found = browser.probe_of(study, LOOK, width)
    assert found["models"] == ["mobilenetv2-0.35", "tiny.py:small", "tiny.py:linear"]
    assert set(found["headings"]) >= SECTIONS
    assert found["drawings"] > 20
    assert len(found["pictures"]) > 30
    assert set(found["pictures"]) == {32}
    assert found["overflowing"] == 0
    assert found["verdict"] == verdict_sentence(with_short_names(Results.read(study.results)))


def test_every_cell_predicted_every_test_picture(study):
    results = json.loads(study.results.read_text())
    assert results["data"]["test"] == 10 * TEST
    assert [model["seeds"] for model in results["models"]] == [[0, 1]] * 3
    assert len(results["pairs"]) == 3


def test_the_study_and_its_report_name_what_is_wrong_with_the_pictures(study):
    audit = AuditRecord.read(study.audit)
    copies = [group for group in audit.duplicates.groups if DUPLICATE in group.ids]
    assert [(group.kind, group.across_splits) for group in copies] == [("exact", True)]
    assert [(one.id, one.reason) for one in audit.unreadable] == [(TRUNCATED, "Truncated File Read")]
    assert {one.name: one.ids for one in audit.oddities}["animated"] == (ANIMATED,)
    assert audit.labels is not None
    assert audit.labels.pictures + len(audit.duplicates.leaked_test) + len(audit.duplicates.leaked_validation) == (
        audit.pictures - 1 - sum(one.train for one in audit.classes)
    )
    page = study.report_html.read_text()
    section = page[page.index('<section id="audit">') :].partition("</section>")[0]
    for name in (DUPLICATE, TRUNCATED, ANIMATED):
        assert name in section
    assert section.count('<img src="data:image/png;base64,') >= 2 * len(audit.duplicates.groups)


def test_a_leaked_picture_is_warned_of_by_name_and_left_out_of_a_second_accuracy(study):
    leaked = AuditRecord.read(study.audit).duplicates.leaked_test
    results = Results.read(study.results)
    assert DUPLICATE in leaked
    (warning,) = (one for one in results.warnings if "an exact or near duplicate" in one)
    assert DUPLICATE in warning
    for model in results.models:
        right = [Predictions.read(study.cell(model.name, seed).predictions("test")) for seed in model.seeds]
        wanted = [one.correct[~np.isin(one.ids, leaked)].mean() for one in right]
        assert model.test_accuracy_without_leaked is not None
        assert model.test_accuracy_without_leaked.per_seed == pytest.approx(wanted)


def test_a_real_backbone_finds_the_wrong_label(command, shared_file):
    weights = str(shared_file("efficientnetv2-b0_notop.h5"))
    done = command(
        "data", "audit", "pictures", "--weights", weights, "--image-size", "96", "--skip-unreadable", "--json"
    )
    assert done.returncode == 0, done.stderr
    labels = json.loads(done.stdout)["labels"]
    assert labels["accuracy"] > 0.6
    # The backbone is wrong about every fourth of these few pictures, but sure of this ship.
    first = {one["id"]: (one["label"], one["suggested"]) for one in labels["suspects"][:5]}
    assert first[MISLABELLED] == ("frog", "ship")


def test_the_plots_for_papers_are_drawn_of_it(study, tmp_path):
    written = write_figures(study, ["svg"], tmp_path)
    assert len(written) == 4 + 3 + 1
    assert all(path.stat().st_size > 500 for path in written)
