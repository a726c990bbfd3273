"""Settings refuse what they do not know, and say what was meant."""

import pytest
from pydantic import ValidationError

from photofinish.config import (
    RECIPES,
    CellSettings,
    DataSettings,
    TrainingSettings,
    find_recipe,
    read_settings_file,
    resolve,
)
from photofinish.errors import SettingsError


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"epoch": 3}, "did you mean 'epochs'?"),
        ({"epochs": 0}, "epochs=0: input should be greater than or equal to 1"),
        ({"epochs": "many"}, "epochs='many'"),
        ({"optimizer": "admw"}, "did you mean 'adamw'?"),
        ({"schedule": "cosin"}, "did you mean 'cosine'?"),
        ({"learning_rate": float("nan")}, "finite number"),
        ({"learning_rate": -1}, "greater than 0"),
        ({"epochs": 2, "warmup_epochs": 2}, "would never reach its peak"),
        ({"ema_decay": 1.0}, "less than 1"),
    ],
)
def test_an_impossible_training_setting_is_refused_in_one_line(values, says):
    with pytest.raises(SettingsError) as caught:
        TrainingSettings.of(values)
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


def test_settings_cannot_be_changed_in_place():
    with pytest.raises(ValidationError):
        TrainingSettings().epochs = 3


def test_but_validates_what_it_changes():
    with pytest.raises(SettingsError, match="batch_size=0"):
        TrainingSettings().but(batch_size=0)


@pytest.mark.parametrize("group", [DataSettings, TrainingSettings, CellSettings])
def test_every_setting_is_explained(group):
    assert set(group.explanations()) == set(group.model_fields)
    assert all(text.endswith(".") for text in group.explanations().values())


@pytest.mark.parametrize("name", list(RECIPES))
def test_a_recipe_states_source_command_cost_and_expected_figure(name):
    recipe = find_recipe(name)
    assert recipe.name == name
    for word in ("Source:", "Command:", "Cost", "xpected figure"):
        assert word in recipe.claim
    assert f"--recipe {name}" in recipe.claim


def test_the_case_study_recipe_is_what_the_case_study_promises():
    recipe = find_recipe("case-study")
    assert recipe.models == ("efficientnetv2-l", "resnet50")
    assert (recipe.data.source, recipe.data.image_size, recipe.data.validation_fraction) == ("cifar10", 224, 0.2)
    training = recipe.training
    assert (training.epochs, training.batch_size, training.optimizer) == (10, 32, "adam")
    assert training.weights == "imagenet"


def test_the_notebook_recipe_is_what_the_notebook_runs():
    recipe = find_recipe("case-study-notebook")
    assert recipe.models == ("mobilenetv2-0.35", "resnet50")
    assert (recipe.data.image_size, recipe.data.limit_train, recipe.data.limit_mode) == (64, 10_000, "first")
    assert (recipe.training.batch_size, recipe.training.head_units) == (4, 256)


def test_no_recipe_means_quick_on_the_digits_and_our_defaults_elsewhere():
    assert resolve().recipe == "quick"
    assert resolve(source="digits").recipe == "quick"
    folder = resolve(source="leaves")
    assert (folder.recipe, folder.data.image_size, folder.models) == ("custom", 224, ())
    assert resolve(source="cifar10").data.image_size == 32


def test_changes_win_over_the_recipe_and_are_named():
    resolved = resolve("case-study", "elsewhere", {"epochs": 2, "limit_train": 100})
    assert (resolved.data.source, resolved.data.limit_train, resolved.training.epochs) == ("elsewhere", 100, 2)
    assert resolved.recipe == "case-study with changes"
    assert resolve("case-study", "elsewhere").recipe == "case-study"


def test_an_unknown_recipe_names_the_nearest():
    with pytest.raises(SettingsError, match="did you mean 'case-study'"):
        resolve("casestudy")


def test_a_settings_file_is_read_and_its_unknown_keys_are_refused(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text("epochs = 3\nimage_size = 64\n")
    assert read_settings_file(path) == {"epochs": 3, "image_size": 64}
    path.write_text("warmup_step = 3\n")
    with pytest.raises(SettingsError, match="did you mean 'warmup_epochs'"):
        read_settings_file(path)
    path.write_text("epochs : 3")
    with pytest.raises(SettingsError, match="is not TOML"):
        read_settings_file(path)
    with pytest.raises(SettingsError, match="cannot be read"):
        read_settings_file(tmp_path / "absent.toml")
