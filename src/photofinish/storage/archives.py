"""Taking files out of archives that nobody vouches for.

Python's own extraction filters have been bypassed, so every member is checked here, only plain files are
written, and every byte is counted as it comes out of the decompressor.
"""

from __future__ import annotations

import bz2
import errno
import gzip
import lzma
import re
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, BinaryIO, NoReturn, Protocol, Self, cast

from photofinish.errors import DataError
from photofinish.storage.atomic import require_free_space
from photofinish.storage.progress import Progress, silent

ARCHIVE_SUFFIXES = (
    ".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz",
)  # fmt: skip

_CHUNK = 1 << 20
_HEADER_ALLOWANCE = 4 << 20
_DAMAGED = (
    tarfile.TarError,
    zipfile.BadZipFile,
    lzma.LZMAError,
    zlib.error,
    EOFError,
    ValueError,
    OverflowError,
    NotImplementedError,
    struct.error,
)


@dataclass(frozen=True)
class Limits:
    """What an archive may hold before it is taken for a bomb.

    Attributes:
        total_bytes: Sum of the sizes of all files.
        members: Number of members.
        ratio: Unpacked over packed size, once `ratio_from_bytes` have been unpacked.
        ratio_from_bytes: Below this size any ratio is harmless.
    """

    total_bytes: int = 200 * 10**9
    members: int = 20_000_000
    ratio: int = 1000
    ratio_from_bytes: int = 100 * 10**6


class _Readable(Protocol):
    def read(self, size: int, /) -> bytes: ...


def is_archive(path: Path) -> bool:
    """Say whether `path` is named like an archive that `extract` understands.

    Examples:
        >>> is_archive(Path("leaves.tar.gz")), is_archive(Path("leaf.jpg"))
        (True, False)
    """
    return path.name.lower().endswith(ARCHIVE_SUFFIXES)


def archive_stem(path: Path) -> str:
    """Return the name of an archive without what says that it is one.

    Examples:
        >>> archive_stem(Path("downloads/leaves.tar.gz"))
        'leaves'
    """
    for suffix in sorted(ARCHIVE_SUFFIXES, key=len, reverse=True):
        if path.name.lower().endswith(suffix):
            return path.name[: -len(suffix)]
    return path.name


def extract(
    archive: Path,
    target: Path,
    keep: Callable[[str], bool],
    *,
    limits: Limits | None = None,
    progress: Progress | None = None,
) -> int:
    """Write the wanted files of an archive below an empty folder.

    Members are never trusted: one absolute name, `..`, link, device or FIFO anywhere, or a size beyond the
    limits, and the archive is refused. Nothing is ever written outside `target`; what was written inside
    before the refusal is for the caller to remove.

    Args:
        archive: A `.zip` or (compressed) `.tar` file.
        target: An existing, empty folder.
        keep: Given a member's path with forward slashes, says whether to write it.
        limits: What is taken for a bomb.
        progress: Told the number of files written.

    Returns:
        How many files were written.

    Raises:
        DataError: The archive is damaged, is a bomb, or holds something that must not be extracted.
        PhotofinishError: The disk has no room.
        OSError: A file could not be written.
    """
    require_free_space(target, archive.stat().st_size, f"extracting {archive.name}")
    writer = _Writer(archive, target, keep, limits or Limits(), progress or silent)
    try:
        if archive.name.lower().endswith(".zip"):
            _extract_zip(writer)
        else:
            _extract_tar(writer)
    except RecursionError as error:
        raise DataError(f"{archive} nests its headers beyond reason; it is damaged or hostile") from error
    except _DAMAGED as error:
        raise _damaged(archive, error) from error
    except OSError as error:
        # The system numbers its errors; the decompressors' "invalid data" has no number.
        if error.errno is not None:
            raise
        raise _damaged(archive, error) from error
    return writer.written


def _damaged(archive: Path, error: Exception) -> DataError:
    return DataError(f"{archive} is damaged or incomplete ({' '.join(str(error).split())}); fetch it again")


@dataclass
class _Writer:
    """Checks names and sizes and writes files, whatever the kind of archive."""

    archive: Path
    target: Path
    keep: Callable[[str], bool]
    limits: Limits
    progress: Progress
    written: int = 0
    members: int = 0
    unpacked: int = 0
    packed: int = field(init=False)
    folder: Path | None = None  # the last one made: asking for each file anew would take a third of the time

    def __post_init__(self) -> None:
        self.packed = max(1, self.archive.stat().st_size)

    def refuse(self, name: str, why: str) -> NoReturn:
        raise DataError(f"{self.archive} holds {name!r}, {why}; nothing of it is used: repack it without")

    def checked_name(self, name: str) -> str:
        """Return the member's path below the target, or refuse the archive."""
        self.members += 1
        if self.members > self.limits.members:
            self._bomb(f"more than {self.limits.members} members")
        parts = name.replace("\\", "/").split("/")
        if parts[0] == "" or re.match(r"[A-Za-z]:", parts[0]):
            self.refuse(name, "an absolute path")
        if ".." in parts:
            self.refuse(name, "a path that leads outside")
        if "\0" in name:
            self.refuse(name, "a path with a NUL")
        return "/".join(part for part in parts if part not in {"", "."})

    def count(self, unpacked: int) -> None:
        """Note that so many more bytes came out of the archive."""
        self.unpacked += unpacked
        if self.unpacked > self.limits.total_bytes:
            self._bomb(f"more than {self.limits.total_bytes / 1e9:g} GB")
        if self.unpacked > max(self.limits.ratio_from_bytes, self.limits.ratio * self.packed):
            self._bomb(f"more than {self.limits.ratio} times its own size")

    def write(self, name: str, source: _Readable) -> None:
        path = self.target / name
        try:
            if path.parent != self.folder:
                path.parent.mkdir(parents=True, exist_ok=True)
                self.folder = path.parent
            with path.open("xb") as file:
                while chunk := source.read(_CHUNK):
                    file.write(chunk)
        except (FileExistsError, NotADirectoryError):
            self.refuse(name, "more than once or both as file and as folder")
        self.written += 1
        if self.written % 256 == 0:
            self.progress(f"extracting {self.archive.name}", self.written, None)

    def _bomb(self, what: str) -> NoReturn:
        raise DataError(
            f"{self.archive} unpacks to {what}, which is the mark of a decompression bomb; "
            "if you trust it, extract it yourself and name the folder"
        )


