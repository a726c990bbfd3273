"""JSON that says when it was changed: any byte that is not the one written is found when it is read."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from photofinish.errors import PhotofinishError
from photofinish.storage.atomic import write_text


class DamagedError(PhotofinishError):
    """A file that is not as it was written."""


def write_sealed(path: Path, content: Any) -> None:
    """Write JSON with its own SHA-256, wholly or not at all.

    Args:
        path: The file.
        content: What JSON can express; NaN and infinity are refused.
    """
    write_text(path, _sealed(content))


def read_sealed(path: Path) -> Any:
    """Read what `write_sealed` wrote.

    Raises:
        DamagedError: The file is missing, or a byte of it was changed, added or lost.
    """
    try:
        text = path.read_bytes().decode()
        content = json.loads(text)["content"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise DamagedError(f"{path} cannot be read ({' '.join(str(error).split()) or type(error).__name__})") from error
    # Written anew it must come out the same: a changed blank leaves the content, and with it the digest, as it was.
    if _sealed(content) != text:
        raise DamagedError(f"{path} was changed after it was written")
    return content


def _sealed(content: Any) -> str:
    digest = hashlib.sha256(json.dumps(content, allow_nan=False).encode()).hexdigest()
    return json.dumps({"sha256": digest, "content": content}, indent=1, allow_nan=False) + "\n"
