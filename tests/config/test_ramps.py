"""Settings that grow over the stages: read as they are typed, stored likewise, refused with a reason."""

from __future__ import annotations

import pytest

from photofinish.config import Ramp, TrainingSettings, find_recipe, resolve
from photofinish.errors import SettingsError


@pytest.mark.parametrize("typed", ["0.1:0.3", [0.1, 0.3], (0.1, 0.3), Ramp(0.1, 0.3)])
def test_a_range_may_be_typed_in_several_ways_and_is_stored_in_one(typed):
    settings = TrainingSettings.of({"stages": 3, "dropout": typed})
    assert settings.dropout == Ramp(0.1, 0.3)
    assert settings.model_dump(mode="json")["dropout"] == "0.1:0.3"
    assert TrainingSettings.model_validate_json(settings.model_dump_json()) == settings
    assert settings.but(epochs=20).dropout == Ramp(0.1, 0.3)


@pytest.mark.parametrize(("typed", "stored"), [("32", 32), (32, 32), ("0.25", 0.25)])
def test_one_value_stays_a_number(typed, stored):
    settings = TrainingSettings.of({"mixup": typed} if stored < 1 else {"training_size": typed})
    dumped = settings.model_dump(mode="json")
    assert (dumped["mixup"] if stored < 1 else dumped["training_size"]) == stored


def test_a_ramp_is_linear_from_the_first_stage_to_the_last():
    assert [Ramp(128, 380).at(stage, 4) for stage in range(4)] == [128, 212, 296, 380]
    assert Ramp(1, 3).at(0, 1) == 3


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"dropout": "0.1:0.5"}, "dropout=0.1:0.5 is a range, but there is one stage only"),
        ({"dropout": 1.5}, "dropout=1.5: must lie between 0 and 0.99"),
        ({"training_size": "4:32", "stages": 2}, "must lie between 8 and 2048"),
        ({"mixup": "a"}, "mixup='a': give a number, or first:last"),
        ({"mixup": "1:2:3"}, "give a number, or first:last"),
        ({"mixup": True}, "give a number, or first:last"),
        ({"mixup": "nan"}, "give a number, or first:last"),
        ({"stages": 11}, "stages=11 must not be more than epochs=10"),
        ({"stages": 4}, "stages=4 changes nothing: give a range"),
        ({"train": "head", "flip": True, "mixup": 0.2}, "flip, mixup cannot change the pictures"),
        ({"train": "head", "layer_decay": 0.5}, "layer_decay has no meaning"),
        ({"train": "gradual", "epochs": 1}, "at least two epochs"),
        ({"train": "heads"}, "did you mean 'head'"),
    ],
)
def test_what_makes_no_sense_is_refused(changes, reason):
    with pytest.raises(SettingsError) as caught:
        TrainingSettings.of(changes)
    assert reason in str(caught.value)


def test_steps_become_whole_epochs_of_the_pictures_there_are():
    settings = find_recipe("paper-cifar").training
    known = settings.for_pictures(45_000)
    assert (known.steps, known.epochs) == (None, 114)
    assert abs(known.epochs * -(-45_000 // 512) - 10_000) < 88 / 2
    assert TrainingSettings(epochs=7).for_pictures(10).epochs == 7


def test_steps_that_make_fewer_epochs_than_stages_are_refused_when_the_pictures_are_known():
    settings = TrainingSettings.of({"steps": 10, "batch_size": 10, "stages": 4, "mixup": "0:1"})
    with pytest.raises(SettingsError, match="stages=4 must not be more than epochs=1"):
        settings.for_pictures(100)


@pytest.mark.parametrize(("steps", "pictures"), [(100, 40_000), (1500, 32_000)])
def test_steps_that_are_far_from_whole_epochs_are_refused(steps, pictures):
    with pytest.raises(SettingsError, match="only whole epochs are trained"):
        TrainingSettings(steps=steps).for_pictures(pictures)


def test_a_range_is_stored_to_the_last_digit():
    settings = TrainingSettings.of({"stages": 2, "dropout": (0.1, 1 / 3), "mixup": "0:0.123456789"})
    assert TrainingSettings.model_validate_json(settings.model_dump_json()) == settings
    assert settings.but(epochs=20).dropout == Ramp(0.1, 1 / 3)


def test_who_counts_epochs_takes_back_a_recipes_steps():
    assert resolve("paper-cifar", changes={"epochs": 3}).training.steps is None
    assert resolve("paper-cifar", changes={"steps": 30}).training.steps == 30
    with pytest.raises(SettingsError, match="give one of them"):
        resolve("paper-cifar", changes={"epochs": 3, "steps": 30})


@pytest.mark.parametrize(
    ("variant", "size", "randaugment", "mixup", "dropout"),
    [
        ("s", Ramp(128, 300), Ramp(5, 15), Ramp(0, 0), Ramp(0.1, 0.3)),
        ("m", Ramp(128, 380), Ramp(5, 20), Ramp(0, 0.2), Ramp(0.1, 0.4)),
        ("l", Ramp(128, 380), Ramp(5, 25), Ramp(0, 0.5), Ramp(0.1, 0.5)),
    ],
)
def test_the_papers_ranges_are_in_the_recipes(variant, size, randaugment, mixup, dropout):
    training = find_recipe(f"paper-imagenet-{variant}").training
    assert training.stages == 4
    assert (training.training_size, training.randaugment) == (size, randaugment)
    assert (training.mixup, training.dropout) == (mixup, dropout)


def test_the_papers_fine_tuning_is_in_the_recipe():
    training = find_recipe("paper-cifar").training
    assert (training.batch_size, training.learning_rate, training.schedule) == (512, 1e-3, "cosine")
    assert (training.steps, training.ema_decay, training.weight_decay) == (10_000, 0.9996, 0)
    assert training.cutout > 0
