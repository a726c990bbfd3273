"""Traced programs are found again, are never wrong, and do not fill the disk."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from photofinish.storage.programs import read_program, write_program


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PHOTOFINISH_CACHE", str(tmp_path))
    return tmp_path / "traced"


def test_a_program_is_found_by_its_digest_and_by_no_other() -> None:
    write_program("aa", b"program")
    assert read_program("aa") == b"program"
    assert read_program("ab") is None


@pytest.mark.parametrize("damage", [lambda content: content[:-1], lambda content: content[:-1] + b"?", lambda _: b""])
def test_a_damaged_program_is_as_good_as_absent(folder: Path, damage: object) -> None:
    write_program("aa", b"program")
    (path,) = folder.iterdir()
    path.write_bytes(damage(path.read_bytes()))  # type: ignore[operator]  # a function, by the parameters above
    assert read_program("aa") is None


def test_the_program_not_used_for_longest_makes_room(folder: Path) -> None:
    for number, name in enumerate(("aa", "bb")):
        write_program(name, bytes(100))
        os.utime(folder / f"{name}.traced", (number, number))
    assert read_program("aa") is not None  # and is thereby the one used last
    write_program("cc", bytes(100), most=300)
    assert [name for name in ("aa", "bb", "cc") if read_program(name) is not None] == ["aa", "cc"]


def test_a_folder_that_cannot_be_written_to_costs_no_more_than_tracing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("PHOTOFINISH_CACHE", str(tmp_path / "file"))
    write_program("aa", b"program")
    assert read_program("aa") is None
