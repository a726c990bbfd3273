from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import sklearn.datasets
from PIL import Image

from photofinish.config.settings import DataSettings
from photofinish.data import PreparedData, hashing, pixels, prepare
from photofinish.errors import DataError, PhotofinishError

Make = Callable[..., Path]


def settings(source: Path | str, **changes: object) -> DataSettings:
    return DataSettings.of({"source": str(source), **changes})


@pytest.fixture
def pets(make_pictures: Make, tmp_path: Path) -> Path:
    return make_pictures(tmp_path / "pets", {"cat": 30, "dog": 30})


def test_the_digits_are_prepared_as_published(cache: Path) -> None:
    data = prepare(settings("digits"), cache=cache)
    assert data.record.stored_size == (8, 8)
    assert data.images.shape == (1797, 8, 8, 3)
    assert data.ids[0] == "digits/0000"
    # The first row of the first digit is 0 0 5 13 9 1 0 0 in scikit-learn's 17 greys.
    assert data.images[0, 0, :, 0].tolist() == [0, 0, 80, 207, 143, 16, 0, 0]
    assert data.labels[:10].tolist() == list(range(10))
    assert (data.record.train, data.record.validation, data.record.test) == (1151, 287, 359)
    assert data.record.fingerprint == "2634c21bb95cbadaa9ea98e3d48a4f1085f20e3f966f3b6516473483f7da52f7"


