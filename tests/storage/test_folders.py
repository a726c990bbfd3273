"""Folders that appear whole or not at all."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from photofinish.storage.folders import building


def names(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


def complete(folder: Path) -> bool:
    return (folder / "done").exists()


def test_a_folder_appears_only_when_it_is_finished(tmp_path: Path) -> None:
    with building(tmp_path / "target", complete) as temporary:
        (temporary / "done").write_text("1")
        assert not (tmp_path / "target").exists()
    assert names(tmp_path) == ["target"]


def test_a_failure_leaves_nothing_behind(tmp_path: Path) -> None:
    def fail() -> None:
        with building(tmp_path / "target", complete) as temporary:
            (temporary / "part").write_text("1")
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert names(tmp_path) == []


def test_the_first_of_two_builders_wins(tmp_path: Path) -> None:
    with building(tmp_path / "target", complete) as slow:
        with building(tmp_path / "target", complete) as fast:
            (fast / "done").write_text("fast")
        (slow / "done").write_text("slow")
    assert (tmp_path / "target" / "done").read_text() == "fast"
    assert names(tmp_path) == ["target"]


def test_an_incomplete_folder_in_the_way_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "target").mkdir()
    (tmp_path / "target" / "part").write_text("old")
    with building(tmp_path / "target", complete) as temporary:
        (temporary / "done").write_text("new")
    assert names(tmp_path / "target") == ["done"]
    assert names(tmp_path) == ["target"]


def test_what_a_killed_process_left_is_removed_after_a_day_and_not_before(tmp_path: Path) -> None:
    old, young = tmp_path / ".building-old", tmp_path / ".building-young"
    old.mkdir()
    young.mkdir()
    os.utime(old, (time.time() - 2 * 86400,) * 2)
    with building(tmp_path / "target", complete) as temporary:
        (temporary / "done").write_text("1")
    assert not old.exists()
    assert young.exists()
