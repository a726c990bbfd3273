"""Archives that must not be trusted."""

from __future__ import annotations

import io
import stat
import tarfile
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from photofinish.errors import DataError
from photofinish.storage.archives import Limits, extract

Members = dict[str, bytes]


def write_tar(path: Path, members: Members) -> Path:
    kind = path.suffix.removeprefix(".")
    mode: Any = "w" if kind == "tar" else f"w:{kind}"
    with tarfile.open(path, mode) as archive:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return path


def write_zip(path: Path, members: Members) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


WRITERS = [
    pytest.param(lambda folder, members: write_tar(folder / "a.tar.gz", members), id="tar.gz"),
    pytest.param(lambda folder, members: write_tar(folder / "a.tar", members), id="tar"),
    pytest.param(lambda folder, members: write_zip(folder / "a.zip", members), id="zip"),
]
Writer = Callable[[Path, Members], Path]


@pytest.fixture
def target(tmp_path: Path) -> Path:
    folder = tmp_path / "deep" / "target"
    folder.mkdir(parents=True)
    return folder


def everything(name: str) -> bool:
    return True


def files(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


@pytest.mark.parametrize("write", WRITERS)
def test_wanted_files_come_out_and_others_do_not(write: Writer, tmp_path: Path, target: Path) -> None:
    archive = write(tmp_path, {"./a/1.jpg": b"one", "a/2.txt": b"two", "b/3.jpg": b"three"})
    assert extract(archive, target, lambda name: name.endswith(".jpg")) == 2
    assert files(target) == {"a/1.jpg": b"one", "b/3.jpg": b"three"}


@pytest.mark.parametrize("write", WRITERS)
@pytest.mark.parametrize(
    "name",
    ["../evil.jpg", "a/../../evil.jpg", "/evil.jpg", "..\\evil.jpg", "C:/evil.jpg", "C:\\evil.jpg"],
)
def test_names_that_lead_outside_are_refused(write: Writer, name: str, tmp_path: Path, target: Path) -> None:
    archive = write(tmp_path, {"a/1.jpg": b"one", name: b"evil"})
    with pytest.raises(DataError, match=r"absolute path|leads outside"):
        extract(archive, target, everything)
    assert not list(tmp_path.rglob("*evil*"))


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE])
def test_links_and_devices_in_a_tar_are_refused(kind: bytes, tmp_path: Path, target: Path) -> None:
    path = tmp_path / "a.tar"
    with tarfile.open(path, "w") as archive:
        info = tarfile.TarInfo("a/1.jpg")
        info.type = kind
        info.linkname = "../../outside"
        archive.addfile(info)
    with pytest.raises(DataError, match="a link or device"):
        extract(path, target, everything)
    assert files(target) == {}


def test_a_file_behind_a_link_of_the_same_archive_is_not_written(tmp_path: Path, target: Path) -> None:
    path = tmp_path / "a.tar"
    with tarfile.open(path, "w") as archive:
        link = tarfile.TarInfo("a")
        link.type = tarfile.SYMTYPE
        link.linkname = str(tmp_path)
        archive.addfile(link)
        through = tarfile.TarInfo("a/evil.jpg")
        through.size = 4
        archive.addfile(through, io.BytesIO(b"evil"))
    with pytest.raises(DataError):
        extract(path, target, everything)
    assert not (tmp_path / "evil.jpg").exists()


def test_a_link_in_a_zip_is_refused(tmp_path: Path, target: Path) -> None:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        info = zipfile.ZipInfo("a/1.jpg")
        info.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(info, "/etc/passwd")
    with pytest.raises(DataError, match="a link or device"):
        extract(path, target, everything)


def test_a_sparse_file_is_refused(tmp_path: Path, target: Path) -> None:
    path = tmp_path / "a.tar"
    with tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as archive:
        info = tarfile.TarInfo("a/1.jpg")
        info.pax_headers = {"GNU.sparse.map": "0,0", "GNU.sparse.size": str(10**12)}
        archive.addfile(info)
    with pytest.raises(DataError, match="sparse"):
        extract(path, target, everything)


@pytest.mark.parametrize(
    ("write", "keep"),
    # An unwanted member of a zip is never unpacked.
    [(WRITERS[0].values[0], True), (WRITERS[0].values[0], False), (WRITERS[2].values[0], True)],
)
def test_a_bomb_is_stopped_while_it_unpacks(write: Writer, keep: bool, tmp_path: Path, target: Path) -> None:
    archive = write(tmp_path, {"a/1.jpg": bytes(3_000_000), "a/2.jpg": b"2"})
    with pytest.raises(DataError, match="decompression bomb"):
        extract(archive, target, lambda _: keep, limits=Limits(total_bytes=1_000_000))
    assert sum(map(len, files(target).values())) <= 2_000_000


