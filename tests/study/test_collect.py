from __future__ import annotations

import json
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from photofinish.errors import StudyError
from photofinish.evaluation.calibration import fit_temperature, with_temperature
from photofinish.evaluation.metrics import (
    accuracy,
    brier_score,
    expected_calibration_error,
    negative_log_likelihood,
)
from photofinish.runs import InterruptionRecord, Predictions, RunRecord, StudyFolder
from photofinish.study.cells import read_cells, read_plan
from photofinish.study.collect import collect
from photofinish.study.differences import not_equal
from photofinish.study.results import Results
from photofinish.study.warn import FEW_TEST_PICTURES


@pytest.fixture
def folder(studies: ModuleType, tmp_path: Path) -> StudyFolder:
    return studies.write_study(tmp_path, studies.Design(seeds=(0, 1, 2), test=150, epochs=2))


def change(folder: StudyFolder, model: str, seed: int, **changes: object) -> None:
    path = folder.cell(model, seed).record
    RunRecord.read(path).but(**changes).write(path)


def test_models_keep_the_order_of_the_plan_and_figures_are_those_of_the_predictions(
    folder: StudyFolder,
) -> None:
    results = collect(folder)
    assert [model.name for model in results.models] == ["efficientnetv2-b0", "resnet50", "mobilenetv2"]
    for model in results.models:
        files = [folder.cell(model.name, seed).predictions("test") for seed in model.seeds]
        assert model.test_accuracy.per_seed == pytest.approx([accuracy(Predictions.read(path)) for path in files])
        assert model.test_accuracy.low <= model.test_accuracy.mean <= model.test_accuracy.high
        assert model.seeds == (0, 1, 2)
    assert [(pair.a, pair.b) for pair in results.pairs] == [
        ("efficientnetv2-b0", "resnet50"),
        ("efficientnetv2-b0", "mobilenetv2"),
        ("resnet50", "mobilenetv2"),
    ]


def test_resumed_cells_are_named_with_where_and_what_was_lost(folder: StudyFolder) -> None:
    assert not [text for text in collect(folder).warnings if "resumed" in text]
    places = ("epoch 1, 5 of its steps taken", "epoch 2, 0 of its steps taken")
    twice = InterruptionRecord(resumed=2, repeated_steps=1200, repeated_seconds=33.25, places=places)
    change(folder, "resnet50", 1, interruptions=twice)
    change(folder, "resnet50", 2, interruptions=InterruptionRecord(resumed=1))
    results = collect(folder)
    assert [model.resumptions for model in results.models] == [(0, 0, 0), (0, 2, 1), (0, 0, 0)]
    assert [text for text in results.warnings if "resumed" in text] == [
        (
            "resnet50, seed 1 was interrupted and resumed 2 times, from epoch 1, 5 of its steps taken; epoch 2, 0 of "
            "its steps taken. Its times, compilation too, are sums over its parts; 1,200 steps (33.2 s) after a "
            "checkpoint were lost, computed again, and count once."
        ),
        "resnet50, seed 2 was interrupted and resumed once. Its times, compilation too, are sums over its parts.",
    ]


def test_results_survive_writing_and_reading(folder: StudyFolder) -> None:
    results = collect(folder)
    results.write(folder.results)
    assert Results.read(folder.results) == results


def test_calibration_is_that_of_the_predictions_with_the_validations_temperature(folder: StudyFolder) -> None:
    for model in collect(folder).models:
        assert model.calibration is not None
        before, after = model.calibration.before, model.calibration.after
        assert (model.ece, model.nll) == (before.ece.mean, before.nll.mean)
        for place, seed in enumerate(model.seeds):
            test, validation = (
                Predictions.read(folder.cell(model.name, seed).predictions(split)) for split in ("test", "validation")
            )
            temperature = model.calibration.temperature.per_seed[place]
            assert temperature == fit_temperature(validation)
            scaled = with_temperature(test, temperature)
            for figures, predictions in ((before, test), (after, scaled)):
                assert figures.ece.per_seed[place] == expected_calibration_error(predictions)
                assert figures.nll.per_seed[place] == pytest.approx(negative_log_likelihood(predictions))
                assert figures.brier.per_seed[place] == pytest.approx(brier_score(predictions))
        for estimate in (before.nll, before.brier, after.nll, after.brier):
            assert estimate.mean == pytest.approx(np.mean(estimate.per_seed))
            assert estimate.low < estimate.mean < estimate.high


