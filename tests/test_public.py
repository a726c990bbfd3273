"""What `import photofinish` gives, and how quickly."""

import resource
import subprocess
import sys

import photofinish as pf


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


def test_help_takes_at_most_a_second():
    assert seconds("-m", "photofinish", "--help") <= 1.0


def test_the_version_is_printed():
    printed = subprocess.run(
        [sys.executable, "-m", "photofinish", "--version"], check=True, capture_output=True, text=True
    ).stdout
    assert printed == f"photofinish {pf.__version__}\n"
