"""Files checked against the Git LFS pointer that their publisher gives, on a real server."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from photofinish.errors import DownloadError
from photofinish.storage.pointers import download_by_pointer, parse_pointer

if TYPE_CHECKING:
    from loopback import Server

CONTENT = bytes(range(256)) * 2000


def pointer_to(content: bytes) -> bytes:
    sha256 = hashlib.sha256(content).hexdigest()
    return f"version https://git-lfs.github.com/spec/v1\noid sha256:{sha256}\nsize {len(content)}\n".encode()


@pytest.fixture
def hub(server: Server) -> Server:
    # The hub sends whoever asks for a large file to another server.
    server.files = {"/raw": pointer_to(CONTENT), "/elsewhere": CONTENT}
    server.redirects = {"/resolve": f"{server.url}/elsewhere"}
    return server


def fetch(hub: Server, target: Path) -> Path:
    return download_by_pointer(f"{hub.url}/resolve", f"{hub.url}/raw", target, pause=0)


def test_the_pointer_comes_first_and_stays_beside_the_file(hub: Server, tmp_path: Path) -> None:
    assert fetch(hub, tmp_path / "file").read_bytes() == CONTENT
    assert hub.paths == ["/raw", "/resolve", "/elsewhere"]
    assert (tmp_path / "file.pointer").read_bytes() == hub.files["/raw"]


def test_a_second_use_needs_no_network_and_verifies_again(hub: Server, tmp_path: Path) -> None:
    fetch(hub, tmp_path / "file")
    hub.paths.clear()
    fetch(hub, tmp_path / "file")
    (tmp_path / "file").write_bytes(CONTENT[:-1] + b"x")
    with pytest.raises(DownloadError, match=r"its SHA-256 is .* delete it to fetch it anew"):
        fetch(hub, tmp_path / "file")
    assert hub.paths == []


def test_an_interrupted_file_is_continued_through_the_redirection(hub: Server, tmp_path: Path) -> None:
    hub.cut_after = [10_000, 200_000]  # the first is the pointer's answer, which is shorter
    assert fetch(hub, tmp_path / "file").read_bytes() == CONTENT
    assert hub.ranges[-1] == "bytes=200000-"


@pytest.mark.parametrize("content", [CONTENT[::-1], CONTENT + b"more", CONTENT[:1000]])
def test_a_file_that_is_not_the_pointers_is_refused(hub: Server, tmp_path: Path, content: bytes) -> None:
    hub.files["/elsewhere"] = content
    with pytest.raises(DownloadError, match=r"damaged or another file|more than the \d+ bytes"):
        fetch(hub, tmp_path / "file")
    assert not (tmp_path / "file").exists()
    assert not (tmp_path / "file.pointer").exists()


@pytest.mark.parametrize("text", [b"<html>sign in</html>", b"", CONTENT[:900], b"\xff" * 100])
def test_what_is_no_pointer_stops_before_the_file_is_fetched(hub: Server, tmp_path: Path, text: bytes) -> None:
    hub.files["/raw"] = text
    with pytest.raises(DownloadError, match=r"is no Git LFS pointer, so .* cannot be checked and is not used"):
        fetch(hub, tmp_path / "file")
    assert hub.paths == ["/raw"]


def test_a_server_that_sends_the_file_itself_as_pointer_is_cut_short(hub: Server, tmp_path: Path) -> None:
    hub.files["/raw"] = CONTENT
    with pytest.raises(DownloadError, match="more than the 1024 bytes"):
        fetch(hub, tmp_path / "file")


@pytest.mark.parametrize("absent", ["/raw", "/elsewhere"])
def test_an_absent_file_or_pointer_says_where_to_put_both_by_hand(hub: Server, tmp_path: Path, absent: str) -> None:
    del hub.files[absent]
    with pytest.raises(DownloadError, match="404") as caught:
        fetch(hub, tmp_path / "file")
    message = str(caught.value)
    assert "\n" not in message
    for part in (f"{hub.url}/resolve", f"{hub.url}/raw", str(tmp_path / "file"), str(tmp_path / "file.pointer")):
        assert part in message


def test_file_and_pointer_put_there_by_hand_need_no_network(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(CONTENT)
    nowhere = "http://127.0.0.1:9"
    with pytest.raises(DownloadError, match="by hand"):
        download_by_pointer(f"{nowhere}/resolve", f"{nowhere}/raw", tmp_path / "file", pause=0)
    (tmp_path / "file.pointer").write_bytes(pointer_to(CONTENT))
    assert download_by_pointer(f"{nowhere}/resolve", f"{nowhere}/raw", tmp_path / "file") == tmp_path / "file"


def test_a_file_replaced_by_its_publisher_before_it_was_whole_is_taken_as_it_is_now(
    hub: Server, tmp_path: Path
) -> None:
    (tmp_path / "file.pointer").write_bytes(pointer_to(b"an older version"))
    assert fetch(hub, tmp_path / "file").read_bytes() == CONTENT
    assert (tmp_path / "file.pointer").read_bytes() == pointer_to(CONTENT)


def test_a_pointer_of_a_later_minor_form_with_more_lines_is_read() -> None:
    text = pointer_to(CONTENT).decode().replace("oid", "ext-0-foo sha256:ab\noid")
    pointer = parse_pointer(text)
    assert pointer is not None
    assert pointer.size == len(CONTENT)
