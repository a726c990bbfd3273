"""Who leads after equal epochs and after equal time: only from epochs that have ended."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from photofinish.runs import EpochRecord
from photofinish.study.readings import (
    MOST_FINISHES,
    Runner,
    after_equal_epochs,
    after_equal_time,
    compilation_changes_the_lead,
)


def history(seconds: float, accuracies: list[float]) -> tuple[EpochRecord, ...]:
    return tuple(
        EpochRecord(
            epoch=epoch,
            train_loss=1,
            train_accuracy=0,
            validation_loss=1,
            validation_accuracy=accuracy,
            learning_rate=1,
            train_seconds=seconds,
            elapsed_seconds=epoch * seconds,
        )
        for epoch, accuracy in enumerate(accuracies, start=1)
    )


SLOW = Runner("slow", (history(30, [0.6, 0.8, 0.9]), history(32, [0.62, 0.82, 0.92])), compile_seconds=100)
QUICK = Runner("quick", (history(10, [0.5, 0.65, 0.7]), history(12, [0.52, 0.67, 0.72])), compile_seconds=5)


def test_the_slow_model_leads_by_epochs_and_the_quick_one_by_time() -> None:
    assert after_equal_epochs([SLOW, QUICK]).leader == 0
    moments = after_equal_time([SLOW, QUICK])
    assert [(moment.seconds, moment.leader) for moment in moments] == [
        (9, None),
        (18, 1),
        (27, 1),
        (36, 1),
        (96, 0),
    ]
    assert moments[0].occasion == "a quarter of quick's time"
    assert [moment.occasion for moment in moments[-2:]] == ["quick has finished", "slow has finished"]


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [(11.9, None), (12.0, (0.5 + 0.52) / 2), (23.9, (0.65 + 0.52) / 2), (24.0, (0.65 + 0.67) / 2), (1e9, 0.71)],
)
def test_a_seed_stands_where_its_last_finished_epoch_left_it(seconds: float, expected: float | None) -> None:
    found = QUICK.accuracy_after(seconds, compiled=False)
    assert found == (None if expected is None else pytest.approx(expected))


@given(
    st.floats(0.1, 100),
    st.lists(st.floats(0, 1), min_size=1, max_size=8),
    st.lists(st.floats(0, 1), min_size=1, max_size=8),
    st.floats(0, 200),
)
def test_nothing_is_known_before_it_has_happened(
    seconds: float, first: list[float], second: list[float], moment: float
) -> None:
    runner = Runner("any", (history(seconds, first), history(2 * seconds, second)), 0.0)
    cut = Runner(
        "cut",
        tuple(
            tuple(one for one in epochs if one.elapsed_seconds <= moment) or epochs[:1] for epochs in runner.histories
        ),
        0.0,
    )
    assert runner.accuracy_after(moment, compiled=False) == cut.accuracy_after(moment, compiled=False)


def test_compilation_counts_where_it_is_asked_for() -> None:
    assert SLOW.accuracy_after(131.9, compiled=True) is None
    assert SLOW.accuracy_after(132, compiled=True) == pytest.approx(0.61)
    assert SLOW.finish(compiled=True) == 196
    assert [moment.seconds for moment in after_equal_time([SLOW, QUICK], compiled=True)][-2:] == [41, 196]


def test_it_is_told_whether_compilation_changes_who_leads() -> None:
    assert compilation_changes_the_lead([SLOW, QUICK])
    equal = Runner("slow", SLOW.histories, compile_seconds=0), Runner("quick", QUICK.histories, compile_seconds=0)
    assert not compilation_changes_the_lead(equal)


def test_equal_epochs_end_with_the_shortest_seed() -> None:
    short = Runner("short", (history(1, [0.9]), history(1, [0.7, 0.1])), 0)
    moment = after_equal_epochs([QUICK, short])
    assert moment.seconds == 1
    assert moment.accuracies == pytest.approx((0.51, 0.8))
    assert moment.leader == 1


def test_two_that_are_level_have_no_leader() -> None:
    twins = [Runner(name, (history(1, [0.5]),), 0) for name in ("a", "b")]
    assert {moment.leader for moment in after_equal_time(twins)} == {None}


def test_many_models_are_looked_at_when_a_few_of_them_finish_and_the_last() -> None:
    runners = [Runner(f"net-{number}", (history(number, [0.5]),), 0) for number in range(1, 20)]
    moments = after_equal_time(runners)
    assert len(moments) == 4 + MOST_FINISHES
    assert moments[-1].seconds == 19


@given(last=st.floats(1e-3, 1e5), compiling=st.floats(0, 1e4))
def test_who_has_finished_stands_where_it_finished_whatever_compiling_took(last: float, compiling: float) -> None:
    runner = Runner("one", (history(last / 2, [0.5, 0.9]),), compile_seconds=compiling)
    assert runner.accuracy_after(runner.finish(compiled=True), compiled=True) == 0.9
