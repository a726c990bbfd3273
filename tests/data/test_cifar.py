"""CIFAR in every shape in which it is found on disks, in miniature."""

from __future__ import annotations

import pickle
import tarfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from photofinish.config.settings import DataSettings
from photofinish.data import prepare
from photofinish.data.cifar import CIFAR_ARCHIVES, read_cifar
from photofinish.data.cifar_classes import CIFAR10_CLASSES, CIFAR100_CLASSES
from photofinish.errors import DataError, DownloadError
from photofinish.storage.download import RemoteFile

COUNT = 40  # pictures in each of CIFAR-10's six files
GENERATOR = np.random.default_rng(0)
PLANES = GENERATOR.integers(0, 256, (6, COUNT, 3072), dtype=np.uint8)
LABELS = np.tile(np.arange(COUNT) % 10, (6, 1))
FINE = np.arange(400) % 100
FINE_PLANES = GENERATOR.integers(0, 256, (600, 3072), dtype=np.uint8)


def binary10(folder: Path) -> Path:
    folder.mkdir(parents=True)
    names = [f"data_batch_{number}.bin" for number in range(1, 6)] + ["test_batch.bin"]
    for name, planes, labels in zip(names, PLANES, LABELS, strict=True):
        records = np.concatenate([labels[:, None].astype(np.uint8), planes], axis=1)
        (folder / name).write_bytes(records.tobytes())
    (folder / "batches.meta.txt").write_text("\n".join(CIFAR10_CLASSES) + "\n\n")
    return folder


def python10(folder: Path) -> Path:
    folder.mkdir(parents=True)
    names = [f"data_batch_{number}" for number in range(1, 6)] + ["test_batch"]
    for name, planes, labels in zip(names, PLANES, LABELS, strict=True):
        batch = {b"data": planes, b"labels": labels.tolist(), b"filenames": [b"x.png"] * COUNT}
        (folder / name).write_bytes(pickle.dumps(batch, 2))
    (folder / "batches.meta").write_bytes(pickle.dumps({"label_names": list(CIFAR10_CLASSES)}, 2))
    return folder


def binary100(folder: Path) -> Path:
    folder.mkdir(parents=True)
    labels = np.concatenate([FINE, FINE[:200]]).astype(np.uint8)[:, None]
    records = np.concatenate([labels // 5, labels, FINE_PLANES], axis=1)
    (folder / "train.bin").write_bytes(records[:400].tobytes())
    (folder / "test.bin").write_bytes(records[400:].tobytes())
    (folder / "fine_label_names.txt").write_text("\n".join(CIFAR100_CLASSES) + "\n")
    return folder


def python100(folder: Path) -> Path:
    folder.mkdir(parents=True)
    for name, planes, fine in (("train", FINE_PLANES[:400], FINE), ("test", FINE_PLANES[400:], FINE[:200])):
        batch = {"data": planes, "fine_labels": fine.tolist(), "coarse_labels": (fine // 5).tolist()}
        (folder / name).write_bytes(pickle.dumps(batch, 2))
    (folder / "meta").write_bytes(pickle.dumps({"fine_label_names": list(CIFAR100_CLASSES)}, 2))
    return folder


def settings(source: Path | str) -> DataSettings:
    return DataSettings(source=str(source), validation_fraction=0.5)


@pytest.mark.parametrize("write", [binary10, python10])
def test_cifar10_gives_its_pictures_labels_and_names(write: Callable[[Path], Path], tmp_path: Path) -> None:
    listing = read_cifar(write(tmp_path / "cifar"))
    assert listing.classes == CIFAR10_CLASSES
    assert (listing.ids[0], listing.ids[-1]) == ("train/00000", f"test/{COUNT - 1:05d}")
    assert listing.labels.tolist() == LABELS.ravel().tolist()
    # A plane holds one colour, row by row.
    assert listing.pictures.picture(41, None)[3, 5].tolist() == PLANES[1, 1].reshape(3, 32, 32)[:, 3, 5].tolist()


@pytest.mark.parametrize("write", [binary100, python100])
def test_cifar100_uses_the_fine_labels(write: Callable[[Path], Path], tmp_path: Path) -> None:
    listing = read_cifar(write(tmp_path / "cifar"))
    assert listing.classes == CIFAR100_CLASSES
    assert listing.labels.tolist() == [*FINE.tolist(), *FINE[:200].tolist()]


@pytest.mark.parametrize(("binary", "python"), [(binary10, python10), (binary100, python100)])
def test_both_versions_have_one_fingerprint(
    binary: Callable[[Path], Path], python: Callable[[Path], Path], tmp_path: Path, cache: Path
) -> None:
    first = prepare(settings(binary(tmp_path / "binary")), cache=cache)
    second = prepare(settings(python(tmp_path / "python")), cache=cache)
    assert first.record == second.record
    assert first.record.name == ("CIFAR-10 (incomplete)" if binary is binary10 else "CIFAR-100 (incomplete)")


@pytest.mark.parametrize("write", [binary10, python10, binary100, python100])
def test_an_archive_and_a_folder_around_the_files_are_seen_through(
    write: Callable[[Path], Path], tmp_path: Path, cache: Path
) -> None:
    folder = write(tmp_path / "outer" / "cifar-files")
    archive = tmp_path / "renamed.tar.gz"
    with tarfile.open(archive, "w:gz") as file:
        file.add(folder, "cifar-files")
    prints = {prepare(settings(source), cache=cache).record.fingerprint for source in (folder, folder.parent, archive)}
    assert len(prints) == 1


def test_a_fetched_archive_is_verified_before_it_is_used(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    remote = RemoteFile("http://127.0.0.1:9/cifar-10-binary.tar.gz", "0" * 32)
    monkeypatch.setitem(CIFAR_ARCHIVES, "cifar10", (remote,))
    (cache / "downloads").mkdir()
    (cache / "downloads" / remote.name).write_bytes(b"something else")
    with pytest.raises(DownloadError, match="its MD5 is"):
        prepare(settings("cifar10"), cache=cache)
    assert not (cache / "extracted").exists()


def test_a_missing_batch_is_named(tmp_path: Path, cache: Path) -> None:
    folder = binary10(tmp_path / "cifar")
    (folder / "data_batch_3.bin").unlink()
    with pytest.raises(DataError, match=r"lacks data_batch_3\.bin of CIFAR-10"):
        prepare(settings(folder), cache=cache)


def test_a_batch_that_was_cut_off_is_named(tmp_path: Path, cache: Path) -> None:
    path = binary10(tmp_path / "cifar") / "data_batch_3.bin"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(DataError, match=r"data_batch_3\.bin .* cut off"):
        prepare(settings(path.parent), cache=cache)


def test_labels_beyond_the_classes_are_refused(tmp_path: Path, cache: Path) -> None:
    path = binary10(tmp_path / "cifar") / "data_batch_3.bin"
    path.write_bytes(b"\x0a" + path.read_bytes()[1:])
    with pytest.raises(DataError, match="labels outside 0-9"):
        prepare(settings(path.parent), cache=cache)


def test_one_changed_byte_changes_the_fingerprint(tmp_path: Path, cache: Path) -> None:
    path = binary10(tmp_path / "cifar") / "data_batch_3.bin"
    before = prepare(settings(path.parent), cache=cache).record.fingerprint
    content = bytearray(path.read_bytes())
    content[1000] ^= 1
    path.write_bytes(content)
    assert prepare(settings(path.parent), cache=cache).record.fingerprint != before
