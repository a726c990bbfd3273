"""A sealed file is read as it was written, or not at all."""

from __future__ import annotations

from pathlib import Path

import pytest

from photofinish.storage.sealed import DamagedError, read_sealed, write_sealed

CONTENT = {"steps": 12, "loss": 0.1 + 0.2, "names": ["é", "b"], "none": None}


def test_what_was_sealed_is_read_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "note.json"
    write_sealed(path, CONTENT)
    assert read_sealed(path) == CONTENT


def test_every_changed_byte_and_every_lost_end_is_found(tmp_path: Path) -> None:
    path = tmp_path / "note.json"
    write_sealed(path, CONTENT)
    whole = path.read_bytes()
    for place in range(len(whole)):
        for mask in (0x01, 0x20, 0x80):
            path.write_bytes(whole[:place] + bytes([whole[place] ^ mask]) + whole[place + 1 :])
            with pytest.raises(DamagedError):
                read_sealed(path)
        path.write_bytes(whole[:place])
        with pytest.raises(DamagedError):
            read_sealed(path)
    path.write_bytes(whole + b" ")
    with pytest.raises(DamagedError, match="was changed after it was written"):
        read_sealed(path)
