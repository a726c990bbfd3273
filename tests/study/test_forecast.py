"""What is said before a race: assumptions and where they come from, what can be shown, and what it costs."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import photofinish as pf
from photofinish.config import CellSettings, DataSettings, TrainingSettings
from photofinish.data import prepare
from photofinish.errors import PhotofinishError, SettingsError, StudyError
from photofinish.runs import RunRecord, StageEvent, StudyFolder, unheard
from photofinish.study import forecast as forecasting
from photofinish.study import race as racing
from photofinish.study.assumptions import ASSUMED, GIVEN, Given, assumptions, measured_in
from photofinish.study.cell import run_cell
from photofinish.study.cells import FinishedCell, read_cells, read_plan
from photofinish.study.costs import from_study
from photofinish.study.measuring import CellCost, measure_cell
from photofinish.study.power import DifferenceVariances

B0, RESNET = "efficientnetv2-b0", "resnet50"
SETTINGS: dict[str, Any] = {"epochs": 2, "limit_train": 100, "limit_test": 60}
TINY = Path(__file__).parents[1] / "cli" / "tiny.py"


@pytest.fixture(scope="module")
def earlier(studies: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> StudyFolder:
    design = studies.Design(entrants=studies.RACE[:2], test=2000, epochs=4)
    return studies.write_study(tmp_path_factory.mktemp("earlier"), design)


@pytest.fixture(scope="module")
def finished(earlier: StudyFolder) -> list[FinishedCell]:
    return read_cells(earlier, read_plan(earlier))[1]


def test_what_is_given_wins_over_what_was_measured_and_that_over_assumptions(finished: list[FinishedCell]) -> None:
    measured = measured_in("before", finished, ())
    found = assumptions(Given(disagreement=0.2), measured)
    assert (found.disagreement.value, found.disagreement.source) == (0.2, GIVEN)
    assert found.accuracy.source == found.seed_spread.source == "measured in before"
    assert assumptions(Given()).seed_spread.source == ASSUMED


def test_an_earlier_study_says_what_its_predictions_say(finished: list[FinishedCell]) -> None:
    found = {name: one.value for name, one in measured_in("before", finished, (B0, RESNET)).items()}
    answers = {
        name: np.stack([one.test.correct for one in finished if one.cell.model == name]) for name in (B0, RESNET)
    }
    assert found["accuracy"] == pytest.approx(np.mean([table.mean() for table in answers.values()]))
    between = [first != second for first in answers[B0] for second in answers[RESNET]]
    assert found["disagreement"] == pytest.approx(np.mean(between))
    within = [table[i] != table[j] for table in answers.values() for i, j in ((0, 1), (0, 2), (1, 2))]
    # The seeds' own differences in accuracy are taken out of what they disagree on.
    assert found["seed_disagreement"] == pytest.approx(np.mean(within), abs=0.002)
    assert 0.002 < found["seed_spread"] < 0.03


def test_an_earlier_study_with_single_seeds_says_nothing_about_seeds(finished: list[FinishedCell]) -> None:
    found = measured_in("before", [one for one in finished if one.cell.seed == 0], ())
    assert set(found) == {"accuracy", "disagreement"}
    alone = measured_in("before", [one for one in finished if one.cell.model == B0], ())
    assert set(alone) == {"accuracy", "seed_disagreement", "seed_spread"}


def test_models_that_race_again_speak_for_themselves(
    studies: ModuleType, tmp_path: Path, finished: list[FinishedCell]
) -> None:
    folder = studies.write_study(tmp_path, studies.Design(test=2000, epochs=1))
    _, three = read_cells(folder, read_plan(folder))
    of_two, of_all = (measured_in("before", three, models)["accuracy"].value for models in ((B0, RESNET), ()))
    assert of_two == pytest.approx(measured_in("before", finished, ())["accuracy"].value)
    assert of_two > of_all


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"accuracy": 0.9, "disagreement": 0.3}, "differ on at most 20.0%"),
        ({"accuracy": 0.1, "disagreement": 0.3}, "differ on at most 20.0%"),
        ({"accuracy": 1.2}, "accuracy=1.2"),
        ({"seed_spread": -1.0}, "seed_spread=-1.0"),
    ],
)
def test_impossible_assumptions_are_refused(given: dict[str, float], says: str) -> None:
    with pytest.raises(SettingsError, match=says):
        assumptions(Given.of(given))


def test_assumed_variances_are_those_of_the_figures_that_are_stated() -> None:
    found = assumptions(Given(accuracy=0.8, disagreement=0.2, seed_disagreement=0.12, seed_spread=0.01)).variances
    assert found == DifferenceVariances(seeds=(0.0001, 0.0001), pictures=pytest.approx(0.08), rests=(0.06, 0.06))


def plan(tmp_path: Path, **changes: Any) -> pf.Forecast:
    arguments = {"seeds": 3, "output": tmp_path / "race", "measure": False, **SETTINGS, **changes}
    return pf.plan(["mobilenetv2-0.35", RESNET], "digits", **arguments)


def test_a_plan_writes_nothing_and_shows_the_seeds_asked_for_among_others(tmp_path: Path) -> None:
    found = plan(tmp_path, seeds=4)
    assert list(tmp_path.iterdir()) == []
    assert [row.seeds for row in found.detectable] == [1, 2, 3, 4, 5, 10]
    differences = [row.difference for row in found.detectable if row.difference is not None]
    assert differences[-1] == min(differences)
    margins = [row.accuracy_margin for row in found.detectable[1:]]
    assert margins == sorted(margins, reverse=True)
    assert found.data.test == 60
    assert [one.cost for one in found.costs] == [None, None]
    assert found.seconds is None


def test_the_smallest_difference_is_that_of_the_power_calculation_after_holms_correction(tmp_path: Path) -> None:
    given = {"accuracy": 0.85, "disagreement": 0.15, "seed_disagreement": 0.1, "seed_spread": 0.005}
    found = pf.plan(
        ["mobilenetv2-0.35", RESNET, B0],
        "digits",
        seeds=3,
        output=tmp_path / "race",
        measure=False,
        **SETTINGS,
        **given,
    )
    assert found.pairs == 3
    expected = DifferenceVariances.assumed(0.15, 0.1, 0.005).least_difference(3, 60, 0.05 / 3)
    assert next(row.difference for row in found.detectable if row.seeds == 3) == pytest.approx(expected)


def test_one_model_alone_has_nothing_to_be_told_apart_from(tmp_path: Path) -> None:
    found = pf.plan([RESNET], "digits", output=tmp_path / "race", measure=False, **SETTINGS)
    assert (found.pairs, found.detectable) == (0, ())


def test_a_difference_larger_than_any_is_none(tmp_path: Path) -> None:
    rows = {row.seeds: row.difference for row in plan(tmp_path, accuracy=0.97, seed_spread=0.01).detectable}
    assert rows[2] is None
    assert rows[10] is not None


def test_an_earlier_study_is_learned_from_where_it_is_named(earlier: StudyFolder, tmp_path: Path) -> None:
    found = plan(tmp_path, like=earlier.path)
    assert found.like == str(earlier.path)
    assert found.assumptions.accuracy.source == f"measured in {earlier.path}"
    with pytest.raises(StudyError, match="not a study folder"):
        plan(tmp_path, like=tmp_path)


def test_a_model_that_cannot_be_run_is_named_with_its_reason(tmp_path: Path) -> None:
    with pytest.raises(PhotofinishError, match=r"tiny.py:fails cannot be measured, nor raced: .*a mistake of mine"):
        pf.plan([f"{TINY}:fails"], "digits", output=tmp_path / "race", **SETTINGS)


def cell(model: str = B0, *, data: dict[str, Any] | None = None, **training: Any) -> CellSettings:
    """The settings of the synthetic study, with changes."""
    settings = TrainingSettings(epochs=4, flip=True, shift=0.1, schedule="cosine", warmup_epochs=0.5).but(**training)
    return CellSettings(model=model, data=DataSettings(source="cifar10").but(**(data or {})), training=settings)


def estimate(finished: list[FinishedCell], studies: ModuleType, one: CellSettings, **data: int) -> CellCost | None:
    record = finished[0].record.data
    assert record is not None
    return from_study("before", one, record.but(**data), finished, studies.HARDWARE)


def test_an_earlier_study_tells_the_cost_of_the_same_cells(finished: list[FinishedCell], studies: ModuleType) -> None:
    cost = estimate(finished, studies, cell())
    assert cost is not None
    own = [one for one in finished if one.cell.model == B0]
    assert cost.train == pytest.approx(np.median([one.seconds.train for one in own]))
    assert cost.compile == pytest.approx(21.5)
    assert cost.peak_memory_bytes == own[0].record.peak_memory_bytes
    typical = np.median([one.seconds.total - one.seconds.compile for one in own])
    assert cost.every_seed == pytest.approx(typical, rel=0.02)
    assert cost.source == "as in before, 3 seeds"


def test_longer_training_and_more_pictures_cost_in_proportion(
    finished: list[FinishedCell], studies: ModuleType
) -> None:
    once, longer = estimate(finished, studies, cell()), estimate(finished, studies, cell(epochs=8))
    more = estimate(finished, studies, cell(), test=6000)
    assert once is not None
    assert longer is not None
    assert more is not None
    assert longer.train == pytest.approx(2 * once.train)
    assert longer.validation == pytest.approx(2 * once.validation)
    assert (longer.evaluate, longer.build) == (once.evaluate, once.build)
    assert more.evaluate == pytest.approx(2 * once.evaluate)
    assert more.train == once.train


@pytest.mark.parametrize(
    "other",
    [
        cell("mobilenetv2"),
        cell(batch_size=64),
        cell(precision="bfloat16"),
        cell(randaugment=5),
        cell(data={"image_size": 64}),
        cell().but(backend="tensorflow"),
    ],
    ids=["model", "batch", "precision", "augmentation", "size", "backend"],
)
def test_an_earlier_study_tells_nothing_of_cells_whose_steps_cost_otherwise(
    finished: list[FinishedCell], studies: ModuleType, other: CellSettings
) -> None:
    assert estimate(finished, studies, other) is None


def test_an_earlier_study_on_another_machine_tells_no_cost(finished: list[FinishedCell]) -> None:
    record = finished[0].record.data
    assert record is not None
    assert from_study("before", cell(), record, finished, {"processor": "EPYC"}) is None


@pytest.fixture
def in_process(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Runs and measures cells in this process, which is quicker; returns the names of the models measured."""
    measured: list[str] = []

    def measure_here(one: CellSettings, prepared: Path) -> CellCost:
        measured.append(one.model)
        return measure_cell(one, prepared, unheard)

    monkeypatch.setattr(racing, "execute", lambda one, prepared, folder, *_: run_cell(one, prepared, folder))
    monkeypatch.setattr(forecasting, "measure", measure_here)
    return measured


