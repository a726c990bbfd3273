"""One synthetic study for all tests that only read it."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

from photofinish.report.material import Material
from photofinish.runs import StudyFolder


def _load_studies() -> ModuleType:
    """Import the builder from its path: in pytest's importlib mode test files are on no search path."""
    name = "photofinish_test_studies"
    if name not in sys.modules:
        specification = importlib.util.spec_from_file_location(name, Path(__file__).with_name("studies.py"))
        assert specification is not None
        assert specification.loader is not None
        sys.modules[name] = importlib.util.module_from_spec(specification)
        specification.loader.exec_module(sys.modules[name])
    return sys.modules[name]


@pytest.fixture(scope="session")
def studies() -> ModuleType:
    return _load_studies()


@pytest.fixture(scope="session")
def race(studies: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> StudyFolder:
    return studies.write_study(tmp_path_factory.mktemp("race"), studies.Design(test=400))


@pytest.fixture(scope="session")
def material(race: StudyFolder) -> Material:
    return Material.read(race)
