"""Downloads against a real server on the loopback interface that misbehaves on demand."""

from __future__ import annotations

import hashlib
import http.server
import re
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from photofinish.errors import DownloadError
from photofinish.storage.download import RemoteFile, download

CONTENT = bytes(range(256)) * 4096  # 1 MiB
MD5 = hashlib.md5(CONTENT, usedforsecurity=False).hexdigest()


@dataclass
class Server:
    """What the server serves, how it misbehaves, and what it was asked."""

    url: str = ""
    content: bytes = CONTENT
    etag: str | None = '"one"'
    ignore_ranges: bool = False
    cut_after: list[int] = field(default_factory=list)  # bytes to send of each coming answer before hanging up
    statuses: list[int] = field(default_factory=list)  # errors to answer first
    ranges: list[str | None] = field(default_factory=list)

    def remote(self, md5: str = MD5) -> RemoteFile:
        return RemoteFile(f"{self.url}/file.bin", md5)


@pytest.fixture
def server() -> Iterator[Server]:
    state = Server()

    class Handler(http.server.BaseHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

        def do_GET(self) -> None:
            state.ranges.append(self.headers.get("Range"))
            if state.statuses:
                self.send_error(state.statuses.pop(0))
                return
            start = self._start()
            if start >= len(state.content) and start > 0:
                self.send_error(416)
                return
            body = state.content[start:]
            self.send_response(206 if start else 200)
            self.send_header("Content-Length", str(len(body)))
            if start:
                last = len(state.content) - 1
                self.send_header("Content-Range", f"bytes {start}-{last}/{len(state.content)}")
            if state.etag:
                self.send_header("ETag", state.etag)
            self.end_headers()
            self.wfile.write(body[: state.cut_after.pop(0)] if state.cut_after else body)

        def _start(self) -> int:
            asked = re.match(r"bytes=(\d+)-", self.headers.get("Range", ""))
            fresh = self.headers.get("If-Range") == state.etag
            return int(asked.group(1)) if asked and fresh and not state.ignore_ranges else 0

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as httpd:
        state.url = f"http://127.0.0.1:{httpd.server_port}"
        thread = threading.Thread(target=httpd.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield state
        httpd.shutdown()
        thread.join()


def test_a_file_arrives_whole_and_leaves_no_partial_file(server: Server, tmp_path: Path) -> None:
    seen: list[tuple[int, int | None]] = []
    path = download(server.remote(), tmp_path / "file.bin", progress=lambda _, done, total: seen.append((done, total)))
    assert path.read_bytes() == CONTENT
    assert seen[0] == (0, len(CONTENT))
    assert seen[-1] == (len(CONTENT), len(CONTENT))
    assert not list(tmp_path.glob("*.partial*"))


def test_a_file_that_is_there_already_is_not_fetched_again(server: Server, tmp_path: Path) -> None:
    download(server.remote(), tmp_path / "file.bin")
    download(server.remote(), tmp_path / "file.bin")
    assert len(server.ranges) == 1


def test_an_interrupted_transfer_is_continued_where_it_broke_off(server: Server, tmp_path: Path) -> None:
    server.cut_after = [300_000, 200_000]
    path = download(server.remote(), tmp_path / "file.bin", pause=0)
    assert path.read_bytes() == CONTENT
    assert server.ranges == [None, "bytes=300000-", "bytes=500000-"]


def test_a_later_call_continues_what_an_earlier_one_left(server: Server, tmp_path: Path) -> None:
    server.cut_after = [400_000]
    with pytest.raises(DownloadError):
        download(server.remote(), tmp_path / "file.bin", attempts=1)
    download(server.remote(), tmp_path / "file.bin", attempts=1)
    assert server.ranges == [None, "bytes=400000-"]
    assert (tmp_path / "file.bin").read_bytes() == CONTENT


def test_a_server_that_ignores_ranges_sends_the_file_anew(server: Server, tmp_path: Path) -> None:
    server.ignore_ranges = True
    server.cut_after = [300_000]
    assert download(server.remote(), tmp_path / "file.bin", pause=0).read_bytes() == CONTENT


def test_a_copy_that_changed_on_the_server_is_not_glued_to_the_old_beginning(server: Server, tmp_path: Path) -> None:
    server.cut_after = [300_000]
    with pytest.raises(DownloadError):
        download(server.remote(), tmp_path / "file.bin", attempts=1)
    server.content = CONTENT[::-1]
    server.etag = '"two"'
    md5 = hashlib.md5(server.content, usedforsecurity=False).hexdigest()
    assert download(server.remote(md5), tmp_path / "file.bin").read_bytes() == server.content


@pytest.mark.parametrize("etag", [None, 'W/"weak"'])
def test_without_a_strong_validator_the_file_is_fetched_from_the_start(
    server: Server, tmp_path: Path, etag: str | None
) -> None:
    server.etag = etag
    server.cut_after = [300_000]
    assert download(server.remote(), tmp_path / "file.bin", pause=0).read_bytes() == CONTENT
    assert server.ranges == [None, None]


def test_a_partial_file_longer_than_the_servers_copy_is_thrown_away(server: Server, tmp_path: Path) -> None:
    (tmp_path / "file.bin.partial").write_bytes(b"x" * (len(CONTENT) + 5))
    (tmp_path / "file.bin.partial.validator").write_text('"one"')
    assert download(server.remote(), tmp_path / "file.bin", pause=0).read_bytes() == CONTENT


def test_a_corrupt_file_never_takes_its_name(server: Server, tmp_path: Path) -> None:
    server.content = CONTENT[:-1] + b"x"
    with pytest.raises(DownloadError, match="damaged or another file"):
        download(server.remote(), tmp_path / "file.bin")
    assert not (tmp_path / "file.bin").exists()
    assert not (tmp_path / "file.bin.partial").exists()


def test_a_corrupt_file_put_there_by_hand_is_refused_and_kept(server: Server, tmp_path: Path) -> None:
    (tmp_path / "file.bin").write_bytes(b"mine")
    with pytest.raises(DownloadError, match="delete it to fetch it anew"):
        download(server.remote(), tmp_path / "file.bin")
    assert (tmp_path / "file.bin").read_bytes() == b"mine"
    assert server.ranges == []


def test_a_busy_server_is_asked_again(server: Server, tmp_path: Path) -> None:
    server.statuses = [503, 429]
    assert download(server.remote(), tmp_path / "file.bin", pause=0).read_bytes() == CONTENT


def test_a_missing_file_is_asked_for_once_and_the_message_says_what_to_do(server: Server, tmp_path: Path) -> None:
    server.statuses = [404, 404]
    with pytest.raises(DownloadError) as caught:
        download(server.remote(), tmp_path / "file.bin", pause=0)
    message = str(caught.value)
    assert len(server.ranges) == 1
    assert "\n" not in message
    for part in (server.remote().url, str(tmp_path / "file.bin"), MD5, "404"):
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
        paths = list(pool.map(lambda _: download(server.remote(), tmp_path / "file.bin"), range(2)))
    assert [path.read_bytes() == CONTENT for path in paths] == [True, True]
    assert len(server.ranges) == 1
