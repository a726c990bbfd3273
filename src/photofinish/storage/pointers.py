"""Files whose checksum their publisher gives in a Git LFS pointer, as the Hugging Face hub does.

The pointer is a text of three lines (https://github.com/git-lfs/git-lfs/blob/main/docs/spec.md). It is fetched first,
and kept beside the file, so that the file is verified again on every use and no network is needed for that.
"""

from __future__ import annotations

import re
import tempfile
from dataclasses import dataclass
from pathlib import Path

from photofinish.errors import DownloadError
from photofinish.storage.atomic import write_text
from photofinish.storage.download import RemoteFile, download
from photofinish.storage.progress import Progress

LARGEST_POINTER = 1024  # bytes; the specification allows no more


@dataclass(frozen=True)
class Pointer:
    """What a Git LFS pointer says of its file.

    Attributes:
        sha256: SHA-256 of the content in hexadecimal.
        size: Bytes.
    """

    sha256: str
    size: int


def parse_pointer(text: str) -> Pointer | None:
    r"""Read a pointer, or return None for a text that is none.

    Examples:
        >>> oid = "5a" * 32
        >>> parse_pointer(f"version https://git-lfs.github.com/spec/v1\noid sha256:{oid}\nsize 12\n").size
        12
        >>> parse_pointer("<html>not found</html>") is None
        True
    """
    found = re.fullmatch(
        r"version https://git-lfs\.github\.com/spec/v1\n(?:.*\n)*?oid sha256:([0-9a-f]{64})\nsize (\d{1,18})\n?", text
    )
    return Pointer(found.group(1), int(found.group(2))) if found else None


def download_by_pointer(
    url: str, pointer_url: str, target: Path, *, progress: Progress | None = None, pause: float = 1.0
) -> Path:
    """Fetch a file unless it is there already, and check it against its pointer.

    Args:
        url: Where the file is.
        pointer_url: Where its pointer is.
        target: Where to put the file; the pointer is kept at `<target>.pointer`.
        progress: Told bytes done and in all.
        pause: Seconds before a failed request is repeated; doubled each time.

    Returns:
        `target`.

    Raises:
        DownloadError: The file or its pointer could not be fetched, or they do not belong together.
    """
    kept = target.with_name(f"{target.name}.pointer")
    by_hand = f"fetch {url} and {pointer_url} by hand and put them at {target} and {kept}"
    # The publisher may have replaced the file since a pointer was kept; it counts only together with its file.
    if target.exists() and kept.exists():
        text, source = kept.read_text(encoding="utf-8", errors="replace"), str(kept)
    else:
        text, source = _fetched_text(pointer_url, by_hand, pause), pointer_url
    pointer = parse_pointer(text)
    if pointer is None:
        raise DownloadError(
            f"{source} is no Git LFS pointer, so {url} cannot be checked and is not used; "
            f"delete {kept} if it is there, or {by_hand}"
        )
    remote = RemoteFile(url, sha256=pointer.sha256, largest=pointer.size)
    download(remote, target, progress=progress, pause=pause, by_hand=by_hand)
    if source == pointer_url:
        write_text(kept, text)
    return target


def _fetched_text(url: str, by_hand: str, pause: float) -> str:
    with tempfile.TemporaryDirectory(prefix="photofinish-") as folder:
        remote = RemoteFile(url, largest=LARGEST_POINTER)
        path = download(remote, Path(folder) / "pointer", pause=pause, by_hand=by_hand)
        return path.read_text(encoding="utf-8", errors="replace")