def test_results_of_earlier_versions_are_read_without_calibration(folder: StudyFolder) -> None:
    content = collect(folder).model_dump(mode="json", by_alias=True)
    for model in content["models"]:
        del model["calibration"]
    folder.results.write_text(json.dumps(content))
    assert [model.calibration for model in Results.read(folder.results).models] == [None, None, None]


def test_only_undecided_pairs_say_what_would_settle_them(folder: StudyFolder) -> None:
    for pair in collect(folder).pairs:
        advice = (pair.seeds_to_decide, pair.pictures_to_decide)
        assert pair.verdict == "undecided" or advice == (None, None)


def test_a_cell_that_never_ran_counts_as_failed(folder: StudyFolder) -> None:
    folder.cell("resnet50", 1).record.unlink()
    results = collect(folder)
    assert results.models[1].seeds == (0, 2)
    assert results.models[1].failed_seeds == (1,)
    assert any("Seed 1 of resnet50 failed: it was not run" in warning for warning in results.warnings)


def test_a_model_without_finished_seeds_is_left_out_and_named(folder: StudyFolder) -> None:
    for seed in (0, 1, 2):
        change(folder, "resnet50", seed, status="failed", error="Traceback\n  line\nTrainingError: no number")
    results = collect(folder)
    assert "resnet50" not in {model.name for model in results.models}
    assert "resnet50 is not in the comparison: none of its seeds finished." in results.warnings
    assert "Seeds 0, 1, 2 of resnet50 failed: TrainingError: no number." in results.warnings


def test_cells_that_saw_other_pictures_are_refused(folder: StudyFolder) -> None:
    record = RunRecord.read(folder.cell("resnet50", 2).record)
    assert record.data is not None
    change(folder, "resnet50", 2, data=record.data.but(fingerprint="other"))
    with pytest.raises(StudyError, match=r"seed-2: its pictures have the fingerprint other.*delete the folder"):
        collect(folder)


@pytest.mark.parametrize("part", ["ids", "labels", "classes", "fewer"])
def test_cells_with_predictions_of_other_pictures_are_refused(folder: StudyFolder, part: str) -> None:
    path = folder.cell("mobilenetv2", 0).predictions("test")
    ids, labels, logits = (getattr(Predictions.read(path), name) for name in ("ids", "labels", "logits"))
    changed = {
        "ids": (ids[::-1], labels, logits),
        "labels": (ids, (labels + 1) % 10, logits),
        "classes": (ids, labels, logits[:, :9]),
        "fewer": (ids[1:], labels[1:], logits[1:]),
    }[part]
    Predictions(*changed).write(path)
    with pytest.raises(StudyError, match="its test predictions are not of the pictures of"):
        collect(folder)


def test_seeds_that_were_trained_differently_are_not_averaged(folder: StudyFolder) -> None:
    settings = RunRecord.read(folder.cell("resnet50", 1).record).settings
    change(folder, "resnet50", 1, settings=settings.but(training=settings.training.but(epochs=77)))
    with pytest.raises(StudyError, match="its settings are not those of resnet50, seed 0"):
        collect(folder)


def test_a_cell_in_the_wrong_folder_is_refused(folder: StudyFolder) -> None:
    settings = RunRecord.read(folder.cell("resnet50", 1).record).settings
    change(folder, "resnet50", 1, settings=settings.but(seed=9))
    with pytest.raises(StudyError, match="it holds resnet50, seed 9"):
        collect(folder)


