"""Large programs are compiled by another process, and by this one where that one fails."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from photofinish import backend
from photofinish.backend import compiling

# Prints what it computes, how often another was asked to compile it, and how often it was found compiled.
TRAINING = """
import json, sys
from photofinish import backend
backend.select("jax")
import jax, numpy as np
from photofinish.backend import choice, compiling, programs

if len(sys.argv) > 1:
    compiling.MODULE = sys.argv[1]

def step(values, arguments):
    for place in range(50):
        values = [jax.numpy.sin(value) @ value.T + place for value in values]
    return values

requested = []
request = compiling.CompilerProcess.request
compiling.CompilerProcess.request = lambda *given: requested.append(given[1]) or request(*given)
program = programs.Program(step, "a name for it", donated=(0,), large=0)
given = [np.ones((8, 8), "float32")], (np.float32(1),)
found = lambda: choice._events.count(choice.CACHE_HIT)
before = found()
values = program(*given)
print(json.dumps({
    "values": np.asarray(values[0]).tolist(), "requested": len(requested),
    "found": found() - before,
    "left": programs.aside._process is not None,
}))
"""


@pytest.fixture
def run(tmp_path: Path) -> Callable[..., Any]:
    """Run the program above in a process of its own."""

    def run(*arguments: str, **environment: str) -> Any:
        environment = {"PHOTOFINISH_CACHE": str(tmp_path), "PHOTOFINISH_COMPILATION_CACHE": "on", **environment}
        done = subprocess.run(
            [sys.executable, "-c", TRAINING, *arguments],
            env={**os.environ, "KERAS_BACKEND": "jax", **environment},
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        assert done.returncode == 0, done.stderr[-2000:]
        return json.loads(done.stdout.splitlines()[-1])

    return run


def test_another_process_compiles_it_once_and_that_does_not_count_as_found(
    run: Callable[..., Any], tmp_path: Path
) -> None:
    first = run()
    assert first["requested"] == 1
    assert not first["left"]
    assert len(list(tmp_path.glob("traced/*.compiled"))) == 1
    assert len(list(tmp_path.glob("compiled/jit_call*-cache"))) == 1, "what it compiled is what was looked for"
    second = run()
    assert second["requested"] == 0
    assert [first["found"], second["found"]] == [0, 1]
    assert second["values"] == first["values"]


@pytest.mark.parametrize("module", ["photofinish.nowhere", "this"])
def test_where_the_other_process_fails_this_one_compiles(run: Callable[..., Any], tmp_path: Path, module: str) -> None:
    values = run(module)["values"]
    assert not list(tmp_path.glob("traced/*.compiled"))
    assert len(list(tmp_path.glob("compiled/jit_call*-cache"))) == 1
    again = run()
    assert again["requested"] == 1, "nobody noted that it was compiled"
    assert again["values"] == values


def test_without_a_cache_nothing_is_handed_over(run: Callable[..., Any], tmp_path: Path) -> None:
    assert run(PHOTOFINISH_COMPILATION_CACHE="off")["requested"] == 0
    assert not (tmp_path / "traced").exists()


@pytest.fixture(autouse=True)
def _under_jax() -> None:
    if backend.active() != "jax":
        pytest.skip("the others keep no programs")


def started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> compiling.CompilerProcess:
    monkeypatch.setenv("PHOTOFINISH_CACHE", str(tmp_path))
    one = compiling.CompilerProcess()
    assert one.request("a program that nobody keeps", (), None)
    return one


def test_it_answers_for_what_it_cannot_read_and_ends_when_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one = started(tmp_path, monkeypatch)
    process = one._process
    assert process is not None
    one.wait("a program that nobody keeps")
    assert process.poll() is None
    one.stop()
    assert process.poll() is not None
    one.wait("another")


def test_who_waits_for_one_that_is_killed_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one = started(tmp_path, monkeypatch)
    assert one._process is not None
    one._process.kill()
    one.wait("a program that nobody keeps")
    assert one.request("another", (), None)
    one.wait("another")
    one.stop()


def test_it_ends_with_its_input(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one = started(tmp_path, monkeypatch)
    process = one._process
    assert process is not None
    assert process.stdin is not None
    process.stdin.close()
    deadline = time.monotonic() + 60
    while process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.05)
    assert process.poll() is not None
    one.stop()