def test_the_digits_are_taken_from_scikit_learn_once_and_again_where_what_was_kept_is_damaged(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[None] = []
    load = sklearn.datasets.load_digits
    monkeypatch.setattr(sklearn.datasets, "load_digits", lambda: (asked.append(None), load())[1])
    first = prepare(settings("digits"), cache=cache)
    (kept,) = (cache / "digits").iterdir()
    content = kept.read_bytes()
    others = {"cut off": content[:-100], "a byte": content[:500] + b"?" + content[501:], "another": b"no archive"}
    assert prepare(settings("digits"), cache=cache).record == first.record
    assert len(asked) == 1
    for damaged in others.values():
        kept.write_bytes(damaged)
        assert prepare(settings("digits"), cache=cache).record == first.record
    np.savez_compressed(kept, greys=np.zeros((5, 8, 8)), labels=np.zeros(5, np.int32))
    assert prepare(settings("digits"), cache=cache).record == first.record
    assert len(asked) == 5


def test_pictures_of_one_small_size_are_stored_as_they_are(pets: Path, cache: Path) -> None:
    data = prepare(settings(pets), cache=cache)
    assert data.record.stored_size == (12, 12)
    for index in (0, 17, 59):
        np.testing.assert_array_equal(data.images[index], np.asarray(Image.open(pets / str(data.ids[index]))))


@pytest.mark.parametrize("size", [(13, 10), (100, 10), (40, 40)])
def test_pictures_of_several_sizes_or_too_large_ones_are_fitted(size: tuple[int, int], pets: Path, cache: Path) -> None:
    Image.new("RGB", size, (1, 2, 3)).save(pets / "dog" / "9.png")
    data = prepare(settings(pets), cache=cache)
    assert data.record.stored_size == (32, 32)
    assert data.images.shape == (60, 32, 32, 3)
    assert data.images[list(data.ids).index("dog/9.png")][5, 5].tolist() == [1, 2, 3]


def test_what_was_prepared_can_only_be_read(pets: Path, cache: Path) -> None:
    data = prepare(settings(pets), cache=cache)
    assert isinstance(data.images, np.memmap)
    assert data.images.flags.c_contiguous
    with pytest.raises(ValueError, match="read-only"):
        data.images[0] = 0


def test_loading_gives_what_preparing_gave(pets: Path, cache: Path) -> None:
    data = prepare(settings(pets), cache=cache)
    again = PreparedData.load(data.folder)
    assert again.record == data.record
    np.testing.assert_array_equal(again.images, data.images)
    np.testing.assert_array_equal(again.labels, data.labels)
    assert again.ids.tolist() == data.ids.tolist()
    assert {k: v.tolist() for k, v in again.splits.items()} == {k: v.tolist() for k, v in data.splits.items()}


def test_splits_index_the_images_without_overlap(pets: Path, cache: Path) -> None:
    data = prepare(settings(pets, limit_train=20, limit_test=6), cache=cache)
    places = np.concatenate([data.splits[part] for part in ("train", "validation", "test")])
    assert sorted(places.tolist()) == list(range(26)) == list(range(len(data.images)))


def test_a_second_start_decodes_nothing_and_gives_the_same(
    pets: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = prepare(settings(pets), cache=cache)
    monkeypatch.setattr(pixels, "_write", None)
    second = prepare(settings(pets), cache=cache)
    assert second.record == first.record
    assert second.folder == first.folder
    # Another division of the same pictures needs no decoding either.
    third = prepare(settings(pets, split_seed=1), cache=cache)
    assert third.record.fingerprint != first.record.fingerprint
    assert third.folder.parent == first.folder.parent


def test_the_image_size_does_not_change_the_fingerprint(pets: Path, cache: Path) -> None:
    small, large = (prepare(settings(pets, image_size=size), cache=cache) for size in (8, 16))
    assert small.record.fingerprint == large.record.fingerprint
    assert small.record.stored_size != large.record.stored_size


def test_the_fingerprint_does_not_depend_on_where_the_folder_is(pets: Path, cache: Path, tmp_path: Path) -> None:
    before = prepare(settings(pets), cache=cache).record
    pets.rename(tmp_path / "moved")
    assert prepare(settings(tmp_path / "moved"), cache=cache).record.fingerprint == before.fingerprint


def test_one_changed_byte_changes_the_fingerprint_even_under_the_old_time_stamp(pets: Path, cache: Path) -> None:
    path = pets / "cat" / "3.png"
    old = time.time() - 1000
    for picture in pets.rglob("*.png"):
        os.utime(picture, (old, old))
    before = prepare(settings(pets), cache=cache).record.fingerprint
    Image.fromarray(np.asarray(Image.open(path)) ^ np.uint8(1)).save(path)
    os.utime(path, (old, old))
    assert prepare(settings(pets), cache=cache).record.fingerprint != before


def test_only_changed_files_are_hashed_again(pets: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str] = []
    digest = hashing._digest

    def noted(path: Path) -> bytes:
        read.append(path.name)
        return digest(path)

    monkeypatch.setattr(hashing, "_digest", noted)
    monkeypatch.setattr(hashing, "_SETTLED_NANOSECONDS", -1)
    prepare(settings(pets), cache=cache)
    assert len(read) == 60
    read.clear()
    Image.new("RGB", (10, 12), "red").save(pets / "cat" / "3.png")
    prepare(settings(pets), cache=cache)
    assert read == ["3.png"]


@pytest.mark.parametrize("damage", ["empty", "cut off", "a bit of a digest", "a bit of the checksum", "another file"])
def test_a_damaged_index_of_hashes_only_costs_reading_the_files_again(
    pets: Path, cache: Path, monkeypatch: pytest.MonkeyPatch, damage: str
) -> None:
    monkeypatch.setattr(hashing, "_SETTLED_NANOSECONDS", -1)
    before = prepare(settings(pets), cache=cache).record.fingerprint
    (index,) = (cache / "index").iterdir()
    whole = index.read_bytes()
    flipped = {"a bit of a digest": len(whole) - 1, "a bit of the checksum": 0}
    content = {"empty": b"", "cut off": whole[:-1], "another file": b"PK\x03\x04" + bytes(100)}.get(damage, whole)
    if damage in flipped:
        place = flipped[damage]
        content = content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :]
    index.write_bytes(content)
    assert prepare(settings(pets), cache=cache).record.fingerprint == before
    assert index.read_bytes() == whole


def test_a_file_from_a_far_future_is_hashed(pets: Path, cache: Path) -> None:
    before = prepare(settings(pets), cache=cache).record.fingerprint
    os.utime(pets / "cat" / "3.png", ns=(1 << 63, 1 << 63))
    assert prepare(settings(pets), cache=cache).record.fingerprint == before


def test_a_file_that_changes_while_it_is_prepared_is_noticed(
    pets: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hashing, "_digest", lambda path: f"{path.parent.name}{path.name}".encode().ljust(32))
    with pytest.raises(DataError, match="changed while it was being prepared"):
        prepare(settings(pets), cache=cache)
    assert not list((cache / "prepared" / "pets").iterdir())


def test_one_unreadable_picture_stops_and_names_it_and_the_remedy(pets: Path, cache: Path) -> None:
    (pets / "cat" / "3.png").write_bytes((pets / "cat" / "3.png").read_bytes()[:-60])
    with pytest.raises(DataError, match=r"cat/3\.png does not decode .* --skip-unreadable") as caught:
        prepare(settings(pets), cache=cache)
    assert "\n" not in str(caught.value)


def test_unreadable_pictures_are_left_out_on_request_and_move_no_other(pets: Path, cache: Path) -> None:
    whole = prepare(settings(pets), cache=cache)
    (pets / "cat" / "3.png").write_bytes(b"")
    (pets / "dog" / "7.png").write_bytes(b"no picture")
    with pytest.raises(DataError, match="nor do 1 others"):
        prepare(settings(pets), cache=cache)
    data = prepare(settings(pets, skip_unreadable=True), cache=cache)
    assert data.record.skipped == ("cat/3.png: the file is empty", "dog/7.png: not a picture")
    assert len(data.images) == 58
    assert "cat/3.png" not in data.ids
    moved = 0
    for part, places in data.splits.items():
        before = set(whole.ids[whole.splits[part]].tolist())
        moved += len(set(data.ids[places].tolist()) - before)
    assert moved <= 4
    index = data.ids.tolist().index("dog/9.png")
    np.testing.assert_array_equal(data.images[index], np.asarray(Image.open(pets / "dog" / "9.png")))


def test_more_than_a_twentieth_unreadable_stops_anyway(pets: Path, cache: Path) -> None:
    for number in range(4):
        (pets / "cat" / f"{number}.png").write_bytes(b"no picture")
    with pytest.raises(DataError, match="4 of 60 pictures do not, more than 5%"):
        prepare(settings(pets, skip_unreadable=True), cache=cache)


@pytest.mark.parametrize("name", ["prepared.json", "splits.npz", "../pixels.json", "../images.npy", "../ids.npy"])
@pytest.mark.parametrize("damage", ["missing", "cut off"])
def test_an_incomplete_prepared_folder_is_refused_by_load_and_rebuilt_by_prepare(
    name: str, damage: str, pets: Path, cache: Path
) -> None:
    data = prepare(settings(pets), cache=cache)
    path = data.folder / name
    if damage == "missing":
        path.unlink()
    else:
        os.truncate(path, path.stat().st_size - 10)
    with pytest.raises(DataError, match="delete it and prepare again"):
        PreparedData.load(data.folder)
    rebuilt = prepare(settings(pets), cache=cache)
    assert rebuilt.record == data.record
    assert len(PreparedData.load(rebuilt.folder).images) == 60


def test_two_at_once_do_each_other_no_harm(pets: Path, cache: Path) -> None:
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: prepare(settings(pets), cache=cache), range(4)))
    assert len({data.record.fingerprint for data in found}) == 1
    assert not list((cache / "prepared").rglob(".building-*"))


