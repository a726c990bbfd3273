"""The right pictures come first, whatever the order in which they are stored."""

from __future__ import annotations

import numpy as np
import pytest

from photofinish.evaluation.mistakes import (
    Opinion,
    all_wrong,
    confident_mistakes,
    disagreements,
    missed_by_all,
    opinion,
)
from photofinish.runs import Predictions

IDS = ("a", "b", "c", "d", "e")
LABELS = (0, 0, 1, 1, 2)


def seed(probabilities: object, ids: tuple[str, ...] = IDS, labels: tuple[int, ...] = LABELS) -> Predictions:
    return Predictions(np.array(ids), np.array(labels, np.int32), np.log(np.asarray(probabilities, np.float64)))


FIRST = seed([[0.1, 0.8, 0.1], [0.9, 0.05, 0.05], [0.96, 0.02, 0.02], [0.2, 0.7, 0.1], [0.5, 0.3, 0.2]])
"""Wrong on a, c and e, most sure of c."""
SECOND = seed([[0.75, 0.15, 0.1], [0.3, 0.6, 0.1], [0.6, 0.3, 0.1], [0.1, 0.8, 0.1], [0.45, 0.45, 0.1]])
"""Wrong on b, c and e, most sure of b and c."""


def both() -> list[Opinion]:
    return [opinion([FIRST]), opinion([SECOND])]


def many(examples: int = 200, models: int = 3) -> list[list[Predictions]]:
    generator = np.random.default_rng(0)
    labels = generator.integers(0, 4, examples).astype(np.int32)
    ids = np.array([f"{index:03}" for index in generator.permutation(examples)])
    # Rounded, so that scores tie.
    shape = (models, 2, examples, 4)
    return [[Predictions(ids, labels, one) for one in seeds] for seeds in generator.normal(0, 2, shape).round()]


def test_the_most_confident_mistakes_come_first_and_right_answers_never() -> None:
    mistakes = confident_mistakes(both(), 0, 10)
    assert [one.id for one in mistakes] == ["c", "a", "e"]
    answer = mistakes[0].answers[0]
    assert (mistakes[0].label, answer.predicted, answer.wrong_seeds, answer.seeds) == (1, 0, 1, 1)
    assert (answer.confidence, answer.of_true) == pytest.approx((0.96, 0.02))
    assert [one.id for one in confident_mistakes(both(), 0, 2)] == ["c", "a"]


def test_equally_confident_mistakes_are_ordered_by_name() -> None:
    assert [one.id for one in confident_mistakes(both(), 1, 10)] == ["b", "c", "e"]


def test_the_answer_of_a_model_is_that_of_its_mean_probability() -> None:
    sure_and_wrong, unsure_and_right = seed([[0.05, 0.95]], ("a",), (0,)), seed([[0.6, 0.4]], ("a",), (0,))
    together = opinion([sure_and_wrong, unsure_and_right, unsure_and_right])
    assert together.predicted[0] == 1
    assert together.confidence[0] == pytest.approx((0.95 + 0.4 + 0.4) / 3)
    assert (int(together.wrong_seeds[0]), together.seeds) == (1, 3)


def test_what_all_models_miss_begins_with_the_least_probability_of_the_truth() -> None:
    missed = missed_by_all(both(), 10)
    assert [one.id for one in missed] == ["e", "c"]  # 0.15 and 0.16 on average
    assert set(missed[0].answers) == {0, 1}
    assert all_wrong(both()).tolist() == [False, False, True, False, True]


def test_disagreements_begin_where_one_is_surest_and_the_other_farthest_off() -> None:
    found = disagreements(both(), 10)
    assert [one.id for one in found] == ["a", "b"]  # 0.75 - 0.1 and 0.9 - 0.3
    assert [list(one.answers) for one in found] == [[1, 0], [0, 1]], "the model that is right comes first"


def test_among_three_models_the_surest_who_is_right_stands_beside_the_worst_who_is_wrong() -> None:
    names, labels = ("a",), (0,)
    rows = ([[0.6, 0.4]], [[0.3, 0.7]], [[0.9, 0.1]], [[0.1, 0.9]])
    (only,) = disagreements([opinion([seed(row, names, labels)]) for row in rows], 5)
    assert list(only.answers) == [2, 3]


def test_no_list_depends_on_the_order_of_the_examples() -> None:
    seeds = many()
    order = np.random.default_rng(1).permutation(len(seeds[0][0].ids))
    shuffled = [[Predictions(one.ids[order], one.labels[order], one.logits[order]) for one in own] for own in seeds]
    before, after = ([opinion(own) for own in models] for models in (seeds, shuffled))
    for model in range(3):
        assert confident_mistakes(after, model, 40) == confident_mistakes(before, model, 40)
    assert disagreements(after, 40) == disagreements(before, 40)
    assert missed_by_all(after, 40) == missed_by_all(before, 40)


def test_a_model_alone_disagrees_with_nobody() -> None:
    assert disagreements([opinion([FIRST])], 5) == []
    assert missed_by_all([], 5) == []


def test_seeds_of_other_pictures_are_not_put_together() -> None:
    with pytest.raises(ValueError, match="not given the same pictures"):
        opinion([FIRST, Predictions(FIRST.ids[::-1], FIRST.labels, FIRST.logits)])
    with pytest.raises(ValueError, match="at least one seed"):
        opinion([])
