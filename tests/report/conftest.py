"""One synthetic study for all tests that only read it."""

from __future__ import annotations

from types import ModuleType

import pytest

from photofinish.report.material import Material
from photofinish.runs import StudyFolder


@pytest.fixture(scope="session")
def race(studies: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> StudyFolder:
    return studies.write_study(tmp_path_factory.mktemp("race"), studies.Design(test=400))


@pytest.fixture(scope="session")
def material(race: StudyFolder) -> Material:
    return Material.read(race)