def test_what_has_been_run_in_the_folder_costs_nothing_and_is_learned_from(
    in_process: list[str], tmp_path: Path
) -> None:
    models = [f"{TINY}:linear", f"{TINY}:small"]
    race = {"output": tmp_path / "race", **SETTINGS}
    pf.compare(models, "digits", seeds=1, **race)
    found = pf.plan(models, "digits", seeds=3, **race)
    assert found.like == str(tmp_path / "race")
    assert found.assumptions.accuracy.source.startswith("measured in")
    assert [one.seeds for one in found.costs] == [2, 2]
    assert in_process == []
    record = RunRecord.read(StudyFolder(tmp_path / "race").cell(models[0], 0).record)
    assert record.seconds is not None
    assert found.costs[0].cost is not None
    assert found.costs[0].cost.train == pytest.approx(record.seconds.train)
    # Another model joins: it alone is measured, and the pairs are three.
    found = pf.plan([*models, f"{TINY}:features"], "digits", seeds=1, **race)
    assert in_process == [f"{TINY}:features"]
    assert found.pairs == 3
    assert [(one.seeds, one.seconds) for one in found.costs[:2]] == [(0, 0.0), (0, 0.0)]


def test_a_measured_cell_is_estimated_within_a_sensible_factor_of_what_it_then_takes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PHOTOFINISH_CACHE", str(tmp_path / "cache"))
    settings = {"epochs": 6, "limit_train": 700, "batch_size": 16}
    models = [f"{TINY}:small"]
    found = pf.plan(models, "digits", seeds=1, output=tmp_path / "race", **settings)
    study = pf.compare(models, "digits", seeds=1, output=tmp_path / "race", **settings)
    record = RunRecord.read(StudyFolder(study.folder).cell(models[0], 0).record)
    cost = found.costs[0].cost
    assert record.seconds is not None
    assert cost is not None
    assert cost.source.startswith("measured now, over ")
    assert cost.load is not None
    assert record.step_from_cache is False, "measuring left nothing behind that makes the race look quick to compile"
    print(f"estimated {cost}, took {record.seconds}")
    # Other work on the machine comes and goes between the two; a factor of three is far less than ignorance.
    assert cost.every_seed == pytest.approx(record.seconds.total - record.seconds.compile, rel=2, abs=1)
    assert record.seconds.total / 3 <= cost.every_seed + cost.once <= 3 * record.seconds.total + 3
    assert record.seconds.train / 4 <= cost.train <= 4 * record.seconds.train
    assert 0.6 <= cost.peak_memory_bytes / record.peak_memory_bytes <= 1.6  # type: ignore[operator]  # it is recorded


