"""One writer a folder; the system takes a lock back when its holder is killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from photofinish.errors import StudyError
from photofinish.runs import RunFolder
from photofinish.study.locks import LOCK, WORKER_LOCK, is_in_use, only_one, only_worker

HOLDER = """
import sys
from pathlib import Path
from photofinish.runs import RunFolder
from photofinish.study.locks import only_one, only_worker
folder = Path(sys.argv[2])
lock = only_one(folder) if sys.argv[1] == "one" else only_worker(RunFolder(folder))
print("held", flush=True)
sys.stdin.read()
"""


@pytest.fixture(params=["one", "worker"])
def holder(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Another process that holds one of both locks of a folder."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, request.param, tmp_path], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    with process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"held\n"
        yield process
        process.kill()


def acquire(folder: Path) -> None:
    with only_one(folder), only_worker(RunFolder(folder), seconds=0):
        pass


def test_a_second_writer_is_refused_and_one_that_was_killed_holds_nothing(
    holder: subprocess.Popen[bytes], tmp_path: Path
) -> None:
    assert is_in_use(tmp_path)
    with pytest.raises(StudyError, match="is in use by"):
        acquire(tmp_path)
    os.kill(holder.pid, signal.SIGKILL)
    holder.wait()
    assert (tmp_path / LOCK).exists() or (tmp_path / WORKER_LOCK).exists()
    assert not is_in_use(tmp_path)
    acquire(tmp_path)


def test_a_worker_waits_for_one_that_outlived_its_starter(tmp_path: Path) -> None:
    program = HOLDER.replace("sys.stdin.read()", "import time; time.sleep(0.4)")
    with subprocess.Popen([sys.executable, "-c", program, "worker", tmp_path], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        with only_worker(RunFolder(tmp_path), seconds=30):
            assert process.wait(timeout=10) == 0


def test_a_file_without_a_holder_is_no_lock(tmp_path: Path) -> None:
    (tmp_path / LOCK).touch()
    assert not is_in_use(tmp_path)
    assert not is_in_use(tmp_path / "absent")
