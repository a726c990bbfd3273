"""All of CIFAR-10 as JPEG files, prepared as a user would."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from photofinish.config.settings import DataSettings
from photofinish.data import PreparedData, prepare

pytestmark = pytest.mark.shared_data

FINGERPRINT = "bf101c538aaf7a7428d0938a4ffd0c9539e688e2c4ccdbe6b751911c6fe97e63"


@pytest.fixture(scope="module")
def archive(shared_file: Callable[[str], Path]) -> Path:
    return shared_file("cifar10-jpeg.tar.xz")


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("cache")
    yield folder
    # pytest keeps the last three runs; 60,000 files each would be a burden.
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def prepared(archive: Path, cache: Path) -> PreparedData:
    return prepare(DataSettings(source=str(archive)), cache=cache)


def test_it_is_recognised_and_divided_as_published(prepared: PreparedData) -> None:
    record = prepared.record
    assert record.name == "CIFAR-10 (JPEG)"
    assert (record.train, record.validation, record.test) == (40_000, 10_000, 10_000)
    assert record.stored_size == (32, 32)
    assert record.skipped == ()
    for part, count in (("train", 4000), ("validation", 1000), ("test", 1000)):
        assert np.bincount(prepared.labels[prepared.splits[part]]).tolist() == [count] * 10


def test_its_fingerprint_is_the_same_on_every_machine(prepared: PreparedData) -> None:
    assert prepared.record.fingerprint == FINGERPRINT


def test_a_second_start_takes_seconds_and_loading_a_fraction_of_one(
    prepared: PreparedData, archive: Path, cache: Path
) -> None:
    start = time.perf_counter()
    again = prepare(DataSettings(source=str(archive)), cache=cache)
    assert time.perf_counter() - start < 15
    start = time.perf_counter()
    PreparedData.load(again.folder)
    assert time.perf_counter() - start < 1
    assert again.record == prepared.record


def test_a_limit_decodes_only_what_it_needs(archive: Path, cache: Path, prepared: PreparedData) -> None:
    data = prepare(DataSettings(source=str(archive), limit_train=500, limit_test=100), cache=cache)
    assert data.images.shape == (600, 32, 32, 3)
    assert data.record.name == "CIFAR-10 (JPEG)"
    assert np.bincount(data.labels[data.splits["test"]]).tolist() == [10] * 10
