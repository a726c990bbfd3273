"""A whole race at the command line, on networks small enough for a test."""

import importlib.util
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits

from photofinish.runs import AuditRecord, Pictures, Predictions, RunFolder, StudyFolder, read_epochs
from photofinish.study.cells import read_cells, read_plan
from photofinish.study.evidence import evidence_of
from photofinish.study.gallery import choose

from .conftest import TINY, CommandLine

SMALL, LINEAR, FAILS, EXPLODES, FEATURES = (
    f"{TINY}:{name}" for name in ("small", "linear", "fails", "explodes", "features")
)
SHORT = ("--epochs", "2", "--limit-train", "300", "--output", "study")


def results(folder: Path) -> dict:
    return json.loads((folder / "study" / "results.json").read_text())


@pytest.fixture(scope="module")
def raced(tmp_path_factory, cache) -> CommandLine:
    """Return a folder in which two models raced with two seeds, and a third failed."""
    command = CommandLine(tmp_path_factory.mktemp("race"), cache)
    result = command("compare", SMALL, FAILS, LINEAR, "--seeds", "2", *SHORT)
    assert result.returncode == 1
    assert "2 cells failed" in result.stderr
    (command.folder / "output.txt").write_text(result.stdout)
    return command


def test_every_cell_leaves_the_promised_files(raced):
    study = StudyFolder(raced.folder / "study")
    for model in (SMALL, LINEAR):
        for seed in (0, 1):
            cell = study.cell(model, seed)
            assert len(read_epochs(cell.metrics)) == 2
            assert (cell.checkpoints / "final.safetensors").is_file()
            for split, count in (("validation", 60), ("test", 359)):
                predictions = Predictions.read(cell.predictions(split))
                assert len(predictions.labels) == count
                assert len(set(predictions.ids)) == count, "each picture exactly once"
    assert "<html" in study.report_html.read_text()
    assert "| " in study.report_markdown.read_text()


def test_the_pictures_that_the_report_shows_are_stored_with_the_study(raced):
    study = StudyFolder(raced.folder / "study")
    _, finished = read_cells(study, read_plan(study))
    stored = Pictures.read(study.pictures)
    shown = [*choose(finished).ids, *evidence_of(AuditRecord.read(study.audit)).ids]
    assert stored.ids.tolist() == list(dict.fromkeys(shown))
    places = [int(name.removeprefix("digits/")) for name in stored.ids]
    # 17 greys.
    np.testing.assert_allclose(stored.images.mean(axis=3), load_digits().images[places] * 255 / 16, atol=0.5)
    page = study.report_html.read_text()
    assert page.count('<img src="data:image/png;base64,') >= len(stored.ids)
    assert "Pictures are missing" not in page


def test_results_hold_what_the_predictions_say(raced):
    study = StudyFolder(raced.folder / "study")
    figures = results(raced.folder)
    assert figures["schema"] == 1
    assert [model["name"] for model in figures["models"]] == [SMALL, LINEAR]
    for model in figures["models"]:
        accuracies = []
        for seed in (0, 1):
            predictions = Predictions.read(study.cell(model["name"], seed).predictions("test"))
            accuracies.append(float((predictions.logits.argmax(axis=1) == predictions.labels).mean()))
        assert model["test_accuracy"]["per_seed"] == pytest.approx(accuracies)
        assert model["test_accuracy"]["mean"] == pytest.approx(np.mean(accuracies))
        assert model["train_images_per_second"] > 0
        assert model["inference_images_per_second"] > 0
        assert model["peak_memory_bytes"] > 1e8
    # 32 * 32 * 3 inputs, 10 classes.
    assert figures["models"][1]["parameters"] == 30_730
    assert figures["models"][1]["macs"] == 30_720


def test_the_pictures_were_audited_once(raced):
    study = StudyFolder(raced.folder / "study")
    audit = AuditRecord.read(study.audit)
    assert audit.fingerprint == results(raced.folder)["data"]["fingerprint"]
    assert audit.pictures == 300 + 359
    assert audit.duplicates.near_search.startswith("not made")
    assert "A search for near duplicates was not made" in study.report_html.read_text()


def test_cells_saw_the_same_pictures(raced):
    study = StudyFolder(raced.folder / "study")
    stored = [
        Predictions.read(study.cell(model, seed).predictions("test")) for model in (SMALL, LINEAR) for seed in (0, 1)
    ]
    for other in stored[1:]:
        assert (other.ids == stored[0].ids).all()
        assert (other.labels == stored[0].labels).all()


