"""The pictures a report shows are chosen alike when they are stored and when they are shown, and survive damage."""

from __future__ import annotations

import zipfile
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from PIL import Image

from photofinish.errors import StudyError
from photofinish.runs import Pictures, StudyFolder
from photofinish.runs.pictures import LARGEST_FILE
from photofinish.study.cells import FinishedCell, read_cells, read_plan
from photofinish.study.gallery import MOST_DISPUTED, MOST_MISTAKES_OF_ALL, choose
from photofinish.study.pictures import LONGEST_SIDE, MOST_STORED, store_pictures


@pytest.fixture(scope="module")
def folder(studies: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> StudyFolder:
    return studies.write_study(tmp_path_factory.mktemp("study"), studies.Design(seeds=(0, 1), test=300, epochs=1))


@pytest.fixture(scope="module")
def finished(folder: StudyFolder) -> list[FinishedCell]:
    return read_cells(folder, read_plan(folder))[1]


def data(studies: ModuleType, folder: StudyFolder, size: tuple[int, int] = (32, 32)) -> object:
    """Prepared pictures whose every pixel tells which picture it belongs to."""
    prepared = studies.prepared(studies.Design(test=300, picture_size=4), read_plan(folder))
    images = np.zeros((300, *size, 3), np.uint8) + (np.arange(300) % 256).astype(np.uint8)[:, None, None, None]
    return type(prepared)(prepared.folder, prepared.record, images, prepared.labels, prepared.ids, prepared.splits)


def test_models_stand_in_the_order_of_the_plan_with_their_own_mistakes(finished: list[FinishedCell]) -> None:
    gallery = choose(finished)
    assert gallery.models == ("efficientnetv2-b0", "resnet50", "mobilenetv2")
    for place, mistakes in enumerate(gallery.mistakes):
        assert {model for one in mistakes for model in one.answers} == {place}
        assert len(mistakes) <= gallery.wrong_pictures[place]
    assert gallery.pictures == 300
    assert gallery.missed_pictures >= len(gallery.missed) > 0


def test_every_picture_that_is_shown_is_among_the_ids_once(finished: list[FinishedCell]) -> None:
    gallery = choose(finished)
    shown = [*gallery.disputed, *gallery.missed, *(one for own in gallery.mistakes for one in own)]
    assert set(gallery.ids) == {one.id for one in shown}
    assert len(gallery.ids) == len(set(gallery.ids))


def test_one_model_has_mistakes_and_nothing_to_dispute(finished: list[FinishedCell]) -> None:
    gallery = choose(finished[:2])
    assert gallery.models == ("efficientnetv2-b0",)
    assert gallery.disputed == gallery.missed == ()
    assert gallery.ids == [one.id for one in gallery.mistakes[0]]


def test_many_models_leave_room_for_other_pictures(studies: ModuleType, tmp_path: Path) -> None:
    entrants = tuple(studies.Entrant(f"net{index}", 1.0, 10, None, 0.1) for index in range(12))
    folder = studies.write_study(tmp_path, studies.Design(entrants=entrants, seeds=(0,), test=400, epochs=1))
    gallery = choose(read_cells(folder, read_plan(folder))[1])
    assert {len(own) for own in gallery.mistakes} == {MOST_MISTAKES_OF_ALL // 12}
    assert len(gallery.disputed) == MOST_DISPUTED
    assert len(gallery.ids) < MOST_STORED


def test_nothing_finished_chooses_nothing() -> None:
    assert choose([]).ids == []


def test_stored_pictures_are_those_of_their_names(studies: ModuleType, folder: StudyFolder) -> None:
    store_pictures(folder, data(studies, folder), ["000255", "000007", "000255", "unknown", "000011"])
    stored = Pictures.read(folder.pictures)
    assert stored.ids.tolist() == ["000255", "000007", "000011"]
    assert stored.images.shape == (3, 32, 32, 3)
    assert [int(one.mean()) for one in stored.images] == [255, 7, 11]


def test_the_most_wanted_two_hundred_are_stored(studies: ModuleType, folder: StudyFolder) -> None:
    wanted = [f"{index:06}" for index in reversed(range(300))]
    store_pictures(folder, data(studies, folder, (2, 2)), wanted)
    assert Pictures.read(folder.pictures).ids.tolist() == wanted[:MOST_STORED]


@pytest.mark.parametrize(("size", "stored"), [((96, 96), (96, 96)), ((300, 200), (96, 64)), ((1, 500), (1, 96))])
def test_large_pictures_are_scaled_to_the_longer_side(
    studies: ModuleType, folder: StudyFolder, size: tuple[int, int], stored: tuple[int, int]
) -> None:
    store_pictures(folder, data(studies, folder, size), ["000100"])
    (image,) = Pictures.read(folder.pictures).images
    assert image.shape == (*stored, 3)
    assert max(stored) <= LONGEST_SIDE
    assert (image == 100).all()


def test_a_small_copy_averages_what_it_leaves_out(studies: ModuleType, folder: StudyFolder) -> None:
    prepared = data(studies, folder, (192, 192))
    prepared.images[5, ::2] = 255
    prepared.images[5, 1::2] = 0
    store_pictures(folder, prepared, ["000005"])
    (image,) = Pictures.read(folder.pictures).images
    assert abs(float(image[10:-10].mean()) - 127.5) < 1
    assert image[10:-10].std() < 5, "no moiré"


def test_no_pictures_are_a_file_without_pictures(studies: ModuleType, folder: StudyFolder) -> None:
    store_pictures(folder, data(studies, folder), [])
    assert len(Pictures.read(folder.pictures).ids) == 0


def some_pictures(path: Path) -> bytes:
    Pictures(np.array(["a", "b"]), np.full((2, 8, 8, 3), 7, np.uint8)).write(path)
    return path.read_bytes()


@pytest.mark.parametrize(
    "damage", ["absent", "empty", "cut", "flipped", "png", "lacking", "pickle", "wrong_type", "wrong_shape", "huge"]
)
def test_a_damaged_file_is_refused_by_name(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "pictures.npz"
    whole = some_pictures(path)
    ids, images = np.array(["a", "b"]), np.zeros((2, 8, 8, 3), np.uint8)
    path.unlink()
    if damage == "empty":
        path.write_bytes(b"")
    elif damage == "cut":
        path.write_bytes(whole[: len(whole) // 2])
    elif damage == "flipped":
        path.write_bytes(whole[:150] + bytes(255 - byte for byte in whole[150:160]) + whole[160:])
    elif damage == "png":
        Image.new("RGB", (8, 8)).save(path, "PNG")
    elif damage == "lacking":
        np.savez(path, ids=ids)
    elif damage == "pickle":
        np.savez(path, ids=np.array([{}, {}], object), images=images)
    elif damage == "wrong_type":
        np.savez(path, ids=ids, images=images.astype(np.float32))
    elif damage == "wrong_shape":
        np.savez(path, ids=ids, images=images[:1])
    elif damage == "huge":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("ids.npy", bytes(LARGEST_FILE))
            archive.writestr("images.npy", b"0")
    with pytest.raises(StudyError, match=r"pictures\.npz"):
        Pictures.read(path)
