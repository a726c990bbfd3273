"""Old studies are analysed on machines without Keras and its backends."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from types import ModuleType

FORBID = """
import importlib.abc, sys

class Forbidden(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {"keras", "jax", "jaxlib", "tensorflow", "torch"}:
            raise ImportError(f"{name} must not be needed")

sys.meta_path.insert(0, Forbidden())
"""
ANALYSE = """
import sys
from pathlib import Path
from photofinish.report.page import write_report
from photofinish.runs import StudyFolder
from photofinish.study.assumptions import Given, assumptions, measured_in
from photofinish.study.cells import read_cells, read_plan
from photofinish.study.collect import collect
import photofinish as pf

folder = StudyFolder(Path(sys.argv[1]))
collect(folder).write(folder.results)
write_report(folder)
joined = pf.join([folder.path], sys.argv[2])
_, finished = read_cells(folder, read_plan(folder))
expected = assumptions(Given(), measured_in("study", finished, ()))
print(len(joined.results.pairs), expected.variances.least_difference(3, 10_000) < 0.2)
"""


def test_a_study_is_collected_reported_joined_and_learned_from_without_keras(
    studies: ModuleType, tmp_path: Path
) -> None:
    folder = studies.write_study(tmp_path / "study", studies.Design(seeds=(0, 1), test=100, epochs=2))
    command = [sys.executable, "-c", FORBID + ANALYSE, str(folder.path), str(tmp_path / "joined")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["3", "True"]
    assert folder.report_html.is_file()
    assert (tmp_path / "joined" / "report.md").is_file()


def test_the_ban_is_one() -> None:
    done = subprocess.run([sys.executable, "-c", FORBID + "import keras"], capture_output=True, text=True, check=False)
    assert "must not be needed" in done.stderr
