"""What is looked at before a race begins."""

import hashlib

import pytest

from photofinish.config import DataSettings, TrainingSettings
from photofinish.errors import SettingsError, WeightsError
from photofinish.models import Head, build
from photofinish.models.saved import saving
from photofinish.study.race import Race, check_models
from photofinish.study.sources import hash_sources

SMALL = "mobilenetv2-0.35"


def race(weights, *models):
    return Race(models or (SMALL,), (0,), DataSettings(), TrainingSettings(weights=weights))


@pytest.fixture
def files(tmp_path):
    """A run folder, a file of weights, and someone's own model."""
    entrant = build(SMALL, Head(2), image_size=32, seed=0)
    saving(entrant, tmp_path / "run" / "checkpoints", class_names=("a", "b"), image_size=32, head=Head(2), name=SMALL)()
    (tmp_path / "w.safetensors").write_bytes((tmp_path / "run" / "checkpoints" / "final.safetensors").read_bytes())
    (tmp_path / "own.py").write_text("def network(classes): ...")
    return tmp_path


def sha256(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_every_file_that_decides_what_the_models_are_is_hashed(files):
    own = f"{files / 'own.py'}:network"
    wanted = race(f"{SMALL}={files / 'w.safetensors'},resnet50=none", SMALL, "resnet50", own)
    check_models(wanted)
    assert hash_sources(wanted.models, wanted.training) == {
        own: sha256(files / "own.py"),
        str(files / "w.safetensors"): sha256(files / "w.safetensors"),
    }


def test_a_run_folder_is_known_by_its_manifest(files):
    wanted = race(str(files / "run"))
    check_models(wanted)
    assert hash_sources(wanted.models, wanted.training) == {
        str(files / "run"): sha256(files / "run" / "checkpoints" / "manifest.json")
    }


def test_a_folder_that_merely_looks_like_a_model_of_ones_own_is_none(files):
    # `.py:` in the middle of a name points to no function.
    with pytest.raises(SettingsError, match="unknown model"):
        check_models(race(None, "nets.py:a/b"))


def test_weights_that_cannot_be_read_are_refused_before_anything_begins(files):
    (files / "w.safetensors").write_bytes(b"cut off")
    with pytest.raises(WeightsError, match="cannot be read"):
        check_models(race(str(files / "w.safetensors")))


def test_a_list_may_name_models_that_join_later_but_none_that_do_not_exist():
    check_models(race(f"{SMALL}=none,resnet50=imagenet"))
    with pytest.raises(SettingsError, match="did you mean 'resnet50'"):
        check_models(race(f"{SMALL}=none,resnet-50=imagenet"))
