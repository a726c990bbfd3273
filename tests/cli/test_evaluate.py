"""What `evaluate` says of a temperature that is no measurement, or no help."""

import numpy as np
import pytest

from photofinish.cli.reading import evaluate
from photofinish.runs import Predictions


@pytest.fixture
def run(studies, tmp_path):
    design = studies.Design(entrants=studies.RACE[1:2], seeds=(0,), test=300, epochs=1)
    return studies.write_study(tmp_path, design).cell(studies.RACE[1].name, 0)


def change(run, split, logits_of):
    before = Predictions.read(run.predictions(split))
    logits = logits_of(before).astype(np.float32)
    Predictions(before.ids, before.labels, logits).write(run.predictions(split))


def always_wrong(predictions):
    classes = predictions.logits.shape[1]
    return np.eye(classes)[(predictions.labels + 1) % classes]


def test_a_temperature_at_its_bound_is_said_to_be_no_measurement(run, capsys):
    change(run, "validation", always_wrong)
    evaluate(run.path)
    printed = capsys.readouterr().out
    assert "The temperature is at the bound of its search, 1000, and no measurement" in printed
    assert "the confidence says nothing about being right." in printed


def test_a_temperature_that_makes_the_log_loss_worse_is_said_to(run, capsys):
    change(run, "validation", lambda predictions: 0.1 * predictions.logits)
    evaluate(run.path)
    assert "The temperature makes the log loss of the test pictures worse: " in capsys.readouterr().out


def test_nothing_is_said_of_a_temperature_that_helps(run, capsys):
    for split in ("validation", "test"):
        change(run, split, lambda predictions: 5 * predictions.logits)
    evaluate(run.path)
    printed = capsys.readouterr().out
    assert "with temperature" in printed
    assert "The temperature makes" not in printed
    assert "bound" not in printed


def test_json_stays_json(run, capsys):
    change(run, "validation", always_wrong)
    evaluate(run.path, as_json=True)
    assert capsys.readouterr().out.strip().endswith("}")
