"""What the entry point says when it is stopped."""

import importlib
import signal

import pytest

# The package exports a function of the same name.
main = importlib.import_module("photofinish.cli.main")


@pytest.mark.parametrize(
    ("verb", "says"),
    [
        (
            "compare",
            "photofinish: stopped; run the same command again: a race goes on where it was",
        ),
        ("train", "photofinish: stopped"),
        ("plan", "photofinish: stopped"),
    ],
)
def test_only_a_race_that_is_stopped_is_said_to_go_on(monkeypatch, capsys, verb, says):
    def stop(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(main, "app", stop)
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    assert main.main([verb, "resnet50"]) == 130
    assert capsys.readouterr().err.strip() == says
