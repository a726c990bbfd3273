"""Which pictures a study's report shows: chosen here when they are stored, and again when they are shown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from photofinish.evaluation.mistakes import (
    Judged,
    all_wrong,
    confident_mistakes,
    disagreements,
    missed_by_all,
    opinion,
)
from photofinish.runs import Predictions
from photofinish.study.cells import FinishedCell

MOST_MISTAKES = 16
"""Of each model."""
MOST_MISTAKES_OF_ALL = 96
"""With more than six models each shows fewer."""
MOST_MISSED = 16
MOST_DISPUTED = 24


@dataclass(frozen=True)
class Gallery:
    """The test pictures worth looking at; answers are by the place of the model.

    Attributes:
        models: The models in the order of the plan.
        mistakes: Of each model, its most confident mistakes.
        disputed: Where models disagree most.
        missed: Those that every model gets wrong, where there is more than one.
        wrong_pictures: How many pictures each model gets wrong.
        missed_pictures: How many pictures every model gets wrong.
        pictures: How many test pictures there are.
    """

    models: tuple[str, ...]
    mistakes: tuple[tuple[Judged, ...], ...]
    disputed: tuple[Judged, ...]
    missed: tuple[Judged, ...]
    wrong_pictures: tuple[int, ...]
    missed_pictures: int
    pictures: int

    @property
    def ids(self) -> list[str]:
        """The names of all these pictures, each once; those that all models can do with come first."""
        shown = [*self.disputed, *self.missed, *(one for own in self.mistakes for one in own)]
        return list(dict.fromkeys(one.id for one in shown))


def choose(finished: Sequence[FinishedCell]) -> Gallery:
    """Choose the test pictures that the report shows.

    Args:
        finished: The finished cells of a study, all of the same pictures.
    """
    seeds: dict[str, list[Predictions]] = {}
    for one in finished:
        seeds.setdefault(one.cell.model, []).append(one.test)
    opinions = [opinion(own) for own in seeds.values()]
    several = len(opinions) > 1
    most = max(1, min(MOST_MISTAKES, MOST_MISTAKES_OF_ALL // max(1, len(opinions))))
    return Gallery(
        models=tuple(seeds),
        mistakes=tuple(tuple(confident_mistakes(opinions, model, most)) for model in range(len(opinions))),
        disputed=tuple(disagreements(opinions, MOST_DISPUTED)),
        missed=tuple(missed_by_all(opinions, MOST_MISSED)) if several else (),
        wrong_pictures=tuple(int((~one.correct).sum()) for one in opinions),
        missed_pictures=int(all_wrong(opinions).sum()) if opinions else 0,
        pictures=len(opinions[0].ids) if opinions else 0,
    )
