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
    """

    url: str
    md5: str | None

    @property
    def name(self) -> str:
        """The file's name, the last part of its address."""
        return self.url.rsplit("/", 1)[-1]


class _InterruptedTransferError(Exception):
    """The transfer ended early, or what is on the disk cannot be continued; asking again may help."""


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

    Returns:
        `target`.

    Raises:
        DownloadError: The file could not be fetched or is not the one expected. The message names the address
            to fetch by hand and the path to put it at.
    """
    if not remote.url.startswith(("http://", "https://")):
        raise DownloadError(f"cannot fetch {remote.url}: only http and https addresses are fetched")
    partial = target.with_name(f"{target.name}.partial")
    try:
        if not target.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            with _only_one(target.with_name(f"{target.name}.lock")):
                # Whoever held the lock before may have fetched it meanwhile.
                if not target.exists():
                    _fetch_patiently(remote, partial, progress or silent, attempts, timeout, pause)
                    _verify(remote, partial, target)
                    partial.replace(target)
                    _validator_path(partial).unlink(missing_ok=True)
        _verify(remote, target, target)
    except (OSError, http.client.HTTPException) as error:
        raise _failure(remote, target, _reason(error)) from error
    except DownloadError:
        raise
    except PhotofinishError as error:
        raise _failure(remote, target, str(error)) from error
    return target


def file_md5(path: Path) -> str:
    """Return the MD5 of a file's content in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def _verify(remote: RemoteFile, path: Path, target: Path) -> None:
    if remote.md5 is None:
        return
    found = file_md5(path)
    if found != remote.md5:
        # A damaged partial file must not be continued; a damaged target may be a person's own, so it stays.
        if path != target:
            path.unlink()
            _validator_path(path).unlink(missing_ok=True)
            raise _failure(remote, target, f"its MD5 is {found}, so it is damaged or another file")
        raise DownloadError(
            f"{path} is not {remote.url}: its MD5 is {found} and not {remote.md5}; delete it to fetch it anew"
        )


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
    if total is not None:
        require_free_space(partial.parent, total - start, f"fetching {remote.name}")
    _write_validator(partial, response.headers)
    with partial.open("r+b" if start else "wb") as file:
        file.seek(start)
        done = _copy(response, file, start, total, f"fetching {remote.name}", progress)
        file.truncate()
        os.fsync(file.fileno())
    if total is not None and done != total:
        raise _InterruptedTransferError(f"the connection closed after {done} of {total} bytes")


def _copy(response: _Response, file: BinaryIO, done: int, total: int | None, stage: str, progress: Progress) -> int:
    progress(stage, done, total)
    while chunk := response.read(_CHUNK):
        file.write(chunk)
        done += len(chunk)
        progress(stage, done, total)
    return done


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


def _failure(remote: RemoteFile, target: Path, reason: str) -> DownloadError:
    return DownloadError(
        f"cannot fetch {remote.url} ({reason}); fetch it by hand and put it at {target}"
        + (f" (MD5 {remote.md5})" if remote.md5 else "")
    )


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