@pytest.mark.parametrize(
    ("model", "training", "stages"),
    [("small", {"stages": 2, "training_size": "16:32"}, 2), ("features", {"train": "gradual"}, 4)],
    ids=["progressive", "gradual"],
)
def test_every_stage_is_measured(model: str, training: dict[str, Any], stages: int, tmp_path: Path) -> None:
    data = DataSettings(limit_train=100, limit_test=50)
    settings = TrainingSettings.of({"epochs": 4, "batch_size": 16, **training})
    prepared = prepare(data, cache=tmp_path).folder
    events: list[StageEvent] = []
    one = CellSettings(model=f"{TINY}:{model}", data=data, training=settings)
    cost = measure_cell(one, prepared, events.append)
    assert [event.stage for event in events].count("compiling") == stages
    assert min(cost.train, cost.compile, cost.validation, cost.evaluate) > 0
    assert cost.validation == pytest.approx(4 * cost.evaluate * 1 / 2)  # one batch each of 20 and 50 pictures


def test_a_frozen_networks_features_are_a_cost_of_their_own_and_none_where_they_are_kept(
    in_process: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PHOTOFINISH_CACHE", str(tmp_path / "cache"))
    race = {"output": tmp_path / "race", "train": "head", **SETTINGS}
    model = f"{TINY}:features"
    before = pf.plan([model], "digits", seeds=2, **race).costs[0]
    assert before.cost is not None
    assert before.cost.features > 0
    assert before.seconds == pytest.approx(2 * before.cost.every_seed + before.cost.once)
    pf.compare([model], "digits", seeds=1, **(race | {"output": tmp_path / "other"}))
    after = pf.plan([model], "digits", seeds=2, **race).costs[0]
    assert after.cost is not None
    assert after.cost.features == 0
    assert in_process == [model, model]
