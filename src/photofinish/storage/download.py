"""Fetching a file over HTTP: resumed where it broke off, checked before anyone sees it, then renamed."""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import os
import re
import socket
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol

from photofinish.errors import DownloadError, PhotofinishError
from photofinish.storage.atomic import require_free_space
from photofinish.storage.progress import Progress, silent

_CHUNK = 1 << 18
_ASK_AGAIN = {408, 425, 429, 500, 502, 503, 504}


@dataclass(frozen=True)
class RemoteFile:
    """A file on a server and what it must be.

    Attributes:
        url: Where it is, http or https.
        md5: MD5 of its content in hexadecimal, or None where its publisher gives none.
        sha256: SHA-256 likewise.
        largest: Bytes beyond which it is not that file, or None for any number.
    """

    url: str
    md5: str | None = None
    sha256: str | None = None
    largest: int | None = None

    @property
    def name(self) -> str:
        """The file's name, the last part of its address."""
        return self.url.rsplit("/", 1)[-1]

    @property
    def checksums(self) -> tuple[tuple[str, str], ...]:
        """Algorithm and value of each checksum that is known."""
        known = (("MD5", self.md5), ("SHA-256", self.sha256))
        return tuple((algorithm, value) for algorithm, value in known if value is not None)


class _InterruptedTransferError(Exception):
    """The transfer ended early, or what is on the disk cannot be continued; asking again may help."""


class _WrongFileError(DownloadError):
    """A file that was there before is not the published one."""


class _Response(Protocol):
    status: int
    headers: http.client.HTTPMessage

    def read(self, size: int, /) -> bytes: ...


def download(
    remote: RemoteFile,
    target: Path,
    *,
    progress: Progress | None = None,
    attempts: int = 5,
    timeout: float = 30.0,
    pause: float = 1.0,
    by_hand: str | None = None,
) -> Path:
    """Fetch a file unless it is there already, and check it.

    Bytes go to `<target>.partial`, which survives an interruption and is continued by the next call, provided
    that the server's copy is still the same one (If-Range). The file takes its name only after its checksum
    has been verified. Two processes may call this at once: one fetches, the other waits and finds the file.

    Args:
        remote: What to fetch.
        target: Where to put it.
        progress: Told bytes done and in all.
        attempts: How often to ask before giving up; each attempt that brought bytes renews the count.
        timeout: Seconds without a byte after which an attempt is given up.
        pause: Seconds before the second attempt; doubled before each further one.
        by_hand: What a person can do instead; None is to fetch the address and put it at `target`.

    Returns:
        `target`.

    Raises:
        DownloadError: The file could not be fetched or is not the one expected. The message names the address
            to fetch by hand and the path to put it at.
    """
    if not remote.url.startswith(("http://", "https://")):
        raise DownloadError(f"cannot fetch {remote.url}: only http and https addresses are fetched")
    remedy = by_hand or f"fetch it by hand and put it at {target}" + "".join(
        f" ({algorithm} {value})" for algorithm, value in remote.checksums
    )
    partial = target.with_name(f"{target.name}.partial")
    try:
        if not target.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            with _only_one(target.with_name(f"{target.name}.lock")):
                # Whoever held the lock before may have fetched it meanwhile.
                if not target.exists():
                    _fetch_patiently(remote, partial, progress or silent, attempts, timeout, pause)
                    _verify_new(remote, partial)
                    partial.replace(target)
                    _validator_path(partial).unlink(missing_ok=True)
                    return target
        _verify_old(remote, target)
    except (OSError, http.client.HTTPException) as error:
        raise DownloadError(f"cannot fetch {remote.url} ({_reason(error)}); {remedy}") from error
    except _WrongFileError:
        raise
    except PhotofinishError as error:
        raise DownloadError(f"cannot fetch {remote.url} ({error}); {remedy}") from error
    return target


def checksum(path: Path, algorithm: str) -> str:
    """Return a checksum of a file's content in hexadecimal.

    Args:
        path: The file.
        algorithm: `MD5` or `SHA-256`.
    """
    name = algorithm.lower().replace("-", "")
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.new(name, usedforsecurity=False)).hexdigest()


def _difference(remote: RemoteFile, path: Path) -> str | None:
    """Say which checksum a file has in place of the published one, or None where all agree."""
    for algorithm, expected in remote.checksums:
        found = checksum(path, algorithm)
        if found != expected:
            return f"its {algorithm} is {found} and not {expected}"
    return None


def _verify_new(remote: RemoteFile, partial: Path) -> None:
    """Refuse what has just arrived unless it is as published; a damaged beginning must not be continued."""
    difference = _difference(remote, partial)
    if difference is not None:
        _discard(partial)
        raise DownloadError(f"{difference}, so it is damaged or another file")


def _verify_old(remote: RemoteFile, target: Path) -> None:
    """Refuse a file that was there before unless it is as published; it may be a person's own, so it stays."""
    difference = _difference(remote, target)
    if difference is not None:
        raise _WrongFileError(f"{target} is not {remote.url}: {difference}; delete it to fetch it anew")


