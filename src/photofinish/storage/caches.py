"""Where downloads, prepared pictures and compiled programs are kept between runs."""

from __future__ import annotations

import os
from pathlib import Path


def cache_folder(*parts: str) -> Path:
    """Return a folder below the user's cache, created when absent.

    `PHOTOFINISH_CACHE` names the cache; otherwise it is `photofinish` under `XDG_CACHE_HOME` or `~/.cache`.

    Args:
        parts: Folder names below the cache.
    """
    explicit = os.environ.get("PHOTOFINISH_CACHE")
    base = Path(explicit) if explicit else Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache") / "photofinish"
    folder = base.expanduser().joinpath(*parts)
    folder.mkdir(parents=True, exist_ok=True)
    return folder
