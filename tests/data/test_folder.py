from __future__ import annotations

import os
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from photofinish.config.settings import DataSettings
from photofinish.data import PreparedData, prepare
from photofinish.errors import DataError, PhotofinishError, SettingsError

Make = Callable[..., Path]
CLASSES = {"cat": 10, "dog": 10}


def settings(source: Path | str, **changes: object) -> DataSettings:
    return DataSettings.of({"source": str(source), **changes})


def counts(data: PreparedData) -> tuple[int, int, int]:
    return data.record.train, data.record.validation, data.record.test


def within(part: str, count: int) -> dict[str, int]:
    return {f"{part}/{name}": count for name in CLASSES}


@pytest.mark.parametrize(
    ("layout", "expected"),
    [
        (CLASSES, (12, 4, 4)),
        (within("train", 10) | within("test", 3), (16, 4, 6)),
        (within("Train", 10) | within("TEST", 3), (16, 4, 6)),
        (within("train", 10) | within("val", 2) | within("test", 3), (20, 4, 6)),
        (within("train", 10) | within("valid", 2), (16, 4, 4)),
        (within("train", 10) | within("validation", 2) | {"pred/unknown": 3}, (16, 4, 4)),
        (within("wrapper/train", 10) | within("wrapper/test", 3), (16, 4, 6)),
        ({"a/b/cat": 10, "a/b/dog": 10}, (12, 4, 4)),
        ({"cat/one": 5, "cat/two": 5, "dog": 10}, (12, 4, 4)),
    ],
)
def test_every_layout_is_understood(
    layout: dict[str, int], expected: tuple[int, int, int], make_pictures: Make, tmp_path: Path, cache: Path
) -> None:
    data = prepare(settings(make_pictures(tmp_path / "pets", layout)), cache=cache)
    assert data.record.classes == ("cat", "dog")
    assert counts(data) == expected
    assert data.record.name == "pets"
    for index, name in enumerate(data.ids):
        assert data.record.classes[data.labels[index]] in str(name).split("/")


def test_ids_begin_inside_a_wrapper_so_that_an_archive_has_the_same(
    make_pictures: Make, tmp_path: Path, cache: Path
) -> None:
    root = make_pictures(tmp_path / "pets", {"inner/cat": 6, "inner/dog": 6})
    archives = [
        shutil.make_archive(str(tmp_path / kind), kind, tmp_path, "pets") for kind in ("zip", "tar", "gztar", "xztar")
    ]
    prints = [prepare(settings(source), cache=cache).record.fingerprint for source in (root, *archives)]
    assert len(set(prints)) == 1
    assert prepare(settings(root), cache=cache).ids[0] == "cat/0.png"


def test_a_jpeg_may_be_called_as_cameras_and_browsers_call_it(make_pictures: Make, tmp_path: Path, cache: Path) -> None:
    root = make_pictures(tmp_path / "pets", CLASSES)
    for place, suffix in enumerate((".jfif", ".JPE")):
        picture = root / "cat" / f"{place}.png"
        Image.open(picture).convert("RGB").save(root / "cat" / f"{place}{suffix}", "JPEG")
        picture.unlink()
    assert counts(prepare(settings(root), cache=cache)) == (12, 4, 4)


def test_hidden_files_and_other_files_are_ignored(make_pictures: Make, tmp_path: Path, cache: Path) -> None:
    root = make_pictures(tmp_path / "pets", CLASSES)
    plain = prepare(settings(root), cache=cache).record
    for name in ("cat/.hidden.png", "cat/Thumbs.db", "cat/notes.txt", "README.md"):
        (root / name).write_text("x")
    (root / "__MACOSX" / "cat").mkdir(parents=True)
    (root / "__MACOSX" / "cat" / "0.png").write_text("x")
    assert prepare(settings(root), cache=cache).record == plain


