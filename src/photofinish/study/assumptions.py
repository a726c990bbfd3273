"""What a race is expected to be like before it is run: given, measured in an earlier study, or assumed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations
from statistics import fmean
from typing import Annotated

import numpy as np
from pydantic import Field

from photofinish.config.base import Settings
from photofinish.errors import SettingsError
from photofinish.study.cells import FinishedCell
from photofinish.study.power import DifferenceVariances
from photofinish.study.variance import TwoWay, two_way

# Of our own studies (docs/statistics.md): what two models, and two seeds of one, disagree on, and how seeds spread.
ACCURACY = 0.9
SHARE_OF_INDEPENDENT = 0.7
SHARE_OF_DISAGREEMENT = 0.85
SEED_SPREAD = 0.01
ASSUMED, GIVEN = "assumed", "given"


class Expected(Settings):
    """A figure and where it comes from.

    Attributes:
        value: A share, between 0 and 1.
        source: `assumed`, `given`, or the study that it was measured in.
    """

    value: float
    source: str


class Assumptions(Settings):
    """What the power of a race depends on beside its seeds and pictures.

    Attributes:
        accuracy: Accuracy about which the models lie.
        disagreement: Share of test pictures that one of two models gets right and the other wrong, one seed each.
        seed_disagreement: The same of two seeds of one model.
        seed_spread: Standard deviation of a seed's true accuracy.
    """

    accuracy: Expected
    disagreement: Expected
    seed_disagreement: Expected
    seed_spread: Expected

    @property
    def variances(self) -> DifferenceVariances:
        """The variances of a difference that follow."""
        return DifferenceVariances.assumed(
            self.disagreement.value, self.seed_disagreement.value, self.seed_spread.value
        )


class Given(Settings):
    """What somebody knows or wants to try; None is left to an earlier study, or to assumptions.

    Attributes:
        accuracy: Between 0 and 1.
        disagreement: Share of test pictures that one of two models gets right and the other wrong.
        seed_disagreement: Share that one of two seeds of the same model gets right and the other wrong.
        seed_spread: Standard deviation of a seed's accuracy, 0.01 for one point.
    """

    accuracy: Annotated[float, Field(gt=0, lt=1)] | None = None
    disagreement: Annotated[float, Field(gt=0, le=1)] | None = None
    seed_disagreement: Annotated[float, Field(ge=0, le=1)] | None = None
    seed_spread: Annotated[float, Field(ge=0, le=0.5)] | None = None


def assumptions(given: Given, measured: Mapping[str, Expected] | None = None) -> Assumptions:
    """Complete what is given by what was measured, and that by assumptions.

    Args:
        given: What somebody knows; it wins.
        measured: What an earlier study says, by the names of `Assumptions`.

    Raises:
        SettingsError: So accurate models cannot disagree as much.

    Examples:
        >>> found = assumptions(Given(accuracy=0.9))
        >>> round(found.disagreement.value, 3), found.disagreement.source
        (0.126, 'assumed')
    """

    def choose(name: str, otherwise: float) -> Expected:
        value = getattr(given, name)
        if value is not None:
            return Expected(value=value, source=GIVEN)
        return (measured or {}).get(name) or Expected(value=otherwise, source=ASSUMED)

    accuracy = choose("accuracy", ACCURACY)
    independent = 2 * accuracy.value * (1 - accuracy.value)
    disagreement = choose("disagreement", SHARE_OF_INDEPENDENT * independent)
    seed_disagreement = choose("seed_disagreement", SHARE_OF_DISAGREEMENT * disagreement.value)
    most = 2 * min(accuracy.value, 1 - accuracy.value)
    for name, value in (("disagreement", disagreement), ("seed_disagreement", seed_disagreement)):
        if value.source == GIVEN and value.value > most:
            raise SettingsError(
                f"{name}={value.value:g}: two models that are right on {accuracy.value:.1%} of the pictures each "
                f"differ on at most {most:.1%}; give a smaller one, or another accuracy"
            )
    return Assumptions(
        accuracy=accuracy,
        disagreement=disagreement,
        seed_disagreement=seed_disagreement,
        seed_spread=choose("seed_spread", SEED_SPREAD),
    )


def measured_in(name: str, finished: Sequence[FinishedCell], models: Sequence[str]) -> dict[str, Expected]:
    """Return what the test predictions of an earlier study say of a race to come.

    Args:
        name: What to call the study.
        finished: Its finished cells.
        models: The models of the race; where at least two of them are in the study, the others there are left out.

    Returns:
        Figures by the names of `Assumptions`: without several seeds nothing about seeds, without two models nothing
        about disagreement.
    """
    groups: dict[str, list[FinishedCell]] = {}
    for one in finished:
        groups.setdefault(one.cell.model, []).append(one)
    shared = [model for model in groups if model in models]
    tables = {
        model: two_way(np.stack([one.test.correct for one in groups[model]]))
        for model in (shared if len(shared) > 1 else groups)
    }
    found = {"accuracy": fmean(table.mean for table in tables.values())}
    if len(tables) > 1:
        found["disagreement"] = fmean(_disagreement(a, b) for a, b in combinations(tables.values(), 2))
    repeated = [table for table in tables.values() if table.seeds > 1]
    if repeated:
        found["seed_disagreement"] = 2 * fmean(table.rest for table in repeated)
        found["seed_spread"] = fmean(table.between_seeds - table.rest / table.pictures for table in repeated)
        found["seed_spread"] = max(0.0, found["seed_spread"]) ** 0.5
    return {figure: Expected(value=value, source=f"measured in {name}") for figure, value in found.items()}


def _disagreement(a: TwoWay, b: TwoWay) -> float:
    """Return the share of pictures that one model gets right and the other wrong, over all pairs of seeds."""
    wins = a.picture_means * (1 - b.picture_means) + b.picture_means * (1 - a.picture_means)
    return float(wins.mean())