@dataclass
class _Counted:
    """A stream that reports what is read from it, and can refuse to give more than a budget."""

    source: BinaryIO | _Readable
    writer: _Writer
    budget: int | None = None

    def read(self, size: int = -1) -> bytes:
        chunk = self.source.read(min(size, _CHUNK) if size >= 0 else _CHUNK)
        self.writer.count(len(chunk))
        if self.budget is not None:
            self.budget -= len(chunk)
            if self.budget < 0:
                raise DataError(f"{self.writer.archive} has an oversized header; it is damaged or hostile")
        return chunk


def _extract_zip(writer: _Writer) -> None:
    with zipfile.ZipFile(writer.archive) as archive:
        members = archive.infolist()
        for member in members:
            _check_zip_member(member, writer)
        wanted = [member for member in members if not member.is_dir()]
        require_free_space(writer.target, sum(m.file_size for m in wanted), f"extracting {writer.archive.name}")
        for member in wanted:
            name = "/".join(p for p in member.filename.replace("\\", "/").split("/") if p not in {"", "."})
            if writer.keep(name):
                try:
                    with _opened(archive, member) as source:
                        writer.write(name, _Counted(source, writer))
                except (NotImplementedError, RuntimeError) as error:
                    writer.refuse(member.filename, f"which cannot be read ({error})")


def _opened(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> IO[bytes]:
    try:
        return archive.open(member)
    except OSError as error:
        if error.errno == errno.EINVAL:  # it went where a damaged directory sent it
            raise zipfile.BadZipFile("its directory leads outside the file") from error
        raise


def _check_zip_member(member: zipfile.ZipInfo, writer: _Writer) -> None:
    writer.checked_name(member.filename)
    kind = stat.S_IFMT(member.external_attr >> 16)
    if kind not in {0, stat.S_IFREG, stat.S_IFDIR}:
        writer.refuse(member.filename, "a link or device")
    if member.flag_bits & 0x1:
        writer.refuse(member.filename, "which is encrypted")


class _StrictTarInfo(tarfile.TarInfo):
    """A header that cannot be read is no end of the archive: tarfile would leave all that follows out, silently."""

    @classmethod
    def fromtarfile(cls, archive: tarfile.TarFile) -> Self:
        """Read the next header.

        Raises:
            ReadError: It is damaged.
        """
        try:
            return super().fromtarfile(archive)
        except (tarfile.InvalidHeaderError, tarfile.TruncatedHeaderError) as error:  # type: ignore[attr-defined]  # absent from typeshed
            raise tarfile.ReadError(str(error)) from error


def _extract_tar(writer: _Writer) -> None:
    with writer.archive.open("rb") as packed, _decompressed(packed) as unpacked:
        # Reading a header may take no more than the rest of the member before it and an ordinary header.
        stream = _Counted(unpacked, writer, budget=_HEADER_ALLOWANCE)
        with tarfile.open(
            fileobj=cast("BinaryIO", stream), mode="r|", bufsize=1 << 16, tarinfo=_StrictTarInfo
        ) as archive:
            while member := archive.next():
                stream.budget = None
                _extract_tar_member(archive, member, writer)
                # tarfile may remember every member; a million of them would cost a gigabyte.
                archive.members.clear()  # type: ignore[attr-defined]  # documented, but absent from typeshed
                stream.budget = member.size + _HEADER_ALLOWANCE
        stream.budget = None
        # A compressed stream is checked against its checksum only when it has been read to its end.
        while stream.read(_CHUNK):
            pass


def _extract_tar_member(archive: tarfile.TarFile, member: tarfile.TarInfo, writer: _Writer) -> None:
    name = writer.checked_name(member.name)
    if not (member.isreg() or member.isdir()):
        writer.refuse(member.name, "a link or device")
    if member.issparse():
        writer.refuse(member.name, "a sparse file")
    if not member.isreg() or not name or not writer.keep(name):
        return
    source = archive.extractfile(member)
    if source is not None:
        writer.write(name, source)


def _decompressed(packed: BinaryIO) -> gzip.GzipFile | bz2.BZ2File | lzma.LZMAFile | BinaryIO:
    """Return the plain stream, told by its first bytes: names lie more often than they do."""
    magic = packed.read(6)
    packed.seek(0)
    if magic.startswith(b"\x1f\x8b"):
        return gzip.GzipFile(fileobj=packed)
    if magic.startswith(b"BZh"):
        return bz2.BZ2File(packed)
    if magic.startswith(b"\xfd7zXZ\0"):
        return lzma.LZMAFile(packed)
    return packed