def test_a_finished_cell_without_predictions_is_refused(folder: StudyFolder) -> None:
    folder.cell("resnet50", 1).predictions("test").unlink()
    with pytest.raises(StudyError, match="not a readable predictions file"):
        collect(folder)


def test_a_folder_without_a_plan_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StudyError, match=r"it has no study\.json"):
        collect(StudyFolder(tmp_path))


def test_a_damaged_plan_is_refused(folder: StudyFolder) -> None:
    folder.plan.write_text('{"schema": 2}', encoding="utf-8")
    with pytest.raises(StudyError, match="not a plan of this version"):
        collect(folder)


def test_one_seed_warns_that_training_noise_is_unknown(studies: ModuleType, tmp_path: Path) -> None:
    results = collect(studies.write_study(tmp_path, studies.Design(seeds=(0,), test=150, epochs=1)))
    assert any("nothing about training noise" in warning for warning in results.warnings)
    assert {pair.test for pair in results.pairs} == {"exact McNemar test"}


def test_small_test_sets_skipped_pictures_and_short_runs_are_warned_of(studies: ModuleType, tmp_path: Path) -> None:
    design = studies.Design(test=FEW_TEST_PICTURES - 1, epochs=1, skipped=("a.jpg: truncated",))
    warnings = " ".join(collect(studies.write_study(tmp_path, design)).warnings)
    assert "The test set has 99 pictures only" in warnings
    assert "Pictures that do not decode were left out: 1 (a.jpg)." in warnings
    assert "estimated anew from training pictures before evaluation (mobilenetv2)" in warnings


def test_a_model_at_chance_level_is_warned_of(studies: ModuleType, tmp_path: Path) -> None:
    hopeless = studies.Entrant("hopeless", -0.2, 10, None, 0.1)
    design = studies.Design(entrants=(studies.RACE[0], hopeless), test=150, epochs=1)
    warnings = [one for one in collect(studies.write_study(tmp_path, design)).warnings if "largest class" in one]
    assert len(warnings) == 1
    assert warnings[0].startswith("hopeless is not shown to be better")


def test_what_was_not_equal_is_told_with_its_owners(folder: StudyFolder) -> None:
    change(folder, "resnet50", 1, versions={"keras": "3.16.0"})
    _, finished = read_cells(folder, read_plan(folder))
    sentences = not_equal([one.record for one in finished])
    assert any(
        sentence.startswith("Version of keras: 3.15.1 for efficientnetv2-b0, resnet50 (seed 0, 2), mobilenetv2; 3.16.0")
        for sentence in sentences
    )
    assert any(sentence.startswith("Input scaling:") for sentence in sentences)
    assert not any(sentence.lower().startswith(("parameters", "image size", "epochs")) for sentence in sentences)


def test_equal_runs_have_nothing_to_tell(folder: StudyFolder) -> None:
    record = RunRecord.read(folder.cell("resnet50", 0).record)
    assert not_equal([record, record]) == []


def test_unequal_image_sizes_are_told(folder: StudyFolder) -> None:
    record = RunRecord.read(folder.cell("resnet50", 0).record)
    settings = record.settings
    other = record.but(settings=settings.but(model="net", data=settings.data.but(image_size=64)))
    assert not_equal([record, other]) == ["Image size: 32 for resnet50; 64 for net."]


def test_logits_that_are_no_numbers_do_not_enter_the_figures(folder: StudyFolder) -> None:
    path = folder.cell("resnet50", 0).predictions("test")
    predictions = Predictions.read(path)
    Predictions(predictions.ids, predictions.labels, np.full_like(predictions.logits, np.nan)).write(path)
    results = collect(folder)
    assert results.models[1].seeds == (1, 2)
    assert "Seed 0 of resnet50 failed: its logits are not finite numbers." in results.warnings
