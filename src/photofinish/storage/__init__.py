"""Files: written so that nothing is lost, fetched so that nothing is trusted."""

from photofinish.storage.atomic import (
    read_json,
    require_free_space,
    write_bytes,
    write_json,
    write_text,
    writing,
)
from photofinish.storage.caches import cache_folder

__all__ = [
    "cache_folder",
    "read_json",
    "require_free_space",
    "write_bytes",
    "write_json",
    "write_text",
    "writing",
]
