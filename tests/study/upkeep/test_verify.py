"""A sound study passes, and whatever is wrong with one is named with its file."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from photofinish.catalog.manifest import MANIFEST, TENSORS
from photofinish.errors import StudyError
from photofinish.runs import Predictions, StudyFolder
from photofinish.study.upkeep.verify import check_folder

MODEL = "efficientnetv2-b0"


def problems(folder: Path) -> dict[str, str]:
    return {str(Path(one.file).relative_to(folder)): one.problem for one in check_folder(folder)}


def change(path: Path, **values: Any) -> None:
    content = json.loads(path.read_text())
    for dotted, value in values.items():
        *groups, name = dotted.split("__")
        inner = content
        for group in groups:
            inner = inner[group]
        inner[name] = value
    path.write_text(json.dumps(content))


def test_a_sound_run_passes_and_a_failed_cell_is_named(study: StudyFolder) -> None:
    assert problems(study.cell(MODEL, 0).path) == {}
    assert problems(study.path) == {"cells/resnet50/seed-1/run.json": "the run did not finish: the loss is nan"}


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def poison(path: Path, **arrays: Any) -> None:
    old = Predictions.read(path)
    values = {"ids": old.ids, "labels": old.labels, "logits": old.logits, **arrays}
    Predictions(**values).write(path)


DAMAGE: list[tuple[str, str, Callable[[Path], object]]] = [
    ("run.json", "not a run record", lambda path: path.write_text("{}")),
    ("run.json", "cannot be read as JSON", lambda path: path.write_bytes(b"[" * 100_000)),
    ("run.json", "epochs was to be 3 and is 4", lambda path: change(path, settings__training__epochs=4)),
    ("run.json", "its pictures are abc, and the plan's 3f1c", lambda path: change(path, data__fingerprint="abc")),
    ("metrics.jsonl", "line 3: not an epoch", lambda path: path.write_text(path.read_text()[:-20])),
    (
        "metrics.jsonl",
        "a line for each of 3 epochs, 1 to 3, and has 2",
        lambda path: path.write_text("\n".join(path.read_text().splitlines()[:2])),
    ),
    ("predictions/test.npz", "not a readable predictions file", lambda path: path.write_bytes(b"")),
    ("predictions/test.npz", "not a readable predictions file", lambda path: path.unlink()),
    ("predictions/test.npz", "not a readable predictions file", flip),
    (
        "predictions/validation.npz",
        "not finite",
        lambda path: poison(path, logits=np.full((60, 10), np.nan, np.float32)),
    ),
    ("predictions/validation.npz", "of no class", lambda path: poison(path, labels=np.full(60, 10, np.int32))),
    ("predictions/validation.npz", "more than once", lambda path: poison(path, ids=np.full(60, "a"))),
    (
        "predictions/validation.npz",
        "59 x 10 logits instead of 60 x 10",
        lambda path: poison(
            path, ids=np.arange(59).astype(str), labels=np.zeros(59, np.int32), logits=np.zeros((59, 10), np.float32)
        ),
    ),
]


@pytest.mark.parametrize(("name", "says", "damage"), DAMAGE, ids=[says for _, says, _ in DAMAGE])
def test_what_is_wrong_with_a_cell_is_named_with_its_file(
    study: StudyFolder, name: str, says: str, damage: Callable[[Path], object]
) -> None:
    damage(study.cell(MODEL, 1).path / name)
    found = problems(study.path)
    assert says in found[f"cells/{MODEL}/seed-1/{name}"]


@pytest.mark.parametrize("name", [TENSORS, MANIFEST])
def test_a_changed_or_lost_network_is_noticed(study: StudyFolder, name: str) -> None:
    checkpoints = study.cell(MODEL, 0).checkpoints
    if name == TENSORS:
        flip(checkpoints / name)
    else:
        change(checkpoints / name, image_size=64)
    assert f"cells/{MODEL}/seed-0/checkpoints" in problems(study.path)
    (checkpoints / name).unlink()
    assert f"cells/{MODEL}/seed-0/checkpoints" in problems(study.path)


def test_figures_that_are_not_those_of_the_predictions_are_noticed(study: StudyFolder) -> None:
    results = json.loads(study.results.read_text())
    results["models"][0]["test_accuracy"]["per_seed"][0] += 0.01
    study.results.write_text(json.dumps(results))
    assert "photofinish report" in problems(study.path)["results.json"]
    study.results.unlink()
    assert "it is missing" in problems(study.path)["results.json"]


def test_a_cell_that_was_never_run_is_named(study: StudyFolder) -> None:
    study.cell(MODEL, 1).record.unlink()
    assert "it has no run.json" in problems(study.path)[f"cells/{MODEL}/seed-1"]


def test_what_is_neither_a_run_nor_a_study_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StudyError, match="neither a run nor a study"):
        check_folder(tmp_path)


def test_a_study_that_was_moved_is_as_sound_as_before(study: StudyFolder, tmp_path: Path) -> None:
    moved = tmp_path / "elsewhere" / "study"
    moved.parent.mkdir()
    study.path.rename(moved)
    assert list(problems(moved)) == ["cells/resnet50/seed-1/run.json"]