def test_a_model_that_fails_is_reported_and_the_others_go_on(raced):
    printed = (raced.folder / "output.txt").read_text()
    assert "failed: " in printed
    assert "a mistake of mine" in printed
    assert any("a mistake of mine" in warning for warning in results(raced.folder)["warnings"])
    line = 1 + TINY.read_text().splitlines().index('    raise RuntimeError("a mistake of mine")')
    cell = StudyFolder(raced.folder / "study").cell(FAILS, 0)
    said = f"{TINY.name}:fails seed 0: failed: {TINY}, line {line}: RuntimeError: a mistake of mine"
    assert said in printed.splitlines()
    assert f"line {line}, in fails" in cell.log.read_text()


def test_a_pipe_gets_plain_lines_with_every_stage_and_epoch(raced):
    printed = (raced.folder / "output.txt").read_text()
    assert "\x1b" not in printed
    for stage in ("building", "compiling", "epoch 1/2", "epoch 2/2", "predicting", "done in", "left)"):
        assert stage in printed


def test_running_it_again_goes_on_and_more_seeds_may_join(raced):
    record = StudyFolder(raced.folder / "study").cell(LINEAR, 0).record
    before = record.stat().st_mtime_ns
    result = raced("compare", SMALL, LINEAR, "--seeds", "3", *SHORT)
    assert "3 cells failed" in result.stderr, "what failed before belongs to the plan and is tried again"
    assert record.stat().st_mtime_ns == before
    assert result.stdout.count("done before") == 4
    figures = results(raced.folder)
    assert figures["models"][1]["seeds"] == [0, 1, 2]
    assert any("Seeds were added after results had been seen" in warning for warning in figures["warnings"])
    assert "--seeds 3" in (raced.folder / "study" / "report.md").read_text()


def test_another_plan_is_refused_and_the_difference_named(raced):
    result = raced("compare", SMALL, LINEAR, *SHORT, "--epochs", "3")
    assert result.returncode == 1
    assert "epochs was 2 and is now 3" in result.stderr
    result = raced("compare", SMALL, LINEAR, *SHORT, "--split-seed", "1")
    assert "data fingerprint was" in result.stderr


def test_evaluate_prints_the_stored_figures_and_can_predict_anew(raced):
    run = str(StudyFolder(raced.folder / "study").cell(SMALL, 0).path)
    stored = json.loads(raced("evaluate", run, "--json").stdout)
    unnamed = raced("evaluate", run, "--data", "digits")
    assert unnamed.returncode == 1
    assert "to have its code run, name it" in unnamed.stderr
    anew = raced("evaluate", run, "--data", "digits", "--model", SMALL, "--json")
    assert anew.returncode == 0, anew.stderr
    assert json.loads(anew.stdout)["accuracy"] == stored["accuracy"]
    assert json.loads(anew.stdout)["calibration"]["temperature"] == stored["calibration"]["temperature"]
    assert np.sum(stored["confusion"]) == 359
    assert "confusion" in raced("evaluate", run).stdout


