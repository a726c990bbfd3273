"""`runs list`, `runs check` and `runs prune` at the terminal."""

from __future__ import annotations

import json
from pathlib import Path
from types import ModuleType

import pytest

from photofinish.cli import main
from photofinish.runs import StudyFolder


@pytest.fixture
def study(studies: ModuleType, tmp_path: Path) -> StudyFolder:
    failing = studies.Entrant("resnet50", 1.75, 10, 10, 0.1, ((0, "the loss is nan"),))
    design = studies.Design(entrants=(studies.RACE[0], failing), seeds=(0,), test=40, epochs=2)
    folder: StudyFolder = studies.write_study(tmp_path / "[red]study\x1b", design)
    return folder


def test_runs_are_listed_as_a_table_and_as_json(study: StudyFolder, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["runs", "list", str(study.path), "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert [(row["model"], row["status"]) for row in rows] == [
        ("efficientnetv2-b0", "finished"),
        ("resnet50", "failed"),
    ]
    assert main(["runs", "list", str(study.path)]) == 0
    printed = capsys.readouterr().out
    assert f"{100 * rows[0]['accuracy']:.2f}%" in printed
    assert "2 runs" in printed
    assert "\x1b" not in printed
    assert main(["runs", "list", str(study.cell("resnet50", 0).path)]) == 0
    assert "1 run, " in capsys.readouterr().out


def test_checking_names_what_is_wrong_and_fails(study: StudyFolder, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["runs", "check", str(study.path)]) == 1
    printed = capsys.readouterr()
    assert "run.json: the run did not finish: the loss is nan" in printed.out
    assert "things are wrong" in printed.err
    assert "\x1b" not in printed.out + printed.err
    assert main(["runs", "check", str(study.path), "--json"]) == 1
    assert len(json.loads(capsys.readouterr().out)) >= 2


def test_pruning_shows_first_and_deletes_when_told(study: StudyFolder, capsys: pytest.CaptureFixture[str]) -> None:
    failed = study.cell("resnet50", 0)
    assert main(["runs", "prune", str(study.path)]) == 0
    assert "nothing was deleted; --yes deletes this" in capsys.readouterr().out
    assert failed.record.exists()
    assert main(["runs", "prune", str(study.path), "--yes"]) == 0
    assert "deleted" in capsys.readouterr().out
    assert not failed.path.exists()
    assert study.cell("efficientnetv2-b0", 0).record.exists()
    assert main(["runs", "prune", str(study.path)]) == 0
    assert "nothing to delete" in capsys.readouterr().out
