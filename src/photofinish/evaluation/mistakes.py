"""Which pictures a model gets wrong, and on which pictures models disagree, with NumPy and SciPy alone.

A model's seeds are put together first: its probabilities are means over its seeds, and its answer is the class with the
highest mean. All lists are ordered by a score and then by the picture's id, so that they do not depend on the order in
which the pictures are stored.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy
from numpy.typing import NDArray

from photofinish.runs import Predictions


@dataclass(frozen=True)
class Opinion:
    """What a model says of every picture, over all its seeds.

    Attributes:
        ids: Name of each picture, shape (examples,).
        labels: True class, shape (examples,).
        predicted: Class of the highest mean probability, shape (examples,).
        confidence: That probability, shape (examples,).
        of_true: Mean probability of the true class, shape (examples,).
        wrong_seeds: How many seeds are wrong by themselves, shape (examples,).
        seeds: How many seeds there are.
    """

    ids: NDArray[np.str_]
    labels: NDArray[np.int32]
    predicted: NDArray[np.int64]
    confidence: NDArray[np.float64]
    of_true: NDArray[np.float64]
    wrong_seeds: NDArray[np.int64]
    seeds: int

    @property
    def correct(self) -> NDArray[np.bool_]:
        """Whether the model is right on each picture, shape (examples,)."""
        return np.asarray(self.predicted == self.labels)


@dataclass(frozen=True)
class Answer:
    """What one model says of one picture.

    Attributes:
        predicted: Class of the highest mean probability.
        confidence: That probability.
        of_true: Mean probability of the true class.
        wrong_seeds: How many seeds are wrong by themselves.
        seeds: How many seeds there are.
    """

    predicted: int
    confidence: float
    of_true: float
    wrong_seeds: int
    seeds: int


@dataclass(frozen=True)
class Judged:
    """A picture with the answers of some models.

    Attributes:
        id: Name of the picture.
        label: True class.
        answers: By the place of the model among the opinions.
    """

    id: str
    label: int
    answers: dict[int, Answer]


def opinion(seeds: Sequence[Predictions]) -> Opinion:
    """Put the seeds of a model together.

    Args:
        seeds: Predictions of the same pictures in the same order, at least one.

    Raises:
        ValueError: There are no seeds, or they are not of the same pictures.

    Examples:
        >>> ids, labels = np.array(["a"]), np.array([0], np.int32)
        >>> sure, unsure = np.log([[0.1, 0.9]]), np.log([[0.6, 0.4]])
        >>> both = opinion([Predictions(ids, labels, sure), Predictions(ids, labels, unsure)])
        >>> int(both.predicted[0]), round(float(both.confidence[0]), 2), int(both.wrong_seeds[0])
        (1, 0.65, 1)
    """
    if not seeds:
        raise ValueError("an opinion needs at least one seed")
    first = seeds[0]
    total = np.zeros(first.logits.shape)
    wrong = np.zeros(len(first.ids), np.int64)
    for one in seeds:
        if not np.array_equal(one.ids, first.ids) or not np.array_equal(one.labels, first.labels):
            raise ValueError("the seeds of a model are to be put together and were not given the same pictures")
        total += scipy.special.softmax(one.logits.astype(np.float64), axis=1)
        wrong += ~one.correct
    mean = total / len(seeds)
    return Opinion(
        ids=first.ids,
        labels=first.labels,
        predicted=np.asarray(mean.argmax(axis=1), np.int64),
        confidence=mean.max(axis=1),
        of_true=mean[np.arange(len(first.labels)), first.labels],
        wrong_seeds=wrong,
        seeds=len(seeds),
    )


def confident_mistakes(opinions: Sequence[Opinion], model: int, most: int) -> list[Judged]:
    """Return the pictures that a model is wrong about, the most confident mistakes first.

    Args:
        opinions: Of all models, on the same pictures in the same order.
        model: Which of them.
        most: How many pictures at most.
    """
    own = opinions[model]
    places = _highest(own.confidence, ~own.correct, own.ids, most)
    return [_judged(opinions, place, [model]) for place in places]


def missed_by_all(opinions: Sequence[Opinion], most: int) -> list[Judged]:
    """Return the pictures that every model is wrong about, the least probability of the true class first.

    Args:
        opinions: Of all models, on the same pictures in the same order.
        most: How many pictures at most.
    """
    if not opinions:
        return []
    of_true = np.mean([one.of_true for one in opinions], axis=0)
    places = _highest(-of_true, all_wrong(opinions), opinions[0].ids, most)
    return [_judged(opinions, place, range(len(opinions))) for place in places]


def all_wrong(opinions: Sequence[Opinion]) -> NDArray[np.bool_]:
    """Return whether every model is wrong on each picture, shape (examples,).

    Args:
        opinions: Of all models, at least one, on the same pictures in the same order.
    """
    return np.asarray(~np.stack([one.correct for one in opinions]).any(axis=0))


def disagreements(opinions: Sequence[Opinion], most: int) -> list[Judged]:
    """Return the pictures on which models disagree most: one is right and sure of it, another is wrong.

    A picture's score is the probability that the surest of those who are right gives to the true class, less the one
    that the worst of those who are wrong gives to it. Its answers are those of these two models, the right one first;
    of equal models the earlier one.

    Args:
        opinions: Of all models, on the same pictures in the same order.
        most: How many pictures at most.
    """
    if len(opinions) < 2:
        return []
    of_true = np.stack([one.of_true for one in opinions])
    correct = np.stack([one.correct for one in opinions])
    right = np.where(correct, of_true, -np.inf)
    wrong = np.where(correct, np.inf, of_true)
    disputed = np.asarray(correct.any(axis=0) & ~correct.all(axis=0))
    # Undisputed pictures have an infinite score and are left out.
    places = _highest(right.max(axis=0) - wrong.min(axis=0), disputed, opinions[0].ids, most)
    return [
        _judged(opinions, place, [int(right[:, place].argmax()), int(wrong[:, place].argmin())]) for place in places
    ]


def _highest(
    scores: NDArray[np.float64], members: NDArray[np.bool_], ids: NDArray[np.str_], most: int
) -> NDArray[np.int64]:
    """Return the places of the members with the highest scores; of equals, the first by id."""
    places = np.flatnonzero(members)
    return places[np.lexsort((ids[places], -scores[places]))[:most]]


def _judged(opinions: Sequence[Opinion], place: int, models: Sequence[int]) -> Judged:
    answers = {}
    for model in models:
        own = opinions[model]
        answers[model] = Answer(
            predicted=int(own.predicted[place]),
            confidence=float(own.confidence[place]),
            of_true=float(own.of_true[place]),
            wrong_seeds=int(own.wrong_seeds[place]),
            seeds=own.seeds,
        )
    return Judged(str(opinions[0].ids[place]), int(opinions[0].labels[place]), answers)
