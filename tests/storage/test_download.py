"""Downloads against a real server on the loopback interface that misbehaves on demand."""

from __future__ import annotations

import hashlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from photofinish.errors import DownloadError
from photofinish.storage.download import RemoteFile, checksum, download

if TYPE_CHECKING:
    from loopback import Server

CONTENT = bytes(range(256)) * 4096  # 1 MiB
MD5 = hashlib.md5(CONTENT, usedforsecurity=False).hexdigest()


def remote(server: Server, md5: str = MD5) -> RemoteFile:
    return RemoteFile(f"{server.url}/file.bin", md5)


def test_a_file_arrives_whole_and_leaves_no_partial_file(server: Server, tmp_path: Path) -> None:
    seen: list[tuple[int, int | None]] = []
    path = download(remote(server), tmp_path / "file.bin", progress=lambda _, done, total: seen.append((done, total)))
    assert path.read_bytes() == CONTENT
    assert seen[0] == (0, len(CONTENT))
    assert seen[-1] == (len(CONTENT), len(CONTENT))
    assert not list(tmp_path.glob("*.partial*"))


def test_a_file_that_is_there_already_is_not_fetched_again(server: Server, tmp_path: Path) -> None:
    download(remote(server), tmp_path / "file.bin")
    download(remote(server), tmp_path / "file.bin")
    assert len(server.ranges) == 1


def test_an_interrupted_transfer_is_continued_where_it_broke_off(server: Server, tmp_path: Path) -> None:
    server.cut_after = [300_000, 200_000]
    path = download(remote(server), tmp_path / "file.bin", pause=0)
    assert path.read_bytes() == CONTENT
    assert server.ranges == [None, "bytes=300000-", "bytes=500000-"]


def test_a_later_call_continues_what_an_earlier_one_left(server: Server, tmp_path: Path) -> None:
    server.cut_after = [400_000]
    with pytest.raises(DownloadError):
        download(remote(server), tmp_path / "file.bin", attempts=1)
    download(remote(server), tmp_path / "file.bin", attempts=1)
    assert server.ranges == [None, "bytes=400000-"]
    assert (tmp_path / "file.bin").read_bytes() == CONTENT


def test_a_server_that_ignores_ranges_sends_the_file_anew(server: Server, tmp_path: Path) -> None:
    server.ignore_ranges = True
    server.cut_after = [300_000]
    assert download(remote(server), tmp_path / "file.bin", pause=0).read_bytes() == CONTENT


def test_a_copy_that_changed_on_the_server_is_not_glued_to_the_old_beginning(server: Server, tmp_path: Path) -> None:
    server.cut_after = [300_000]
    with pytest.raises(DownloadError):
        download(remote(server), tmp_path / "file.bin", attempts=1)
    server.content = CONTENT[::-1]
    server.etag = '"two"'
    md5 = hashlib.md5(server.content, usedforsecurity=False).hexdigest()
    assert download(remote(server, md5), tmp_path / "file.bin").read_bytes() == server.content


@pytest.mark.parametrize("etag", [None, 'W/"weak"'])
def test_without_a_strong_validator_the_file_is_fetched_from_the_start(
    server: Server, tmp_path: Path, etag: str | None
) -> None:
    server.etag = etag
    server.cut_after = [300_000]
    assert download(remote(server), tmp_path / "file.bin", pause=0).read_bytes() == CONTENT
    assert server.ranges == [None, None]


def test_a_partial_file_longer_than_the_servers_copy_is_thrown_away(server: Server, tmp_path: Path) -> None:
    (tmp_path / "file.bin.partial").write_bytes(b"x" * (len(CONTENT) + 5))
    (tmp_path / "file.bin.partial.validator").write_text('"one"')
    assert download(remote(server), tmp_path / "file.bin", pause=0).read_bytes() == CONTENT


def test_a_corrupt_file_never_takes_its_name(server: Server, tmp_path: Path) -> None:
    server.content = CONTENT[:-1] + b"x"
    with pytest.raises(DownloadError, match="damaged or another file"):
        download(remote(server), tmp_path / "file.bin")
    assert not (tmp_path / "file.bin").exists()
    assert not (tmp_path / "file.bin.partial").exists()


def test_a_corrupt_file_put_there_by_hand_is_refused_and_kept(server: Server, tmp_path: Path) -> None:
    (tmp_path / "file.bin").write_bytes(b"mine")
    with pytest.raises(DownloadError, match="delete it to fetch it anew"):
        download(remote(server), tmp_path / "file.bin")
    assert (tmp_path / "file.bin").read_bytes() == b"mine"
    assert server.ranges == []


def test_a_busy_server_is_asked_again(server: Server, tmp_path: Path) -> None:
    server.statuses = [503, 429]
    assert download(remote(server), tmp_path / "file.bin", pause=0).read_bytes() == CONTENT


def test_a_missing_file_is_asked_for_once_and_the_message_says_what_to_do(server: Server, tmp_path: Path) -> None:
    server.statuses = [404, 404]
    with pytest.raises(DownloadError) as caught:
        download(remote(server), tmp_path / "file.bin", pause=0)
    message = str(caught.value)
    assert len(server.ranges) == 1
    assert "\n" not in message
    for part in (remote(server).url, str(tmp_path / "file.bin"), MD5, "404"):
        assert part in message


def test_a_refused_connection_gives_one_line(tmp_path: Path) -> None:
    with pytest.raises(DownloadError, match="fetch it by hand and put it at") as caught:
        download(RemoteFile("http://127.0.0.1:9/file.bin", MD5), tmp_path / "file.bin", attempts=2, pause=0)
    assert "\n" not in str(caught.value)


def test_other_schemes_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DownloadError, match="only http and https"):
        download(RemoteFile("file:///etc/passwd", MD5), tmp_path / "file.bin")


def test_two_downloads_at_once_fetch_the_file_once(server: Server, tmp_path: Path) -> None:
    with ThreadPoolExecutor(2) as pool:
        paths = list(pool.map(lambda _: download(remote(server), tmp_path / "file.bin"), range(2)))
    assert [path.read_bytes() == CONTENT for path in paths] == [True, True]
    assert len(server.ranges) == 1


def test_a_file_is_checked_against_its_sha256_too(server: Server, tmp_path: Path) -> None:
    url = f"{server.url}/file.bin"
    with pytest.raises(DownloadError, match="its SHA-256 is"):
        download(RemoteFile(url, MD5, sha256="0" * 64), tmp_path / "file.bin")
    sha256 = hashlib.sha256(CONTENT).hexdigest()
    path = download(RemoteFile(url, MD5, sha256=sha256), tmp_path / "file.bin")
    assert checksum(path, "SHA-256") == sha256


def test_a_server_that_sends_more_than_there_is_fills_no_disk(server: Server, tmp_path: Path) -> None:
    with pytest.raises(DownloadError, match="more than the 1000 bytes"):
        download(RemoteFile(f"{server.url}/file.bin", MD5, largest=1000), tmp_path / "file.bin", pause=0)
    assert len(server.ranges) == 1
    assert not (tmp_path / "file.bin").exists()
