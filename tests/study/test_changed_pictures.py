"""One byte of the pictures changed: neither a run nor a study goes on, and the picture is named."""

from __future__ import annotations

import tarfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from photofinish.config import CellSettings, DataSettings, TrainingSettings
from photofinish.config.checkpoints import CheckpointEvery
from photofinish.data import PreparedData, prepare
from photofinish.errors import StudyError
from photofinish.runs import RunFolder, StudyFolder
from photofinish.runs.checkpoints import CheckpointStore
from photofinish.runs.listings import copy_listing
from photofinish.storage import write_json
from photofinish.study.execute import refuse_another_run
from photofinish.study.race import Race, join_plan, make_plan
from photofinish.study.resuming import beginning

Flip = Callable[[], None]


def flipper(path: Path, at: int) -> Flip:
    """Return what changes one bit of one byte, and changes it back."""

    def flip() -> None:
        content = bytearray(path.read_bytes())
        content[at] ^= 1
        path.write_bytes(content)

    return flip


def pictures(root: Path) -> Path:
    generator = np.random.default_rng(0)
    for label in ("cat", "dog"):
        (root / label).mkdir(parents=True)
        for number in range(20):
            # Without compression and checksums a picture with a changed byte decodes as well.
            Image.fromarray(generator.integers(0, 256, (8, 8, 3), np.uint8)).save(root / label / f"{number}.bmp")
    return root


def of_folder(root: Path) -> tuple[Path, Flip, str]:
    folder = pictures(root / "pets")
    return folder, flipper(folder / "dog" / "3.bmp", -1), "dog/3.bmp has other content"


def of_archive(root: Path) -> tuple[Path, Flip, str]:
    folder, archive = pictures(root / "pets"), root / "pets.tar"
    with tarfile.open(archive, "w") as file:
        file.add(folder, "pets")
    place = archive.read_bytes().index((folder / "dog" / "3.bmp").read_bytes())
    return archive, flipper(archive, place + 100), "dog/3.bmp has other content"


def of_arrays(root: Path) -> tuple[Path, Flip, str]:
    """CIFAR-10 in its binary version: arrays, not files, hold the pictures."""
    generator = np.random.default_rng(0)
    for name in (*(f"data_batch_{number}.bin" for number in range(1, 6)), "test_batch.bin"):
        records = generator.integers(0, 256, (40, 3073), np.uint8)
        records[:, 0] = np.arange(40) % 10
        (root / name).write_bytes(records.tobytes())
    return root, flipper(root / "data_batch_2.bin", 5 * 3073 + 17), "train/00045 has other content"


@pytest.fixture(params=[of_folder, of_archive, of_arrays])
def changing(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[DataSettings, Flip, str]:
    (tmp_path / "data").mkdir()
    source, flip, words = request.param(tmp_path / "data")
    return DataSettings(source=str(source)), flip, words


def test_a_run_and_a_study_are_refused_and_the_picture_is_named(
    changing: tuple[DataSettings, Flip, str], tmp_path: Path
) -> None:
    settings, flip, words = changing
    cell = CellSettings(model="resnet50", data=settings)
    race = Race(("resnet50",), (0,), settings, TrainingSettings())
    run, study = RunFolder(tmp_path / "run"), StudyFolder(tmp_path / "study")

    def found() -> PreparedData:
        return prepare(settings, cache=tmp_path / "cache")

    def go_on(*, resumes: bool = False) -> None:
        data = found()
        run.log.parent.mkdir(exist_ok=True)
        run.log.touch()
        refuse_another_run(cell, data.record, run, data.listing, resumes=resumes)
        join_plan(study, make_plan(race, data), data.listing)

    data = found()
    store = CheckpointStore(run.resume)
    store.write_beginning(beginning(cell, data.record, CheckpointEvery()))
    copy_listing(data.listing, run.listing)
    write_json(study.plan, make_plan(race, data).model_dump(mode="json", by_alias=True))
    copy_listing(data.listing, study.listing)
    go_on(resumes=True)
    flip()
    changed = found()
    with pytest.raises(StudyError, match=f"interrupted run that cannot go on: the fingerprint .*; {words}"):
        go_on(resumes=True)
    (run.resume / "step-000000004").mkdir()
    with pytest.raises(StudyError, match=f"interrupted run that cannot go on: the fingerprint .*; {words}"):
        go_on()
    with pytest.raises(StudyError, match=f"belongs to another plan: data fingerprint .*; {words}"):
        join_plan(study, make_plan(race, changed), changed.listing)
    flip()
    go_on(resumes=True)
