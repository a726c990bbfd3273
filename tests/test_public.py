"""What `import photofinish` gives, and how quickly."""

import functools
import os
import resource
import subprocess
import sys

import pytest

import photofinish as pf
from photofinish import api
from photofinish.errors import SettingsError


def seconds(*command: str) -> float:
    """Return the processor time of the best of three: what else the machine does is not what is measured."""
    spent = []
    for _ in range(3):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([sys.executable, *command], check=True, capture_output=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        spent.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return min(spent)


def test_the_public_names_are_these_and_all_of_them_exist():
    assert pf.__all__ == [
        *("RECIPES", "Forecast", "PhotofinishError", "Study"),
        *("benchmark", "compare", "join", "load", "models", "plan", "resume", "train"),
    ]
    for name in pf.__all__:
        assert getattr(pf, name) is not None
    assert set(pf.__all__) < set(dir(pf))


def test_the_public_models_are_these():
    for name in ("EfficientNetV2", "ResNet50", "MobileNetV2"):
        assert callable(getattr(pf.models, name))


def test_an_unknown_name_is_an_attribute_error():
    assert not hasattr(pf, "comparison")


def test_importing_takes_at_most_a_second_and_does_not_import_keras():
    assert seconds("-c", "import photofinish") <= 1.0
    code = "import sys, photofinish, photofinish.cli; sys.exit(any(name in sys.modules for name in ('keras', 'jax')))"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_race_is_prepared_without_keras_and_what_only_reports_need(tmp_path):
    # What the first model would wait for.
    code = """
import sys
from photofinish import api
from photofinish.study.race import prepare_race, make_plan
race = api._race(["efficientnetv2-l", "resnet50"], "digits", None, 1, "jax", {"limit_train": 100, "limit_test": 50})
data = prepare_race(race)
make_plan(race, data)
sys.exit([name for name in ("keras", "matplotlib", "scipy.special", "scipy.stats") if name in sys.modules] or 0)
"""
    run = functools.partial(subprocess.run, [sys.executable, "-c", code], capture_output=True, text=True, check=False)
    environment = os.environ | {"PHOTOFINISH_CACHE": str(tmp_path)}
    # The first time the digits are taken from scikit-learn, which imports everything.
    run(env=environment)
    again = run(env=environment)
    assert (again.returncode, again.stderr) == (0, "")


def test_one_name_is_a_race_of_one_and_what_is_no_name_is_refused():
    assert api._race("resnet50", "digits", None, 1, "jax", {}).models == ("resnet50",)
    with pytest.raises(SettingsError, match="by name, not as a function"):
        pf.compare([lambda _: None], data="digits")


def test_help_takes_at_most_a_second():
    assert seconds("-m", "photofinish", "--help") <= 1.0


def test_the_version_is_printed():
    printed = subprocess.run(
        [sys.executable, "-m", "photofinish", "--version"], check=True, capture_output=True, text=True
    ).stdout
    assert printed == f"photofinish {pf.__version__}\n"