def test_a_disk_without_room_is_refused_before_decoding(
    pets: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(folder: Path, needed: int, purpose: str) -> None:
        raise PhotofinishError(f"{purpose} needs {needed} bytes")

    monkeypatch.setattr(pixels, "require_free_space", full)
    with pytest.raises(PhotofinishError, match="storing the decoded pictures needs 25920 bytes"):
        prepare(settings(pets), cache=cache)


def run(code: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, env=environment, check=False)


PREPARE_UNTIL = """
import os, signal, sys
from pathlib import Path
from photofinish.config.settings import DataSettings
from photofinish.data import prepare

def kill(stage, done, total):
    if stage == sys.argv[3]:
        os.kill(os.getpid(), signal.SIGKILL)

prepare(DataSettings(source=sys.argv[1]), cache=Path(sys.argv[2]), progress=kill)
"""


@pytest.mark.parametrize("stage", ["hashing files", "decoding pictures"])
def test_a_killed_process_leaves_nothing_that_misleads_the_next(stage: str, pets: Path, cache: Path) -> None:
    assert run(PREPARE_UNTIL, pets, cache, stage).returncode == -signal.SIGKILL
    data = prepare(settings(pets), cache=cache)
    assert data.images[59].any()
    np.testing.assert_array_equal(data.images[3], np.asarray(Image.open(pets / str(data.ids[3]))))


PREPARE_WITHIN = """
import resource, sys
from pathlib import Path
from photofinish.config.settings import DataSettings
from photofinish.data import prepare
from photofinish.errors import PhotofinishError

resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[3]), int(sys.argv[3])))
try:
    prepare(DataSettings(source=sys.argv[1]), cache=Path(sys.argv[2]))
except PhotofinishError as error:
    print(error)
"""


def test_a_disk_that_fills_up_while_decoding_gives_one_line_and_no_crash(pets: Path, cache: Path) -> None:
    # 60 pictures of 360 bytes do not fit into a file of 15,000; the index of hashes does.
    done = run(PREPARE_WITHIN, pets, cache, 15_000)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("cannot write ")
    assert done.stdout.count("\n") == 1
    assert not list((cache / "prepared" / "pets").iterdir())
    assert len(prepare(settings(pets), cache=cache).images) == 60


def test_progress_reaches_its_end(pets: Path, cache: Path) -> None:
    last: dict[str, tuple[int, int | None]] = {}
    prepare(settings(pets), cache=cache, progress=lambda stage, done, total: last.update({stage: (done, total)}))
    assert last == {"hashing files": (60, 60), "decoding pictures": (60, 60)}


def test_the_package_imports_no_backend_and_no_keras() -> None:
    done = run(
        "import sys, photofinish.data, photofinish.storage.download\n"
        "print([n for n in ('keras', 'jax', 'tensorflow', 'torch', 'sklearn') if n in sys.modules])"
    )
    assert done.stdout.strip() == "[]", done.stderr


def test_pictures_that_are_not_square_are_cropped_even_where_all_are_small_and_of_one_size(
    make_pictures: Make, tmp_path: Path, cache: Path
) -> None:
    source = make_pictures(tmp_path / "wide", {"cat": 10, "dog": 10}, size=(20, 10))
    assert prepare(settings(source), cache=cache).record.stored_size == (32, 32)


def test_pictures_that_stand_in_training_and_test_alike_are_counted(
    make_pictures: Make, tmp_path: Path, cache: Path
) -> None:
    root = tmp_path / "pets"
    make_pictures(root / "train", {"cat": 20, "dog": 20}, seed=1)
    make_pictures(root / "test", {"cat": 10, "dog": 10}, seed=2)
    assert prepare(settings(root), cache=cache).record.repeated_across_splits == 0
    (root / "test" / "cat" / "again.png").write_bytes((root / "train" / "cat" / "0.png").read_bytes())
    assert prepare(settings(root), cache=cache).record.repeated_across_splits == 1
