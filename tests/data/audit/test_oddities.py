from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from photofinish.config import DataSettings
from photofinish.data import prepare
from photofinish.data.audit import audit_prepared, audit_source
from photofinish.data.sources import read_source
from photofinish.runs.audits import Oddity
from photofinish.storage.progress import silent

Photograph = Callable[..., NDArray[np.uint8]]


@pytest.fixture
def album(tmp_path: Path, photograph: Photograph) -> Path:
    """Twelve ordinary JPEG pictures of 80x60 in each of two classes."""
    root = tmp_path / "album"
    for number in range(24):
        folder = root / ("cat" if number % 2 else "dog")
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(photograph(number, 80)[:60]).save(folder / f"{number}.jpg", quality=95)
    return root


def found_in(album: Path, tmp_path: Path, image_size: int = 32) -> dict[str, Oddity]:
    """What is odd, as the audit of the source says, and that of a study's prepared pictures as well."""
    settings, cache = DataSettings(source=str(album), image_size=image_size), tmp_path / "cache"
    record = audit_source(settings, cache=cache).record
    listing = read_source(str(album), cache, silent)
    assert audit_prepared(prepare(settings, cache=cache), listing).oddities == record.oddities
    return {oddity.name: oddity for oddity in record.oddities}


def test_ordinary_pictures_have_no_oddities(album: Path, tmp_path: Path) -> None:
    assert found_in(album, tmp_path) == {}


@pytest.mark.parametrize(
    ("name", "mode", "options"),
    [
        ("grey", "L", {}),
        ("grey", "LA", {}),
        ("black and white", "1", {}),
        ("palette", "P", {}),
        ("16 bit or floating point", "I;16", {}),
        ("transparent", "RGBA", {}),
        ("transparent", "LA", {}),
    ],
)
def test_an_encoding_unlike_the_others_is_named(
    album: Path, tmp_path: Path, name: str, mode: str, options: dict[str, object]
) -> None:
    picture = Image.open(album / "cat" / "1.jpg")
    odd = picture.convert("L").convert("I").convert("I;16") if mode == "I;16" else picture.convert(mode)
    odd.save(album / "cat" / "odd.png", **options)
    found = found_in(album, tmp_path)
    assert found[name].count == 1
    assert found[name].ids == ("cat/odd.png",)


def test_printing_colours_are_named(album: Path, tmp_path: Path) -> None:
    Image.open(album / "cat" / "1.jpg").convert("CMYK").save(album / "cat" / "odd.jpg")
    assert found_in(album, tmp_path)["CMYK"].ids == ("cat/odd.jpg",)


def test_what_all_pictures_have_in_common_is_not_odd(album: Path, tmp_path: Path) -> None:
    for path in album.rglob("*.jpg"):
        Image.open(path).convert("L").save(path)
    assert found_in(album, tmp_path) == {}


@pytest.mark.parametrize("kind", ["gif", "webp", "png", "tiff"])
def test_an_animation_is_named_because_its_first_frame_alone_is_used(album: Path, tmp_path: Path, kind: str) -> None:
    frames = [Image.open(album / "cat" / f"{number}.jpg") for number in (1, 3)]
    frames[0].save(album / "cat" / f"odd.{kind}", save_all=True, append_images=frames[1:])
    assert found_in(album, tmp_path)["animated"].ids == (f"cat/odd.{kind}",)


def test_a_preview_behind_a_telephones_jpeg_is_no_animation(album: Path, tmp_path: Path) -> None:
    frames = [Image.open(album / "cat" / f"{number}.jpg") for number in (1, 3)]
    frames[0].save(album / "cat" / "odd.jpg", "MPO", save_all=True, append_images=frames[1:], quality=60)
    assert found_in(album, tmp_path) == {}


def test_a_picture_that_its_exif_data_turns_is_named(album: Path, tmp_path: Path, photograph: Photograph) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(photograph(90, 80)[:, :60]).save(album / "cat" / "odd.jpg", exif=exif)
    assert found_in(album, tmp_path)["turned"].ids == ("cat/odd.jpg",)


def test_a_file_that_is_not_what_it_is_called_is_named(album: Path, tmp_path: Path, photograph: Photograph) -> None:
    Image.fromarray(photograph(90, 80)[:60]).save(album / "cat" / "odd.jpg", "PNG")
    assert found_in(album, tmp_path)["misnamed"].ids == ("cat/odd.jpg",)


@pytest.mark.parametrize(
    ("name", "size"), [("small", (18, 14)), ("large", (400, 300)), ("elongated", (300, 60)), ("enlarged", (40, 31))]
)
def test_a_size_unlike_the_others_is_named(
    album: Path, tmp_path: Path, photograph: Photograph, name: str, size: tuple[int, int]
) -> None:
    Image.fromarray(photograph(90, 80)).resize(size).save(album / "cat" / "odd.jpg")
    assert found_in(album, tmp_path)[name].ids == ("cat/odd.jpg",)


def test_that_all_pictures_are_enlarged_is_what_was_asked_for(album: Path, tmp_path: Path) -> None:
    assert found_in(album, tmp_path, image_size=224) == {}


def test_a_picture_of_one_colour_is_named(album: Path, tmp_path: Path) -> None:
    Image.new("RGB", (80, 60), (10, 90, 200)).save(album / "cat" / "odd.jpg")
    assert found_in(album, tmp_path)["blank"].ids == ("cat/odd.jpg",)
