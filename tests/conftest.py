"""What tests of several packages share."""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

REPOSITORY = Path(__file__).resolve().parents[1]


def pytest_configure(config: pytest.Config) -> None:
    """Choose the backend before any test imports Keras; keep compiled programs, away from the user's own."""
    os.environ.setdefault("KERAS_BACKEND", "jax")
    cache = getattr(config, "cache", None)  # absent where pytest is told to keep none
    if cache is not None and "PHOTOFINISH_CACHE" not in os.environ:
        os.environ["PHOTOFINISH_CACHE"] = str(cache.mkdir("photofinish"))


@pytest.fixture(scope="session")
def shared_file() -> Callable[[str], Path]:
    """Find a file of the real data, or skip the test."""

    def find(name: str) -> Path:
        folder = Path(os.environ.get("PHOTOFINISH_SHARED") or REPOSITORY.parent / "shared" / "data")
        path = folder / name
        if not path.is_file():
            pytest.skip(f"{name} is not in {folder}; name its folder in PHOTOFINISH_SHARED")
        return path

    return find


def load_module(relative: str) -> ModuleType:
    """Load a module that tests share; in pytest's importlib mode it is on no search path."""
    path = Path(__file__).parent / relative
    name = f"photofinish_test_{path.stem}"
    if name not in sys.modules:
        specification = importlib.util.spec_from_file_location(name, path)
        assert specification is not None
        assert specification.loader is not None
        sys.modules[name] = importlib.util.module_from_spec(specification)
        specification.loader.exec_module(sys.modules[name])
    return sys.modules[name]


@pytest.fixture(scope="session")
def agreement() -> ModuleType:
    """Ours and Keras' own computation beside each other."""
    return load_module("models/agreement.py")


@pytest.fixture(scope="session")
def computations() -> ModuleType:
    """The computations that every backend is to do alike."""
    return load_module("models/computations.py")


@pytest.fixture(scope="session")
def timm_state() -> ModuleType:
    """Random weights under timm's names."""
    return load_module("catalog/timm_state.py")


@pytest.fixture(scope="session")
def studies() -> ModuleType:
    """The builder of synthetic studies."""
    return load_module("report/studies.py")


@pytest.fixture(scope="session")
def browser() -> ModuleType:
    """A real browser for reports."""
    return load_module("report/browser.py")


@pytest.fixture(scope="session")
def simulated() -> ModuleType:
    """Races whose truth is known, as the benchmarks simulate them."""
    return load_module("../benchmarks/simulated.py")


@pytest.fixture
def server() -> Iterator[Any]:
    """A server on the loopback interface that misbehaves on demand."""
    with load_module("loopback.py").serving() as state:
        yield state
