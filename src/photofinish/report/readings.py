"""Validation accuracy at equal time and at equal epochs, as a table and in words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

from photofinish.report import wording
from photofinish.report.material import Material
from photofinish.report.tables import MISSING, Column, Field, Table
from photofinish.study.readings import (
    FINISHED,
    Moment,
    Runner,
    after_equal_epochs,
    after_equal_time,
    compilation_changes_the_lead,
)

NOT_COMPARED = (
    "There is no reading at equal time: the models were not timed on the same machine. After equal epochs they can be "
    "compared all the same."
)

DISTURBED = (
    "Other programs kept the machine busy while some cells ran, so that who leads at equal time may be their doing."
)


@dataclass(frozen=True)
class Readings:
    """What the report says of the race while it was run.

    Attributes:
        sentence: Who leads after equal epochs, who after equal time, and what compilation changes.
        tables: The moments at equal time: without compilation, and with it where that changes the lead.
    """

    sentence: str
    tables: tuple[Table, ...]


def read(material: Material) -> Readings | None:
    """Return both readings, or None where fewer than two models have a history."""
    runners = _runners(material, timed=False)
    if len(runners) < 2:
        return None
    by_epochs = _lead_after_epochs(runners, after_equal_epochs(runners))
    if not material.is_timed_alike:
        return Readings(f"{by_epochs} {NOT_COMPARED}", ())
    timed = _runners(material, timed=True)
    moments = after_equal_time(timed)
    sentences = [by_epochs, _lead_over_time(timed, moments)]
    tables = [_table(timed, moments, "without compilation and validation")]
    if compilation_changes_the_lead(timed):
        compiled = after_equal_time(timed, compiled=True)
        sentences.append(f"With the time to compile the training step included: {_in_turn(timed, compiled)}.")
        tables.append(_table(timed, compiled, "with compilation of the training step, without validation"))
    if any(entrant.result.disturbed for entrant in material.entrants):
        sentences.append(DISTURBED)
    sentences.append("These are validation accuracies, and no test is made of them.")
    return Readings(" ".join(sentences), tuple(tables))


def _runners(material: Material, *, timed: bool) -> list[Runner]:
    """Return the models that have a history: of all their seeds, or of those on the machine that they were timed on."""
    runners = []
    for entrant in material.entrants:
        histories = tuple(history for history in (entrant.timed_epochs if timed else entrant.epochs) if history)
        if histories:
            runners.append(Runner(entrant.name, histories, entrant.result.compile_seconds))
    return runners


def _lead_after_epochs(runners: Sequence[Runner], moment: Moment) -> str:
    epochs = "epoch" if moment.seconds == 1 else "epochs"
    return f"After {moment.seconds:g} {epochs} each, {_lead(runners, moment)}."


def _lead_over_time(runners: Sequence[Runner], moments: Sequence[Moment]) -> str:
    """Return who leads when the quickest has finished, and who at the other moments."""
    quickest = min(runners, key=lambda runner: runner.finish(compiled=False))
    finished = next(moment for moment in moments if moment.occasion == FINISHED.format(quickest.name))
    return (
        f"After equal time, {wording.seconds(finished.seconds)}, when {quickest.name} has finished, "
        f"{_lead(runners, finished)}. From moment to moment: {_in_turn(runners, moments)}."
    )


def _lead(runners: Sequence[Runner], moment: Moment) -> str:
    """Return who leads at a moment with the two highest accuracies."""
    pairs = zip(moment.accuracies, runners, strict=True)
    known = sorted(
        ((accuracy, runner.name) for accuracy, runner in pairs if accuracy is not None), key=lambda pair: -pair[0]
    )
    if not known:
        return "no model has finished an epoch yet"
    if len(known) == 1:
        return f"{known[0][1]} alone has finished an epoch ({wording.percent(known[0][0])})"
    (best, leader), (second, follower) = known[:2]
    if moment.leader is None:
        return f"{leader} and {follower} are level ({wording.percent(best)})"
    return f"{leader} leads ({wording.percent(best)} against {wording.percent(second)} of {follower})"


def _in_turn(runners: Sequence[Runner], moments: Sequence[Moment]) -> str:
    """Return who leads at each moment, those of one leader in a row put together."""
    parts = []
    for leader, group in groupby(moments, key=lambda moment: moment.leader):
        times = wording.listing([wording.seconds(moment.seconds) for moment in group])
        parts.append(f"{'nobody' if leader is None else runners[leader].name} leads after {times}")
    return "; ".join(parts)


def _table(runners: Sequence[Runner], moments: Sequence[Moment], what: str) -> Table:
    columns = (
        Column("After", "training time", number=False),
        *(Column(runner.name, "validation accuracy") for runner in runners),
        Column("Leads", number=False),
    )
    rows = tuple(
        (
            Field(wording.seconds(moment.seconds), moment.occasion, moment.seconds),
            *(
                Field(MISSING, "first epoch") if accuracy is None else Field(wording.percent(accuracy), "", accuracy)
                for accuracy in moment.accuracies
            ),
            Field("nobody" if moment.leader is None else runners[moment.leader].name),
        )
        for moment in moments
    )
    caption = (
        f"Validation accuracy at equal time, {what}: means over the seeds that were timed, each as its last finished "
        "epoch left it."
    )
    return Table(caption, columns, rows, "cells/")
