"""`photofinish plan` and the joining of studies at the command line."""

from __future__ import annotations

import json
from pathlib import Path
from types import ModuleType

from .test_refusals import assert_one_line


def test_a_plan_is_printed_as_tables_and_as_json(photofinish, studies: ModuleType):
    studies.write_study(photofinish.folder / "earlier", studies.Design(test=300, epochs=2))
    race = ("efficientnetv2-b0", "resnet50", "--data", "digits", "--seeds", "4", "--no-measure", "--like", "earlier")
    printed = photofinish("plan", *race)
    assert printed.returncode == 0, printed.stderr
    lines = printed.stdout.splitlines()
    assert "Smallest true difference that is found in 80% of races, at 5% for 1 pair:" in lines
    assert [line.split()[0] for line in lines if line[:2].strip().isdigit()] == ["1", "2", "3", "4", "5", "10"]
    assert next(line for line in lines if "asked for" in line).startswith("4 ")
    text = " ".join(printed.stdout.split())
    assert "accuracy about" in text
    assert "(measured in earlier; --accuracy)" in text
    assert "not measured" in text
    assert max(map(len, lines)) <= 100
    found = json.loads(photofinish("plan", *race, "--json", "--accuracy", "0.8").stdout)
    assert found["assumptions"]["accuracy"] == {"value": 0.8, "source": "given"}
    assert [row["seeds"] for row in found["detectable"]] == [1, 2, 3, 4, 5, 10]
    assert found["seconds"] is None
    assert not (photofinish.folder / "studies").exists(), "a plan writes nothing"


def test_studies_are_joined_at_the_command_line(photofinish, studies: ModuleType):
    for name, seeds in (("monday", (0, 1)), ("tuesday", (2,))):
        design = studies.Design(seeds=seeds, test=100, epochs=2)
        studies.write_study(photofinish.folder / name, design)
    assert_one_line(photofinish("report", "monday", "tuesday"), "name it with --output FOLDER")
    joined = photofinish("report", "monday", "tuesday", "--output", "both")
    assert joined.returncode == 0, joined.stderr
    assert joined.stdout.strip() == f"report: {Path('both') / 'report.html'}"
    plan = json.loads((photofinish.folder / "both" / "study.json").read_text())
    assert plan["command"] == "photofinish report monday tuesday --output both"
