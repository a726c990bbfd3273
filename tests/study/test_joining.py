"""Studies that belong together become one; others are refused with everything that keeps them apart."""

from __future__ import annotations

import shutil
from pathlib import Path
from statistics import fmean
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import photofinish as pf
from photofinish.errors import SettingsError, StudyError
from photofinish.report.material import Material
from photofinish.report.page import render_page
from photofinish.report.papers.plots import accuracy_by_time
from photofinish.report.times import model_bars
from photofinish.runs import AuditRecord, Pictures, Predictions, RunRecord, StudyFolder
from photofinish.storage import read_json, write_json
from photofinish.study.cells import read_plan
from photofinish.study.collect import collect
from photofinish.study.race import join_plan

B0, RESNET, MOBILENET = "efficientnetv2-b0", "resnet50", "mobilenetv2"


@pytest.fixture(scope="module")
def originals(studies: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Monday's study of two models, and Tuesday's of three with another processor and other seeds."""
    path = tmp_path_factory.mktemp("originals")
    studies.write_study(
        path / "monday", studies.Design(entrants=studies.RACE[:2], seeds=(0, 1), test=150, epochs=3, picture_size=16)
    )
    studies.write_study(path / "tuesday", studies.Design(seeds=(1, 2), test=150, epochs=3, picture_size=16))
    for record in (path / "tuesday").glob("cells/*/*/run.json"):
        change(record, hardware={**studies.HARDWARE, "processor": "EPYC"})
    return path


@pytest.fixture
def days(originals: Path, tmp_path: Path) -> tuple[Path, Path]:
    for day in ("monday", "tuesday"):
        shutil.copytree(originals / day, tmp_path / day)
    return tmp_path / "monday", tmp_path / "tuesday"


def change(record: Path, **changes: Any) -> None:
    RunRecord.read(record).but(**changes).write(record)


def change_settings(study: Path, group: str, **changes: Any) -> None:
    """Change a setting of a whole study, in its plan and in its cells."""
    plan = read_json(study / "study.json")
    plan["training" if group == "training" else "data_settings"].update(changes)
    write_json(study / "study.json", plan)
    for record in study.glob("cells/*/*/run.json"):
        settings = RunRecord.read(record).settings
        change(record, settings=settings.but(**{group: getattr(settings, group).but(**changes)}))


def test_a_joined_study_has_every_cell_once_and_says_whence(days: tuple[Path, Path], tmp_path: Path) -> None:
    joined = pf.join(days, tmp_path / "both", command="photofinish report monday tuesday --output both")
    assert {model.name: model.seeds for model in joined.results.models} == {
        B0: (0, 1, 2),
        RESNET: (0, 1, 2),
        MOBILENET: (1, 2),
    }
    plan = read_plan(StudyFolder(joined.folder))
    monday, tuesday = plan.joined
    assert set(monday.cells) == {(B0, 0), (B0, 1), (RESNET, 0), (RESNET, 1)}
    assert set(tuesday.left_out) == {(B0, 1), (RESNET, 1)}
    assert plan.commands == ("photofinish report monday tuesday --output both",)
    assert f"Seed 1 of {B0}: in both monday and tuesday, with the same settings. What monday has was taken." in (
        joined.results.warnings
    )
    for record in joined.folder.glob("cells/*/*/run.json"):
        model, seed = record.parts[-3], int(record.parts[-2].removeprefix("seed-"))
        source = days[0] if (model, seed) in monday.cells else days[1]
        assert record.read_bytes() == (source / "cells" / model / f"seed-{seed}" / "run.json").read_bytes()


def test_seeds_of_a_model_from_several_studies_may_have_been_added_with_results_in_view(
    days: tuple[Path, Path], tmp_path: Path
) -> None:
    joined = pf.join(days, tmp_path / "both")
    assert "Seeds were added after results had been seen" in " ".join(joined.results.warnings)
    for seed in (1, 2):
        for model in (B0, RESNET):
            shutil.rmtree(days[1] / "cells" / model / f"seed-{seed}")
    apart = pf.join(days, tmp_path / "apart")
    assert "Seeds were added" not in " ".join(apart.results.warnings)


def test_pictures_that_the_studies_kept_are_kept(days: tuple[Path, Path], tmp_path: Path) -> None:
    own = [Pictures.read(StudyFolder(day).pictures) for day in days]
    joined = Pictures.read(StudyFolder(pf.join(days, tmp_path / "both").folder).pictures)
    assert set(joined.ids.tolist()) == {name for one in own for name in one.ids.tolist()}
    of_both = {name: picture for one in own for name, picture in zip(one.ids.tolist(), one.images, strict=True)}
    for name, picture in zip(joined.ids.tolist(), joined.images, strict=True):
        assert np.array_equal(picture, of_both[name])
    # What cannot be read is done without: no figure depends on it.
    StudyFolder(days[0]).pictures.write_bytes(b"no pictures")
    fewer = Pictures.read(StudyFolder(pf.join(days, tmp_path / "fewer").folder).pictures)
    assert set(fewer.ids.tolist()) == set(own[1].ids.tolist())
    StudyFolder(days[1]).pictures.unlink()
    assert not StudyFolder(pf.join(days, tmp_path / "none").folder).pictures.exists()


def test_the_audit_is_kept_and_all_predictions_judge_the_labels(
    days: tuple[Path, Path], tmp_path: Path, studies: ModuleType
) -> None:
    leaked = str(Predictions.read(next(days[1].glob("cells/*/*/predictions/test.npz"))).ids[3])
    # Only Tuesday's study has one: Monday's version did not audit.
    studies.audit_of(leaked).write(StudyFolder(days[1]).audit)
    joined = pf.join(days, tmp_path / "both")
    audit = AuditRecord.read(StudyFolder(joined.folder).audit)
    assert audit.duplicates == studies.audit_of(leaked).duplicates
    assert audit.labels is not None
    assert "of 3 models" in audit.labels.judge
    text = (joined.folder / "report.md").read_text(encoding="utf-8")
    assert "## Pictures" in text


def test_its_figures_are_those_of_its_own_files_and_it_may_be_moved(days: tuple[Path, Path], tmp_path: Path) -> None:
    joined = pf.join(days, tmp_path / "both")
    for day in days:
        shutil.rmtree(day)
    moved = StudyFolder((tmp_path / "both").rename(tmp_path / "elsewhere"))
    assert collect(moved) == joined.results
    page = render_page(Material.read(moved))
    addresses = {part.split('"')[0] for part in page.split('href="')[1:]}
    missing = {one for one in addresses if not one.startswith(("#", "data:")) and not (moved.path / one).exists()}
    assert missing == set()
    assert (moved.path / "studies" / "monday" / "study.json").is_file()


def test_times_of_different_machines_are_not_compared(days: tuple[Path, Path], tmp_path: Path) -> None:
    # Only Tuesday's machine ran all three models: times are its, and the seeds of Monday are left out of them.
    both = pf.join(days, tmp_path / "both").results
    assert {model.machine.split(",")[0] for model in both.models} == {"EPYC"}
    assert {model.name: model.timed_seeds for model in both.models} == {B0: (2,), RESNET: (2,), MOBILENET: (1, 2)}
    material = Material.read(StudyFolder(tmp_path / "both"))
    means = [fmean(one.seconds.total for one in entrant.timed) for entrant in material.entrants]
    assert [sum(part.seconds for part in bar.parts) for bar in model_bars(material)] == pytest.approx(means)
    assert len(material.entrants[0].timed) < len(material.entrants[0].cells)
    assert f"Seeds 0, 1 of {B0} ran on another machine than its others" in " ".join(both.warnings)
    # Without a machine that ran both models there is nothing to compare.
    for seed in (1, 2):
        for model in (B0, RESNET):
            shutil.rmtree(days[1] / "cells" / model / f"seed-{seed}")
    apart = pf.join(days, tmp_path / "apart")
    assert len({model.machine for model in apart.results.models}) == 2
    text = (apart.folder / "report.md").read_text(encoding="utf-8")
    # The two leaders both ran on Monday's.
    assert f"Beside {RESNET}, {B0} took" in text
    assert "There is no reading at equal time" in text
    assert "Times of different machines are never compared" in text
    assert "Not all models were timed on the same machine" in " ".join(apart.results.warnings)
    assert "not timed on the same machine: compare" in render_page(Material.read(StudyFolder(apart.folder)))
    assert accuracy_by_time(Material.read(StudyFolder(apart.folder))) is None


def test_what_may_differ_is_listed(days: tuple[Path, Path], tmp_path: Path) -> None:
    text = (pf.join(days, tmp_path / "both").folder / "report.md").read_text(encoding="utf-8")
    assert f"Hardware, processor: Xeon 6975P for {B0} (seed 0, 1), {RESNET} (seed 0, 1); EPYC for" in text


@pytest.mark.parametrize(
    ("group", "changes", "says"),
    [
        ("training", {"epochs": 9}, "Epochs is 3 in efficientnetv2-b0, seed 0 of monday and 9 in"),
        ("training", {"flip": False, "shift": 0.0}, "Flip is yes"),
        ("training", {"precision": "bfloat16"}, "Precision is float32"),
        ("training", {"batch_normalization_momentum": 0.99}, "Batch normalization momentum is 0.9"),
        ("training", {"weights": "imagenet"}, "Weights before training are random"),
        ("data", {"image_size": 64}, "Image size is 32"),
    ],
)
def test_studies_that_differ_in_what_may_not_differ_are_refused_with_names_and_values(
    days: tuple[Path, Path], tmp_path: Path, group: str, changes: dict[str, Any], says: str
) -> None:
    change_settings(days[1], group, **changes)
    with pytest.raises(StudyError) as caught:
        pf.join(days, tmp_path / "both")
    assert f"{days[0]} and {days[1]} cannot be joined" in str(caught.value)
    assert says in str(caught.value)
    assert not (tmp_path / "both").exists()


def test_other_pictures_are_refused_with_what_was_asked_for_otherwise(days: tuple[Path, Path], tmp_path: Path) -> None:
    plan = read_json(days[1] / "study.json")
    plan["data"]["fingerprint"] = "9" * 64
    write_json(days[1] / "study.json", plan)
    change_settings(days[1], "data", split_seed=4)
    for record in days[1].glob("cells/*/*/run.json"):
        data = RunRecord.read(record).data
        assert data is not None
        change(record, data=data.but(fingerprint="9" * 64))
    with pytest.raises(
        StudyError, match=r"Data fingerprint is 3f1c3f1c3f1c .* and 999999999999 .*split_seed is 0 .* 4"
    ):
        pf.join(days, tmp_path / "both")


def test_predictions_of_other_pictures_are_refused_though_the_fingerprint_agrees(
    studies: ModuleType, days: tuple[Path, Path], tmp_path: Path
) -> None:
    shutil.rmtree(days[1])
    studies.write_study(days[1], studies.Design(seeds=(3,), test=149, epochs=3))
    plan = read_json(days[1] / "study.json")
    plan["data"].update(train=1200, validation=150, test=150)
    write_json(days[1] / "study.json", plan)
    steps = RunRecord.read(days[0] / "cells" / B0 / "seed-0" / "run.json").steps
    for record in days[1].glob("cells/*/*/run.json"):
        data = RunRecord.read(record).data
        assert data is not None
        change(record, data=data.but(train=1200, validation=150, test=150), steps=steps)
    with pytest.raises(StudyError, match="its test predictions are not of the pictures of"):
        pf.join(days, tmp_path / "both")


def test_the_same_cell_with_other_settings_is_refused(days: tuple[Path, Path], tmp_path: Path) -> None:
    for record in days[1].glob("cells/*/*/run.json"):
        change(record, settings=RunRecord.read(record).settings.but(backend="tensorflow"))
    with pytest.raises(
        StudyError, match=r"seed 1, is in .*monday and in .*tuesday.*backend is jax in monday and tensor"
    ):
        pf.join(days, tmp_path / "both")


def test_a_cell_that_one_study_did_not_finish_is_taken_from_the_other(days: tuple[Path, Path], tmp_path: Path) -> None:
    change(days[0] / "cells" / B0 / "seed-1" / "run.json", status="failed", error="E: no memory")
    joined = pf.join(days, tmp_path / "both")
    assert joined.results.models[0].seeds == (0, 1, 2)
    assert not [warning for warning in joined.results.warnings if "no memory" in warning]


def test_weights_that_studies_gave_their_models_by_name_are_kept_by_name(
    days: tuple[Path, Path], tmp_path: Path
) -> None:
    change_settings(days[0], "training", weights=f"{B0}=imagenet,{RESNET}=none")
    change_settings(days[1], "training", weights=f"{B0}=imagenet,{RESNET}=none,{MOBILENET}=imagenet")
    plan = read_plan(StudyFolder(pf.join(days, tmp_path / "both").folder))
    assert plan.training.weights == f"{B0}=imagenet,{RESNET}=none,{MOBILENET}=imagenet"


def test_a_joined_folder_is_replaced_whole_and_nothing_else_is(days: tuple[Path, Path], tmp_path: Path) -> None:
    target = tmp_path / "both"
    pf.join(days, target)
    pf.join(days[:1], target)
    assert not (target / "cells" / MOBILENET).exists()
    for folder, says in ((days[1], "is one of the studies themselves"), (tmp_path, "not empty and not a joined study")):
        with pytest.raises(StudyError, match=says):
            pf.join(days, folder)
    precious = tmp_path / "precious"
    shutil.copytree(days[0], precious)
    with pytest.raises(StudyError, match="not empty and not a joined study"):
        pf.join(days[1:], precious)


def test_what_is_no_study_or_has_nothing_in_it_is_refused(days: tuple[Path, Path], tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="named twice"):
        pf.join([days[0], days[0] / "." / "cells" / ".."], tmp_path / "both")
    with pytest.raises(StudyError, match="is not a study folder"):
        pf.join([days[0], tmp_path / "nothing"], tmp_path / "both")
    joined = pf.join(days, tmp_path / "both").folder
    with pytest.raises(StudyError, match="is a joined study itself"):
        pf.join([joined], tmp_path / "again")
    shutil.rmtree(days[1] / "cells")
    with pytest.raises(StudyError, match="has no finished cell"):
        pf.join(days, tmp_path / "third")


def test_nothing_is_run_in_a_joined_study(days: tuple[Path, Path], tmp_path: Path) -> None:
    joined = StudyFolder(pf.join(days, tmp_path / "both").folder)
    with pytest.raises(StudyError, match="nothing is run in it"):
        join_plan(joined, read_plan(StudyFolder(days[0])))


def test_a_link_in_a_study_is_not_followed(days: tuple[Path, Path], tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("not for the report")
    log = days[0] / "cells" / B0 / "seed-0" / "log.txt"
    log.symlink_to(secret)
    with pytest.raises(StudyError, match="is a link"):
        pf.join(days, tmp_path / "both")


def test_two_studies_of_one_name_are_told_apart(days: tuple[Path, Path], tmp_path: Path) -> None:
    other = tmp_path / "second" / "monday"
    shutil.copytree(days[1], other)
    plan = read_plan(StudyFolder(pf.join([days[0], other], tmp_path / "both").folder))
    assert [study.name for study in plan.joined] == ["monday", "monday-2"]