@pytest.mark.parametrize(
    ("layout", "message"),
    [
        ({"cat": 10}, "only one class, 'cat'"),
        ({"cat": 10, "dog": 0}, "dog holds no pictures"),
        ({}, "no class folders"),
        (within("test", 3), "no train folder"),
        (within("train", 5) | {"test/cat": 3}, "class 'dog' is in train and not in test"),
        (within("train", 5) | within("test", 3) | {"test/bird": 2}, "class 'bird' is in test and not in train"),
        (within("train", 5) | within("val", 3) | within("valid", 2), "both val and valid"),
        ({"cat": 10, "dog": 1}, "class 'dog' has too few pictures: 1 different"),
        ({"cat": 10, "dog": 2}, "class 'dog' has too few pictures: 2 different"),
    ],
)
def test_a_layout_that_cannot_be_used_is_refused_in_one_line(
    layout: dict[str, int], message: str, make_pictures: Make, tmp_path: Path, cache: Path
) -> None:
    root = tmp_path / "pets"
    root.mkdir()
    with pytest.raises(DataError, match=message) as caught:
        prepare(settings(make_pictures(root, layout)), cache=cache)
    assert str(root) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_link_inside_the_folder_is_followed(make_pictures: Make, tmp_path: Path, cache: Path) -> None:
    root = make_pictures(tmp_path / "pets", CLASSES)
    (root / "cat" / "0.png").rename(root / "kept.png")
    (root / "cat" / "0.png").symlink_to(root / "kept.png")
    assert counts(prepare(settings(root), cache=cache)) == (12, 4, 4)


def test_a_link_that_leads_outside_is_refused_by_name(make_pictures: Make, tmp_path: Path, cache: Path) -> None:
    root = make_pictures(tmp_path / "pets", CLASSES)
    (root / "cat" / "0.png").rename(tmp_path / "outside.png")
    (root / "cat" / "0.png").symlink_to(tmp_path / "outside.png")
    with pytest.raises(DataError, match=r"cat/0\.png is a link that leads outside"):
        prepare(settings(root), cache=cache)


def test_linked_folders_dead_links_and_pipes_are_refused_by_name(
    make_pictures: Make, tmp_path: Path, cache: Path
) -> None:
    root = make_pictures(tmp_path / "pets", CLASSES)
    for name, make in (
        ("cat/loop", lambda path: path.symlink_to(root)),
        ("cat/dead.png", lambda path: path.symlink_to(root / "nothing")),
        ("cat/pipe.png", os.mkfifo),
    ):
        make(root / name)
        with pytest.raises(DataError, match=name):
            prepare(settings(root), cache=cache)
        (root / name).unlink()


@pytest.mark.parametrize(
    ("source", "kind", "message"),
    [
        ("cifar-10", SettingsError, "did you mean 'cifar10'"),
        ("digit", SettingsError, "did you mean 'digits'"),
        ("leaves", SettingsError, "no folder here has that name"),
        ("./leaves", DataError, "does not exist"),
        ("leaves.zip", DataError, "does not exist"),
    ],
)
def test_an_unknown_source_is_refused_with_a_hint(
    source: str, kind: type[PhotofinishError], message: str, cache: Path
) -> None:
    with pytest.raises(kind, match=message):
        prepare(settings(source), cache=cache)


def test_a_file_that_is_no_archive_is_refused(tmp_path: Path, cache: Path) -> None:
    (tmp_path / "leaf.jpg").write_bytes(b"x")
    with pytest.raises(DataError, match="neither a folder nor an archive"):
        prepare(settings(tmp_path / "leaf.jpg"), cache=cache)


def test_an_archive_without_pictures_is_refused_and_leaves_nothing(tmp_path: Path, cache: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("cat/notes.txt", "x")
    with pytest.raises(DataError, match="holds no pictures"):
        prepare(settings(tmp_path / "a.zip"), cache=cache)
    assert not list((cache / "extracted").iterdir())


def test_messages_name_the_archive_and_not_the_cache(make_pictures: Make, tmp_path: Path, cache: Path) -> None:
    root = make_pictures(tmp_path / "pets", {"cat": 10})
    archive = shutil.make_archive(str(tmp_path / "pets"), "zip", root)
    with pytest.raises(DataError, match=r"pets\.zip: only one class|pets\.zip has only one class"):
        prepare(settings(archive), cache=cache)


@pytest.mark.parametrize("what", ["FIFO", "link to itself", "link to its folder", "link to a device"])
def test_what_is_no_file_is_refused_without_being_opened(what: str, tmp_path: Path) -> None:
    for label in ("ash", "oak"):
        (tmp_path / "trees" / label).mkdir(parents=True)
        (tmp_path / "trees" / label / "1.jpg").write_bytes(b"never looked at")
    planted = tmp_path / "trees" / "oak" / "2.jpg"
    if what == "FIFO":
        os.mkfifo(planted)
    else:
        planted.symlink_to({"link to itself": planted, "link to its folder": planted.parent}.get(what, "/dev/zero"))
    with pytest.raises(DataError, match=r"2\.jpg"):
        prepare(settings(tmp_path / "trees"), cache=tmp_path / "cache")