@pytest.mark.parametrize("write", [WRITERS[0], WRITERS[2]])
def test_an_absurd_ratio_is_taken_for_a_bomb(write: Writer, tmp_path: Path, target: Path) -> None:
    archive = write(tmp_path, {"a/1.jpg": bytes(3_000_000)})
    with pytest.raises(DataError, match="100 times its own size"):
        extract(archive, target, everything, limits=Limits(ratio=100, ratio_from_bytes=1_000_000))


@pytest.mark.parametrize("write", WRITERS)
def test_too_many_members_are_taken_for_a_bomb(write: Writer, tmp_path: Path, target: Path) -> None:
    archive = write(tmp_path, {f"a/{i}.jpg": b"" for i in range(11)})
    with pytest.raises(DataError, match="more than 10 members"):
        extract(archive, target, everything, limits=Limits(members=10))


def test_a_giant_header_is_refused_without_being_read_whole(tmp_path: Path, target: Path) -> None:
    path = tmp_path / "a.tar.gz"
    with tarfile.open(path, "w:gz", format=tarfile.PAX_FORMAT) as archive:
        info = tarfile.TarInfo("a/1.jpg")
        info.pax_headers = {"comment": "x" * 20_000_000}
        archive.addfile(info)
    with pytest.raises(DataError, match="oversized header"):
        extract(path, target, everything)


@pytest.mark.parametrize("write", WRITERS)
def test_a_name_that_appears_twice_is_refused(write: Writer, tmp_path: Path, target: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        archive = write(tmp_path, {"a/1.jpg": b"one", "./a/1.jpg": b"two"})
    with pytest.raises(DataError, match="more than once"):
        extract(archive, target, everything)


@pytest.mark.parametrize("write", WRITERS)
def test_a_truncated_archive_is_refused_in_one_line(write: Writer, tmp_path: Path, target: Path) -> None:
    archive = write(tmp_path, {f"a/{i}.jpg": bytes([i]) * 5000 for i in range(50)})
    archive.write_bytes(archive.read_bytes()[: archive.stat().st_size // 2])
    with pytest.raises(DataError, match="damaged or incomplete") as caught:
        extract(archive, target, everything)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("suffix", ["gz", "bz2", "xz"])
def test_one_changed_byte_in_a_compressed_tar_is_noticed(suffix: str, tmp_path: Path, target: Path) -> None:
    noise = np.random.default_rng(0).bytes(50_000)
    archive = write_tar(tmp_path / f"a.tar.{suffix}", {"a/1.jpg": noise})
    content = bytearray(archive.read_bytes())
    content[25_000] ^= 1
    archive.write_bytes(content)
    with pytest.raises(DataError, match="damaged or incomplete"):
        extract(archive, target, everything)


def test_a_damaged_header_is_not_taken_for_the_end_of_a_tar(tmp_path: Path, target: Path) -> None:
    archive = write_tar(tmp_path / "a.tar", {"a/1.jpg": b"one", "a/2.jpg": b"two", "a/3.jpg": b"three"})
    content = bytearray(archive.read_bytes())
    content[2 * 512 + 3] ^= 1  # in the name of the second file
    archive.write_bytes(content)
    with pytest.raises(DataError, match="damaged or incomplete"):
        extract(archive, target, everything)


def test_a_zip_whose_directory_leads_outside_it_is_refused(tmp_path: Path, target: Path) -> None:
    archive = write_zip(tmp_path / "a.zip", {"a/1.jpg": b"one"})
    content = bytearray(archive.read_bytes())
    content[-5] ^= 0x40  # where the directory begins
    archive.write_bytes(content)
    with pytest.raises(DataError, match="damaged or incomplete"):
        extract(archive, target, everything)


@pytest.mark.parametrize("suffix", [".zip", ".tar", ".tar.gz", ".tar.xz", ".tar.bz2"])
def test_something_else_under_an_archives_name_is_refused(suffix: str, tmp_path: Path, target: Path) -> None:
    path = tmp_path / f"a{suffix}"
    path.write_bytes(b"<html>not found</html>" * 100)
    with pytest.raises(DataError, match="damaged or incomplete"):
        extract(path, target, everything)
