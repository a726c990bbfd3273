"""The pictures on the page are the stored ones, described in words; without them the page has tables."""

from __future__ import annotations

import base64
import io
import re
import shutil
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from PIL import Image

from photofinish.report.material import Material
from photofinish.report.mistakes import section
from photofinish.report.page import write_report
from photofinish.report.thumbnails import Thumbnails
from photofinish.runs import Pictures, StudyFolder
from photofinish.study.gallery import choose


@pytest.fixture(scope="module")
def drawn(studies: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> StudyFolder:
    path = tmp_path_factory.mktemp("drawn")
    return studies.write_study(path, studies.Design(seeds=(0, 1), test=300, epochs=1, picture_size=32))


@pytest.fixture
def folder(drawn: StudyFolder, tmp_path: Path) -> StudyFolder:
    return StudyFolder(Path(shutil.copytree(drawn.path, tmp_path / "study")))


def page_of(folder: StudyFolder) -> str:
    write_report(folder)
    return folder.report_html.read_text(encoding="utf-8")


def decoded(address: str) -> np.ndarray:
    content = base64.b64decode(address.partition("base64,")[2])
    with Image.open(io.BytesIO(content)) as image:
        return np.asarray(image.convert("RGB"))


def test_every_picture_that_was_chosen_is_shown_as_it_was_stored(folder: StudyFolder) -> None:
    stored = Pictures.read(folder.pictures)
    material = Material.read(folder)
    finished = [one for entrant in material.entrants for one in entrant.cells]
    assert stored.ids.tolist() == choose(finished).ids
    tiles = [tile for wall in section(material)["walls"] for tile in wall.tiles]
    assert {tile.name for tile in tiles} == set(stored.ids.tolist())
    for tile in tiles:
        place = stored.ids.tolist().index(tile.name)
        np.testing.assert_array_equal(decoded(tile.picture), stored.images[place])
    html = page_of(folder)
    assert html.count('<img src="data:image/png;base64,') == len(tiles)


def test_a_picture_is_described_with_its_true_and_predicted_class(folder: StudyFolder) -> None:
    walls = section(Material.read(folder))["walls"]
    assert [wall.title for wall in walls] == [
        *(f"Most confident mistakes of {name}" for name in ("efficientnetv2-b0", "resnet50", "mobilenetv2")),
        "Where models disagree most",
        "What every model gets wrong",
    ]
    tile = walls[1].tiles[0]
    (answer,) = tile.says
    assert tile.text == f"True class {tile.true}; resnet50 says {answer.predicted} ({answer.probability})"
    assert answer.predicted != tile.true
    assert not answer.right
    right, wrong = walls[3].tiles[0].says
    assert (right.right, wrong.right) == (True, False)
    assert f'alt="{tile.text}"' in page_of(folder)


def test_the_summary_counts_the_mistakes_of_the_mean_probabilities(folder: StudyFolder) -> None:
    material = Material.read(folder)
    gallery = choose([one for entrant in material.entrants for one in entrant.cells])
    first, second, third = gallery.wrong_pictures
    assert section(material)["summary"].startswith(
        f"Of 300 test pictures efficientnetv2-b0 gets {first} wrong, resnet50 gets {second} wrong and mobilenetv2 gets "
        f"{third} wrong; every model is wrong on {gallery.missed_pictures}"
    )


@pytest.mark.parametrize("damage", ["absent", "cut", "other"])
def test_without_readable_pictures_the_page_says_so_and_shows_tables(folder: StudyFolder, damage: str) -> None:
    if damage == "absent":
        folder.pictures.unlink()
    elif damage == "cut":
        folder.pictures.write_bytes(folder.pictures.read_bytes()[:500])
    else:
        folder.pictures.write_bytes(b"<svg onload=alert(1)>")
    html = page_of(folder)
    reason = "is not there" if damage == "absent" else "cannot be read"
    assert f"Pictures are missing: pictures.npz {reason}; run the command of the study again" in html
    assert "<img" not in html
    assert "As a table" not in html
    gallery = choose([one for entrant in Material.read(folder).entrants for one in entrant.cells])
    rows = set(re.findall(r'<th scope="row" role="rowheader">.*?<span>([^<]*)</span>', html))
    assert set(gallery.ids) <= rows


def test_a_picture_that_was_not_stored_leaves_its_place_empty(folder: StudyFolder) -> None:
    stored = Pictures.read(folder.pictures)
    Pictures(stored.ids[1:], stored.images[1:]).write(folder.pictures)
    html = page_of(folder)
    assert '<div class="blank" role="img" aria-label="True class' in html
    assert html.count("<img") > 20


@pytest.mark.parametrize(("side", "kind"), [(48, "png"), (49, "jpeg")])
def test_small_pictures_are_exact_and_large_ones_close(tmp_path: Path, side: int, kind: str) -> None:
    folder = StudyFolder(tmp_path)
    ramp = np.linspace(0, 255, side).astype(np.uint8)
    picture = np.stack([np.broadcast_to(ramp, (side, side)), np.broadcast_to(ramp[:, None], (side, side))], axis=2)
    picture = np.concatenate([picture, np.full((side, side, 1), 90, np.uint8)], axis=2)
    Pictures(np.array(["a"]), picture[None]).write(folder.pictures)
    thumbnails = Thumbnails.read(folder)
    address = thumbnails.address("a")
    assert address is not None
    assert address.startswith(f"data:image/{kind};base64,")
    distance = np.abs(decoded(address).astype(int) - picture)
    assert distance.max() <= (0 if kind == "png" else 24)
    assert distance.mean() <= (0 if kind == "png" else 4)
    assert thumbnails.address("b") is None


def test_a_model_alone_has_its_mistakes_and_no_disagreements(studies: ModuleType, tmp_path: Path) -> None:
    folder = studies.write_study(
        tmp_path, studies.Design(entrants=studies.RACE[:1], seeds=(0,), test=100, epochs=1, picture_size=8)
    )
    walls = section(Material.read(folder))["walls"]
    assert [wall.title for wall in walls] == ["Most confident mistakes of efficientnetv2-b0"]
    assert {tile.seeds for tile in walls[0].tiles} == {""}


def test_models_without_a_mistake_are_said_to_have_made_none(studies: ModuleType, tmp_path: Path) -> None:
    perfect = studies.Entrant("perfect", 50.0, 10, None, 0.1)
    folder = studies.write_study(tmp_path, studies.Design(entrants=(perfect,), seeds=(0,), test=60, epochs=1))
    html = page_of(folder)
    assert "No mistake was made." in html
    assert "Pictures are missing" not in html
