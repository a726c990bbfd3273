"""A finished run names pictures as it did in its study, and is judged by pictures that it has not seen."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.special import softmax
from sklearn.datasets import load_digits

import photofinish as pf
from photofinish.errors import DataError, SettingsError, StudyError
from photofinish.evaluation.calibration import fit_temperature
from photofinish.evaluation.predict import pictures_for
from photofinish.runs import Predictions, RunFolder, RunRecord

TINY = f"{Path(__file__).parents[1] / 'cli' / 'tiny.py'}:small"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Digits as pictures in a folder for each class."""
    path = tmp_path_factory.mktemp("digits")
    digits = load_digits()
    for place in range(300):
        file = path / "pictures" / "abcdefghij"[digits.target[place]] / f"{place:03}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray((digits.images[place] * 15).astype(np.uint8)).save(file)
    return path


@pytest.fixture(scope="module")
def run(folder: Path) -> Path:
    """A short training on them, at twice their size."""
    pf.train(TINY, str(folder / "pictures"), output=folder / "run", epochs=3, image_size=16, batch_size=16)
    return folder / "run"


def test_files_get_the_classes_and_probabilities_that_the_study_stored(folder: Path, run: Path) -> None:
    classifier = pf.load(run, model=TINY)
    stored = Predictions.read(RunFolder(run).predictions("test"))
    files = [folder / "pictures" / name for name in stored.ids.tolist()]
    temperature = fit_temperature(Predictions.read(RunFolder(run).predictions("validation")))
    assert classifier.temperature == temperature
    expected = softmax(stored.logits.astype(np.float64) / temperature, axis=1)
    np.testing.assert_allclose(classifier.probabilities(files), expected, rtol=1e-4, atol=1e-6)
    assert classifier.predict(files) == ["abcdefghij"[place] for place in stored.logits.argmax(axis=1)]
    # One alone takes another program.
    np.testing.assert_allclose(classifier.probabilities(files[:1]), expected[:1], rtol=1e-4, atol=1e-6)
    assert classifier.probabilities([]).shape == (0, 10)


def test_arrays_and_files_of_any_size_are_fitted(folder: Path, run: Path) -> None:
    classifier = pf.load(run, model=TINY)
    file = next((folder / "pictures").glob("*/*.png"))
    grey = np.asarray(Image.open(file))
    wide = np.repeat(np.pad(grey, ((0, 0), (4, 4)))[:, :, None], 3, axis=2)
    assert wide.shape == (8, 16, 3)
    both = classifier.probabilities([wide, str(file)])
    np.testing.assert_allclose(both.sum(axis=1), 1)
    # The sides that were added are cropped off again.
    np.testing.assert_allclose(both[0], both[1], rtol=1e-4, atol=1e-6)
    # What a picture is taken for does not depend on those beside it.
    np.testing.assert_allclose(classifier.probabilities([wide])[0], both[0], rtol=1e-4, atol=1e-6)


def test_one_picture_alone_needs_no_list(folder: Path, run: Path) -> None:
    classifier = pf.load(run, model=TINY)
    file = next((folder / "pictures").glob("*/*.png"))
    expected = classifier.probabilities([file])
    shown = np.repeat(np.asarray(Image.open(file))[:, :, None], 3, axis=2)
    for alone in (file, str(file), shown):
        np.testing.assert_array_equal(classifier.probabilities(alone), expected)
        assert len(classifier.predict(alone)) == 1


def test_what_is_no_picture_is_named(folder: Path, run: Path) -> None:
    classifier = pf.load(run, model=TINY)
    (folder / "text.jpg").write_text("no picture")
    with pytest.raises(DataError, match=r"text\.jpg"):
        classifier.predict([folder / "text.jpg"])
    with pytest.raises(DataError, match="cannot be read"):
        classifier.predict([folder / "absent.jpg"])
    with pytest.raises(DataError, match="float32"):
        classifier.predict([np.zeros((8, 8, 3), np.float32)])


def test_what_is_no_run_is_refused(folder: Path) -> None:
    with pytest.raises(StudyError, match="not a run folder"):
        pf.load(folder)


def test_other_pictures_are_all_predicted_and_those_of_the_training_only_as_they_were_divided(
    folder: Path, run: Path, tmp_path: Path
) -> None:
    record = RunRecord.read(RunFolder(run).record)
    assert record.data is not None
    # Two of each class: too few to set any aside, and enough to be predicted.
    for name in "abcdefghij":
        (tmp_path / "few" / name).mkdir(parents=True)
        for file in sorted((folder / "pictures" / name).iterdir())[:2]:
            shutil.copy(file, tmp_path / "few" / name)
    few, split = pictures_for(record, str(tmp_path / "few"), "test")
    assert (len(few.splits["test"]), len(few.splits["train"]), split) == (20, 0, None)
    # The same pictures at another place are the same pictures.
    shutil.copytree(folder / "pictures", tmp_path / "moved")
    moved, split = pictures_for(record, str(tmp_path / "moved"), "test")
    assert (len(moved.splits["test"]), split) == (record.data.test, "test")
    # With one more at the place of the training nobody can tell which were seen.
    (folder / "pictures" / "a" / "one more.png").write_bytes(next((folder / "pictures" / "b").iterdir()).read_bytes())
    try:
        with pytest.raises(SettingsError, match="has changed since the run was trained"):
            pictures_for(record, str(folder / "pictures"), "test")
    finally:
        (folder / "pictures" / "a" / "one more.png").unlink()