def _discard(partial: Path) -> None:
    partial.unlink()
    _validator_path(partial).unlink(missing_ok=True)


def _fetch_patiently(
    remote: RemoteFile, partial: Path, progress: Progress, attempts: int, timeout: float, pause: float
) -> None:
    """Ask until the file is whole, waiting longer after each attempt that brought nothing."""
    failures = 0
    while True:
        before = _size(partial)
        try:
            _fetch(remote, partial, progress, timeout)
        except (_InterruptedTransferError, OSError, http.client.HTTPException) as error:
            failures = 1 if _size(partial) > before else failures + 1
            if failures >= attempts or not _worth_asking_again(error):
                raise OSError(_reason(error)) from error
            time.sleep(pause * 2 ** (failures - 1))
        else:
            return


def _fetch(remote: RemoteFile, partial: Path, progress: Progress, timeout: float) -> None:
    """Ask once, for the missing end of the file where there is a beginning."""
    validator = _read_validator(partial)
    start = _size(partial) if validator else 0
    headers = {"Accept-Encoding": "identity", "User-Agent": "photofinish"}
    if start:
        headers |= {"Range": f"bytes={start}-", "If-Range": validator}
    request = urllib.request.Request(remote.url, headers=headers)  # noqa: S310 - download() refuses other schemes
    try:
        with urllib.request.urlopen(request, timeout=timeout) as response:  # noqa: S310 - as above
            _receive(response, remote, partial, start, progress)
    except urllib.error.HTTPError as error:
        error.close()
        if error.code == http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
            partial.unlink()
            raise _InterruptedTransferError("the file on the server is shorter than what was fetched before") from error
        raise


def _receive(response: _Response, remote: RemoteFile, partial: Path, start: int, progress: Progress) -> None:
    if response.status == http.HTTPStatus.PARTIAL_CONTENT:
        if not re.match(rf"bytes {start}-", response.headers.get("Content-Range", "")):
            partial.unlink()
            raise _InterruptedTransferError("the server answered with another part of the file than asked for")
    else:
        # The server ignores ranges, or its copy changed: what came before is worthless.
        start = 0
    length = response.headers.get("Content-Length")
    total = start + int(length) if length and length.isdigit() else None
    _refuse_larger(remote, total or 0)
    if total is not None:
        require_free_space(partial.parent, total - start, f"fetching {remote.name}")
    _write_validator(partial, response.headers)
    with partial.open("r+b" if start else "wb") as file:
        file.seek(start)
        done = _copy(response, file, start, total, remote, progress)
        file.truncate()
        os.fsync(file.fileno())
    if total is not None and done != total:
        raise _InterruptedTransferError(f"the connection closed after {done} of {total} bytes")


def _copy(
    response: _Response, file: BinaryIO, done: int, total: int | None, remote: RemoteFile, progress: Progress
) -> int:
    stage = f"fetching {remote.name}"
    progress(stage, done, total)
    while chunk := response.read(_CHUNK):
        done += len(chunk)
        _refuse_larger(remote, done)
        file.write(chunk)
        progress(stage, done, total)
    return done


def _refuse_larger(remote: RemoteFile, size: int) -> None:
    if remote.largest is not None and size > remote.largest:
        raise DownloadError(f"the server sends more than the {remote.largest} bytes that it has")


def _validator_path(partial: Path) -> Path:
    return partial.with_name(f"{partial.name}.validator")


def _read_validator(partial: Path) -> str:
    """Return what identifies the server's copy that `partial` is the beginning of, or nothing."""
    try:
        return _validator_path(partial).read_text(encoding="latin-1").strip()
    except FileNotFoundError:
        return ""


def _write_validator(partial: Path, headers: http.client.HTTPMessage) -> None:
    etag = headers.get("ETag", "")
    # A weak tag promises the same meaning, not the same bytes, so If-Range must not use it.
    validator = etag if etag and not etag.startswith("W/") else headers.get("Last-Modified", "")
    _validator_path(partial).write_text(validator, encoding="latin-1")


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _worth_asking_again(error: Exception) -> bool:
    if isinstance(error, urllib.error.HTTPError):
        return error.code in _ASK_AGAIN
    reason = getattr(error, "reason", error)
    # A name that nobody knows stays unknown; where there is no network every name is.
    return not (isinstance(reason, socket.gaierror) and reason.errno == socket.EAI_NONAME)


def _reason(error: Exception) -> str:
    """Say in a few words why a request failed."""
    if isinstance(error, urllib.error.HTTPError):
        return f"the server answered {error.code} {error.reason}"
    reason = getattr(error, "reason", error)
    text = getattr(reason, "strerror", None) or str(reason) or type(error).__name__
    return " ".join(str(text).split())


@contextlib.contextmanager
def _only_one(path: Path) -> Iterator[None]:
    """Wait until no other process of this machine holds `path`, then hold it."""
    try:
        import fcntl
    except ImportError:
        yield
        return
    with path.open("wb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
