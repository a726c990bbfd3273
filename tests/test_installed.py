"""What the product declares to need is all that it needs: the tests' own libraries bring others along."""

from __future__ import annotations

import importlib.metadata
import json
import os
import subprocess
import sys
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

# Every module of ours but those that run when they are imported, and a program that is kept, read again and found.
PROGRAM = """
import importlib, json, pkgutil, sys

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in absent:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

absent = set(json.loads(sys.stdin.read()))
sys.meta_path.insert(0, Absent())
import photofinish
from photofinish import backend
backend.select("jax")
import keras
import numpy as np
for module in pkgutil.walk_packages(photofinish.__path__, "photofinish."):
    if not module.name.endswith("__main__"):
        importlib.import_module(module.name)
state = keras.Variable(np.zeros(2, "float32"))
for _ in range(2):
    keras.backend.clear_session()
    def step(added):
        state.assign_add(added)
        return state * 1
    print(backend.compiled(step, [state], kept_as="a program")(np.ones(2, "float32")).tolist())
"""


def required_by(name: str) -> set[str]:
    """Return the names of all distributions that one needs without extras, itself included."""
    found: set[str] = set()
    waiting = [Requirement(name)]
    while waiting:
        one = waiting.pop()
        environments = [{"extra": extra} for extra in one.extras or ("",)]
        found.add(canonicalize_name(one.name))
        for line in importlib.metadata.requires(one.name) or []:
            needed = Requirement(line)
            if canonicalize_name(needed.name) not in found and (
                needed.marker is None or any(map(needed.marker.evaluate, environments))
            ):
                waiting.append(needed)
    return found


def test_it_works_without_what_it_does_not_declare(tmp_path: Path) -> None:
    declared = required_by("photofinish")
    absent = [
        module
        for module, owners in importlib.metadata.packages_distributions().items()
        if not declared & {canonicalize_name(owner) for owner in owners}
    ]
    assert "pytest" in absent
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        input=json.dumps(absent),
        env={**os.environ, "KERAS_BACKEND": "jax", "PHOTOFINISH_CACHE": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.split("\n")[:2] == ["[1.0, 1.0]", "[2.0, 2.0]"]
    assert list((tmp_path / "traced").glob("*.traced"))
