"""Before a race: the smallest difference it can show, and what it will cost."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from photofinish.config import TrainingSettings
from photofinish.config.base import Settings
from photofinish.data import PreparedData, Progress
from photofinish.errors import StudyError
from photofinish.runs import DataRecord, StudyFolder, hardware
from photofinish.runs.memory import MemoryRecord
from photofinish.study.assumptions import Assumptions, Given, assumptions, measured_in
from photofinish.study.cells import FinishedCell, read_cells, read_plan
from photofinish.study.costs import from_study, measure
from photofinish.study.execute import finished_before
from photofinish.study.margins import Variances
from photofinish.study.measuring import CellCost
from photofinish.study.plan import Plan
from photofinish.study.power import POWER
from photofinish.study.race import Race, default_folder, fit_plan, join_plan, make_plan, prepare_race
from photofinish.study.statistics import LEVEL

SEEDS_SHOWN = (1, 2, 3, 5, 10)
OnModel = Callable[[str], None]


class Detectable(Settings):
    """What a number of seeds can show.

    Attributes:
        seeds: Seeds of every model.
        difference: Smallest true difference of accuracies that is found with 80% power, or None where not even the
            largest possible one is.
        accuracy_margin: Half the width of the 95% interval of one model's accuracy that is to be expected.
    """

    seeds: int
    difference: float | None
    accuracy_margin: float


class ModelCost(Settings):
    """What the seeds of one model will cost.

    Attributes:
        model: The model as it was asked for.
        cost: Of one seed; None where it was not measured and no earlier study tells.
        seeds: Number of its cells that are still to be run.
        seconds: Of all these cells, with what is done once for all of them.
    """

    model: str
    cost: CellCost | None
    seeds: int
    seconds: float | None


class Forecast(Settings):
    """What is known of a race before it is run.

    Attributes:
        data: The pictures.
        models: The models, those that are in the folder already among them.
        seeds: Number of seeds, likewise.
        folder: The study folder that the same command with `compare` would write.
        pairs: Number of pairs, for which Holm's correction allows.
        level: Family-wise level of the tests.
        power: How likely the smallest differences are found.
        assumptions: What that rests on.
        detectable: What several numbers of seeds can show; nothing where there is one model only.
        false_alarms: How often one seed each calls two equally accurate models different, under these assumptions.
        costs: What every model costs.
        seconds: Of the whole race, or None where a model's cost is not known.
        peak_memory_bytes: Largest of any cell, or None likewise; cells run one after the other.
        like: The earlier study that figures were taken from, or None.
        training: How every model would be trained.
        memory: What was found to fit into memory, where that was asked for.
    """

    data: DataRecord
    models: tuple[str, ...]
    seeds: int
    folder: str
    pairs: int
    level: float
    power: float
    assumptions: Assumptions
    detectable: tuple[Detectable, ...]
    false_alarms: float
    costs: tuple[ModelCost, ...]
    seconds: float | None
    peak_memory_bytes: int | None
    like: str | None
    training: TrainingSettings
    memory: MemoryRecord | None = None


@dataclass(frozen=True)
class _Earlier:
    """An earlier study.

    Attributes:
        name: What to call it.
        finished: Its finished cells.
    """

    name: str
    finished: list[FinishedCell]


def forecast(
    race: Race,
    output: Path | None = None,
    *,
    like: Path | None = None,
    given: Given | None = None,
    measuring: bool = True,
    progress: Progress | None = None,
    on_model: OnModel = lambda _: None,
) -> Forecast:
    """Say what a race can show and what it will cost.

    Args:
        race: What is to be compared.
        output: The study folder; None names one after the data and the plan. A study of the same pictures that is there
            already is learned from.
        like: Another study folder to learn from.
        given: Assumptions that somebody makes.
        measuring: Whether to run a few steps of the models that no earlier study tells of.
        progress: Is told of downloads and of the preparation of pictures.
        on_model: Is told which model is measured next.

    Raises:
        SettingsError: A model, a weight set or an assumption is impossible.
        DataError: The pictures cannot be used.
        StudyError: The folder belongs to another plan, or `like` is no study.
        PhotofinishError: A model cannot be measured.
    """
    data = prepare_race(race, progress)
    plan = make_plan(race, data)
    folder = StudyFolder(output or default_folder(plan, race.probed))
    # Models and seeds that are in the folder already will be in the comparison too.
    plan = join_plan(folder, fit_plan(race, plan, folder, data, progress))
    earlier = _earlier(like, folder)
    measured = measured_in(earlier.name, earlier.finished, plan.models) if earlier else {}
    expected = assumptions(given or Given(), measured)
    pairs = math.comb(len(plan.models), 2)
    costs = tuple(_model_costs(plan, folder, data, earlier, measuring, on_model))
    known = [one for one in costs if one.seconds is not None]
    return Forecast(
        data=plan.data,
        models=plan.models,
        seeds=len(plan.seeds),
        folder=str(folder.path),
        pairs=pairs,
        level=LEVEL,
        power=POWER,
        assumptions=expected,
        detectable=tuple(_detectable(expected, plan.data.test, len(plan.seeds), pairs)),
        false_alarms=expected.variances.false_alarms(plan.data.test, LEVEL / max(1, pairs)),
        costs=costs,
        seconds=sum(one.seconds or 0.0 for one in known) if len(known) == len(costs) else None,
        peak_memory_bytes=max((one.cost.peak_memory_bytes for one in known if one.cost), default=None),
        like=earlier.name if earlier else None,
        training=plan.training,
        memory=plan.memory,
    )


def _earlier(like: Path | None, folder: StudyFolder) -> _Earlier | None:
    """Return the study to learn from: the one named, else what lies in the folder of this race already."""
    if like is not None:
        named = StudyFolder(like)
        _, finished = read_cells(named, read_plan(named))
        if not finished:
            raise StudyError(f"{like} has no finished cell, so there is nothing to learn from; leave --like out")
        return _Earlier(str(like), finished)
    if not folder.plan.exists():
        return None
    _, finished = read_cells(folder, read_plan(folder))
    return _Earlier(str(folder.path), finished) if finished else None


def _detectable(expected: Assumptions, pictures: int, asked: int, pairs: int) -> list[Detectable]:
    """Return what several numbers of seeds can show, the one asked for among them."""
    if not pairs:
        return []
    largest = 2 * min(expected.accuracy.value, 1 - expected.accuracy.value)
    found = []
    for seeds in sorted({*SEEDS_SHOWN, asked}):
        least = expected.variances.least_difference(seeds, pictures, LEVEL / pairs)
        found.append(
            Detectable(
                seeds=seeds,
                difference=least if least <= largest else None,
                accuracy_margin=_accuracy_margin(expected, seeds, pictures),
            )
        )
    return found


def _accuracy_margin(expected: Assumptions, seeds: int, pictures: int) -> float:
    """Return half the width of one model's interval where everything turns out as expected."""
    accuracy, spread = expected.accuracy.value, expected.seed_spread.value
    rest = expected.seed_disagreement.value / 2
    of_pictures = max(0.0, accuracy * (1 - accuracy) - rest) / pictures
    noise = rest / (seeds * pictures)
    if seeds == 1:
        return min(1.0, Variances((), of_pictures + noise, of_pictures + noise).margin(LEVEL))
    parts = ((spread**2 / seeds + noise, seeds - 1),)
    return min(1.0, Variances(parts, of_pictures, of_pictures + noise).margin(LEVEL))


def _model_costs(
    plan: Plan,
    folder: StudyFolder,
    data: PreparedData,
    earlier: _Earlier | None,
    measuring: bool,
    on_model: OnModel,
) -> list[ModelCost]:
    machine, costs = hardware(), []
    for model in plan.models:
        cells = [cell for cell in plan.cells() if cell.model == model]
        missing = [cell for cell in cells if finished_before(cell, folder.cell(cell.model, cell.seed)) is None]
        cost = from_study(earlier.name, cells[0], plan.data, earlier.finished, machine) if earlier else None
        if cost is None and measuring and missing:
            on_model(model)
            cost = measure(missing[0], data.folder)
        seconds = len(missing) * cost.every_seed + cost.once if cost else None
        costs.append(ModelCost(model=model, cost=cost, seeds=len(missing), seconds=seconds if missing else 0.0))
    return costs
