"""What can go goes; finished results, other people's files and folders in use never do."""

from __future__ import annotations

from pathlib import Path

from photofinish.runs import StudyFolder
from photofinish.study.locks import only_one
from photofinish.study.upkeep.prune import find_leftovers, remove
from photofinish.study.upkeep.verify import check_folder

MODEL = "efficientnetv2-b0"


def files(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if not path.is_dir()}


def litter(study: StudyFolder) -> None:
    """Leave what killed processes leave."""
    run = study.cell(MODEL, 0)
    (run.resume / "step-000000003").mkdir(parents=True)
    (run.resume / "step-000000003" / "state.safetensors").write_bytes(bytes(500))
    (run.path / ".run.json.abcd.partial").write_bytes(bytes(7))
    (study.path / ".results.json.efgh.partial").write_bytes(bytes(9))
    abandoned = study.cell(MODEL, 1)
    abandoned.record.unlink()
    abandoned.log.write_text("killed")
    (study.cell("resnet50", 1).path / "notes.txt").write_text("mine")
    (study.path / "keep.partial").write_text("mine")


def test_leftovers_are_listed_with_their_size_and_only_they_are_removed(study: StudyFolder) -> None:
    before = files(study.path)
    litter(study)
    found, in_use = find_leftovers(study.path)
    assert in_use == []
    sizes = {str(Path(one.path).relative_to(study.path)): one.bytes for one in found}
    assert sizes[f"cells/{MODEL}/seed-0/resume"] == 500
    assert sizes[f"cells/{MODEL}/seed-0/.run.json.abcd.partial"] == 7
    assert sizes[".results.json.efgh.partial"] == 9
    assert f"cells/{MODEL}/seed-1/log.txt" in sizes
    assert "cells/resnet50/seed-1/run.json" in sizes
    assert files(study.path) > before - {f"cells/{MODEL}/seed-1/run.json"}, "nothing has been deleted yet"
    assert remove(found) == sum(sizes.values())
    left = files(study.path)
    assert left == {
        *(name for name in before if not name.startswith((f"cells/{MODEL}/seed-1/", "cells/resnet50/seed-1/"))),
        "cells/resnet50/seed-1/notes.txt",
        "keep.partial",
    }
    assert not study.cell(MODEL, 1).path.exists(), "an empty folder goes with its files"
    assert find_leftovers(study.path)[0] == []
    assert check_folder(study.cell(MODEL, 0).path) == []


def test_a_run_that_can_go_on_from_a_checkpoint_stays(study: StudyFolder) -> None:
    litter(study)
    interrupted = study.cell(MODEL, 1)
    (interrupted.resume / "step-000000007").mkdir(parents=True)
    (interrupted.resume / "step-000000007" / "state.safetensors").write_bytes(bytes(5))
    assert not any(f"{MODEL}/seed-1" in one.path for one in find_leftovers(study.path)[0])


def test_a_damaged_run_is_left_for_its_owner_to_look_at(study: StudyFolder) -> None:
    study.cell(MODEL, 0).record.write_text("{}")
    assert not any(f"{MODEL}/seed-0" in one.path for one in find_leftovers(study.path)[0])


def test_a_study_in_use_is_left_alone(study: StudyFolder) -> None:
    litter(study)
    with only_one(study.path):
        found, in_use = find_leftovers(study.path.parent)
    assert found == []
    assert len(in_use) == 4


def test_a_link_is_removed_and_not_what_it_leads_to(study: StudyFolder, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "precious").write_text("mine")
    failed = study.cell("resnet50", 1)
    failed.checkpoints.symlink_to(outside)
    remove(find_leftovers(study.path)[0])
    assert (outside / "precious").exists()
    assert not failed.checkpoints.is_symlink()