def test_evaluate_predicts_with_the_runs_backend_and_all_pictures_of_another_folder(raced, tmp_path):
    record = RunFolder(StudyFolder(raced.folder / "study").cell(SMALL, 0).path)
    (tmp_path / "absent").mkdir()
    # Keras' own default. Where it is not installed, as with most of those who use JAX, it must not be asked for.
    (tmp_path / "absent" / "tensorflow.py").write_text("raise ImportError('TensorFlow must not be needed')")
    environment = {name: value for name, value in raced.environment.items() if name != "KERAS_BACKEND"}
    digits = load_digits()
    for place in range(80):
        path = tmp_path / "others" / str(digits.target[place]) / f"{place}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray((digits.images[place] * 15).astype(np.uint8)).resize((32, 32)).save(path)
    result = subprocess.run(
        [
            *(sys.executable, "-m", "photofinish", "evaluate", str(record.path)),
            *("--data", str(tmp_path / "others"), "--model", SMALL, "--json"),
        ],
        cwd=raced.folder, env=environment | {"PYTHONPATH": str(tmp_path / "absent"), "KERAS_HOME": str(tmp_path)},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    assert json.loads(result.stdout)["pictures"] == 80
    assert np.sum(json.loads(result.stdout)["confusion"]) == 80


def test_evaluate_judges_the_temperature_of_the_validation_pictures_on_the_test_pictures(raced):
    figures = results(raced.folder)["models"][0]
    run = StudyFolder(raced.folder / "study").cell(SMALL, 0)
    told = json.loads(raced("evaluate", str(run.path), "--json").stdout)["calibration"]
    assert told["temperature"] == figures["calibration"]["temperature"]["per_seed"][0]
    for side in ("before", "after"):
        for name in ("ece", "nll", "brier"):
            assert told[side][name] == pytest.approx(figures["calibration"][side][name]["per_seed"][0])
    printed = raced("evaluate", str(run.path)).stdout
    assert f"with temperature {told['temperature']:.3f}" in printed
    assert f"{told['after']['brier']:.4f}" in printed
    assert "fitted on the validation pictures" in printed
    assert "fitted on these pictures" in raced("evaluate", str(run.path), "--split", "validation").stdout


def test_a_run_without_validation_predictions_is_evaluated_without_calibration(raced, tmp_path):
    run = StudyFolder(raced.folder / "study").cell(SMALL, 0)
    copy = RunFolder(Path(shutil.copytree(run.path, tmp_path / "run")))
    copy.predictions("validation").unlink()
    result = raced("evaluate", str(copy.path), "--json")
    assert result.returncode == 0, result.stderr
    assert json.loads(result.stdout)["calibration"] is None
    assert "temperature" not in raced("evaluate", str(copy.path)).stdout


def test_an_option_wins_over_the_settings_file_and_a_file_that_lies_here_stands_in_for_no_library(raced):
    (raced.folder / "settings.toml").write_text("epochs = 7\nlimit_train = 300\n")
    (raced.folder / "keras.py").write_text("raise ImportError('a file that happens to lie here')")
    try:
        arguments = ("--settings", "settings.toml", "--epochs", "2", "--output", "study")
        code = "import sys; from photofinish.cli import main; sys.exit(main())"
        result = subprocess.run(
            [sys.executable, "-P", "-c", code, "compare", LINEAR, *arguments],
            cwd=raced.folder, env=raced.environment, capture_output=True, text=True, check=False,
        )  # fmt: skip
    finally:
        (raced.folder / "keras.py").unlink()
    assert "Traceback" not in result.stderr
    assert "belongs to another plan" not in result.stderr
    assert result.stdout.count("done before") >= 4
    assert "a mistake of mine" in result.stdout, "the cells that are tried again find the real Keras"


def test_the_report_can_be_written_again_without_keras(raced, tmp_path):
    (tmp_path / "keras.py").write_text("raise ImportError('Keras must not be needed')")
    (raced.folder / "study" / "report.html").unlink()
    environment = raced.environment | {"PYTHONPATH": str(tmp_path)}
    subprocess.run(
        [sys.executable, "-m", "photofinish", "report", "study"], cwd=raced.folder, env=environment, check=True
    )
    assert (raced.folder / "study" / "report.html").exists()


def test_the_same_seed_gives_the_same_predictions_to_the_last_bit(raced):
    result = raced("train", SMALL, *SHORT[:-1], "again", "--seed", "1")
    assert result.returncode == 0, result.stderr
    again = Predictions.read(RunFolder(raced.folder / "again").predictions("test"))
    before = Predictions.read(StudyFolder(raced.folder / "study").cell(SMALL, 1).predictions("test"))
    assert (again.logits == before.logits).all()


def test_a_finished_run_is_not_replaced_by_one_with_other_settings(raced):
    run = StudyFolder(raced.folder / "study").cell(LINEAR, 0)
    before = (run.checkpoints / "final.safetensors").read_bytes()
    result = raced("train", LINEAR, "--epochs", "1", "--output", str(run.path))
    assert result.returncode == 1
    assert "holds a finished run" in result.stderr
    assert (run.checkpoints / "final.safetensors").read_bytes() == before


def test_a_loss_that_is_no_number_stops_with_a_diagnosis(photofinish):
    result = photofinish("train", EXPLODES, *SHORT)
    assert result.returncode == 1
    assert "the loss is nan" in result.stderr
    assert "learning rate" in result.stderr


def test_a_hidden_softmax_is_found_and_named(photofinish):
    result = photofinish("train", f"{TINY}:probabilities", *SHORT)
    assert result.returncode == 1
    assert "leave its softmax out" in result.stderr


def test_someones_own_model_may_race_beside_a_file_of_weights_that_fits_one_model(photofinish, shared_file):
    path = shared_file("efficientnetv2-b0_notop.h5")
    arguments = ("--weights", f"efficientnetv2-b0={path}", "--train", "head", *SHORT, "--epochs", "3")
    result = photofinish(
        "compare", "efficientnetv2-b0", FEATURES, *arguments, "--limit-train", "60", "--limit-test", "40"
    )
    assert result.returncode == 0, result.stderr
    page = (photofinish.folder / "study" / "report.md").read_text().replace("\\", "")
    assert f"Weights before training: {path} for efficientnetv2-b0; the model's own for tiny.py:features" in page
    assert "Only the head was trained, on features that the frozen network computed once." in page
    sources = json.loads((photofinish.folder / "study" / "study.json").read_text())["sources"]
    assert sources[str(path)].startswith("63241717")


def test_every_cell_failing_is_a_failure(photofinish):
    result = photofinish("compare", FAILS, *SHORT)
    assert result.returncode == 1
    assert "every cell failed" in result.stderr


@pytest.mark.parametrize("number", [pytest.param(signal.SIGINT, marks=pytest.mark.slow), signal.SIGTERM])
def test_an_interrupted_race_leaves_no_process_and_is_resumed(photofinish, number):
    arguments = ("compare", LINEAR, "--seeds", "2", "--epochs", "40", "--limit-train", "300", "--output", "study")
    process = photofinish.start(*arguments)
    second = StudyFolder(photofinish.folder / "study").cell(LINEAR, 1)
    wait_for(lambda: second.metrics.exists() or process.poll() is not None)
    process.send_signal(number)
    printed, _ = process.communicate(timeout=30)
    assert process.returncode == 130, printed
    assert printed.strip().splitlines()[-1].startswith("photofinish: stopped; run the same command again")
    assert not second.record.exists()
    wait_for(lambda: not workers())
    result = photofinish(*arguments)
    assert result.returncode == 0, result.stderr
    assert result.stdout.count("done before") == 1
    assert len(read_epochs(second.metrics)) == 40, "what the first attempt left is replaced"


def test_a_model_whose_file_was_changed_does_not_join_its_earlier_self(photofinish):
    mine = photofinish.folder / "mine.py"
    mine.write_text(TINY.read_text())
    arguments = ("compare", "mine.py:linear", "--epochs", "1", "--limit-train", "100", "--output", "study")
    assert photofinish(*arguments).returncode == 0
    mine.write_text(TINY.read_text() + "\n# another version\n")
    result = photofinish(*arguments, "--seeds", "2")
    assert result.returncode == 1
    assert "the file behind mine.py:linear was" in result.stderr


def test_two_races_in_one_folder_are_refused(photofinish):
    process = photofinish.start("compare", LINEAR, "--epochs", "20000", "--output", "study")
    try:
        wait_for(lambda: (photofinish.folder / "study" / "cells").exists() or process.poll() is not None)
        result = photofinish("compare", LINEAR, "--epochs", "20000", "--output", "study")
        assert result.returncode == 1
        assert "in use by another photofinish process" in result.stderr
    finally:
        process.terminate()
        process.communicate(timeout=30)


@pytest.mark.tensorflow
@pytest.mark.skipif(importlib.util.find_spec("tensorflow") is None, reason="TensorFlow is not installed")
def test_a_race_runs_under_tensorflow(photofinish):
    # Networks of the catalogue are held against those of the other backends in tests/models/test_backends.py.
    result = photofinish("compare", FEATURES, SMALL, "--backend", "tensorflow", *SHORT, "--epochs", "1")
    assert result.returncode == 0, result.stderr
    cell = StudyFolder(photofinish.folder / "study").cell(FEATURES, 0)
    assert json.loads(cell.record.read_text())["settings"]["backend"] == "tensorflow"
    assert len(results(photofinish.folder)["models"]) == 2


def workers() -> list[str]:
    """Return the command lines of cells that still run below this test's process group."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = entry.read_bytes().replace(b"\0", b" ").decode()
            parent = int((entry.parent / "stat").read_text().rpartition(")")[2].split()[1])
        except (OSError, ValueError):
            continue
        if "photofinish.study.worker" in line and parent in {1, os.getpid()}:
            found.append(line)
    return found


def wait_for(condition, seconds: float = 120) -> None:
    limit = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < limit, "it never came to that"
        time.sleep(0.05)
