"""What a reader of the figures must know, in plain sentences."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from photofinish.runs import AuditRecord, RunRecord
from photofinish.study.cells import Cell, FinishedCell
from photofinish.study.differences import machine_of
from photofinish.study.plan import Plan
from photofinish.study.results import ModelResult

FEW_TEST_PICTURES = 100
"""With fewer, the 95% interval of one accuracy of 80% is wider than 16 points."""

MOST_NAMED = 5
"""Pictures that a warning names; audit.json names all."""


def warnings_of(
    plan: Plan,
    cells: Sequence[Cell],
    finished: Sequence[FinishedCell],
    models: Sequence[ModelResult],
    audit: AuditRecord | None = None,
) -> list[str]:
    """Return the warnings of a study, the gravest first.

    Args:
        plan: What was planned.
        cells: Every planned cell.
        finished: The cells with predictions.
        models: The results of the models with at least one finished seed.
        audit: What was found odd about the pictures, where that was looked for.
    """
    return [
        *_failures(plan, cells, models),
        *_chance_level(finished, models),
        *_seeds(models),
        *_test_set(plan),
        *_leaked(plan, models, audit),
        *_not_applied(finished),
        *_treatment(plan, finished),
        *_passes(plan, finished),
        *_unfolded(plan, finished),
        *_features(plan, finished),
        *_joined(plan),
        *_left_out(plan),
        *_machines(finished, models),
        *_resumed(finished),
        *_compilation(plan, finished),
        *_other_load(plan, finished),
    ]


def _failures(plan: Plan, cells: Sequence[Cell], models: Sequence[ModelResult]) -> Iterator[str]:
    compared = {model.name for model in models}
    for name in plan.models:
        failed = [cell for cell in cells if cell.model == name and cell.failure]
        if failed and name not in compared:
            yield f"{name} is not in the comparison: none of its seeds finished."
        reasons: dict[str, list[str]] = {}
        for cell in failed:
            reasons.setdefault((cell.failure or "").rstrip("."), []).append(str(cell.seed))
        for reason, seeds in reasons.items():
            yield f"{_seed(seeds)} of {name} failed: {reason}."


def _chance_level(finished: Sequence[FinishedCell], models: Sequence[ModelResult]) -> Iterator[str]:
    if not finished:
        return
    counts = np.bincount(finished[0].test.labels)
    largest = float(counts.max() / counts.sum())
    for model in models:
        if model.test_accuracy.low <= largest:
            yield (
                f"{model.name} is not shown to be better than always answering with the largest class, "
                f"which is right on {largest:.1%} of the test pictures."
            )


def _seeds(models: Sequence[ModelResult]) -> Iterator[str]:
    single = [model.name for model in models if len(model.seeds) == 1]
    if single:
        yield (
            f"One finished seed only ({', '.join(single)}): the interval covers the choice of test pictures "
            "and says nothing about training noise. Run at least three seeds."
        )
    double = [model.name for model in models if len(model.seeds) == 2]
    if double:
        yield (
            f"Two finished seeds only ({', '.join(double)}): two values say little about their own spread, "
            "so the interval is wide. A third seed narrows it the most."
        )


def _test_set(plan: Plan) -> Iterator[str]:
    if plan.data.test < FEW_TEST_PICTURES:
        yield f"The test set has {plan.data.test} pictures only, so every interval is wide."
    if plan.data.repeated_across_splits:
        yield (
            f"{plan.data.repeated_across_splits:,} validation and test pictures are, byte for byte, in another split "
            "too, so that accuracy is overstated."
        )
    if plan.data.skipped:
        skipped = [one.partition(": ")[0] for one in plan.data.skipped]
        yield f"Pictures that do not decode were left out: {len(skipped):,} ({_some(skipped)})."


def _leaked(plan: Plan, models: Sequence[ModelResult], audit: AuditRecord | None) -> Iterator[str]:
    leaked = audit.duplicates.leaked_test if audit else ()
    if not leaked or not models:
        return
    sentence = (
        f"{len(leaked):,} of {plan.data.test:,} test pictures {'has' if len(leaked) == 1 else 'have'} an exact or near "
        f"duplicate among the training pictures ({_some(leaked)})"
    )
    pairs = [(model, model.test_accuracy_without_leaked) for model in models]
    changes = [
        f"{model.name} has {new.mean:.1%} instead of {model.test_accuracy.mean:.1%}" for model, new in pairs if new
    ]
    yield (
        f"{sentence}; without them {', '.join(changes)}."
        if changes
        else f"{sentence}: nothing else is left to test on."
    )


def _some(names: Sequence[str]) -> str:
    """Return the first of some names, and how many more there are."""
    more = len(names) - MOST_NAMED
    return ", ".join(names[:MOST_NAMED]) + (f" and {more:,} more" if more > 0 else "")


def _compilation(plan: Plan, finished: Sequence[FinishedCell]) -> Iterator[str]:
    cold = {one.cell.model for one in finished if not one.record.step_from_cache}
    warm = [name for name in plan.models if name not in cold and any(one.cell.model == name for one in finished)]
    if warm:
        yield f"The compile time of {', '.join(warm)} is that of finding the training step in the compilation cache."


def _other_load(plan: Plan, finished: Sequence[FinishedCell]) -> Iterator[str]:
    """Name the cells whose times were measured beside other heavy work."""
    loads = []
    who = []
    for name in plan.models:
        own = [one for one in finished if one.cell.model == name]
        beside = [(one.cell.seed, one.record.load) for one in own if one.record.load and one.record.load.is_heavy]
        loads += [load for _, load in beside]
        seeds = ", ".join(str(seed) for seed, _ in beside)
        if beside:
            who.append(name if len(beside) == len(own) else f"{name} (seed {seeds})")
    if who:
        worst = max(loads, key=lambda load: (load.others or 0.0, load.peak))
        yield (
            f"{', '.join(who)} ran beside other heavy work: {worst.evidence}. Times are longer than on a quiet "
            "machine, and those of different models may not be compared."
        )


def _joined(plan: Plan) -> Iterator[str]:
    if plan.seeds_joined:
        yield (
            "Seeds were added after results had been seen. Intervals and p-values are computed as if their number had "
            "been fixed beforehand, so they are somewhat too favourable."
        )


def _left_out(plan: Plan) -> Iterator[str]:
    """Say which cells two studies had, and whose was taken."""
    owner = {member: study.name for study in plan.joined for member in study.cells}
    for study in plan.joined:
        named: dict[str, list[str]] = {}
        for model, seed in study.left_out:
            named.setdefault(f"{model} from {owner[model, seed]}", []).append(str(seed))
        for what, seeds in named.items():
            model, _, taken = what.rpartition(" from ")
            yield (
                f"{_seed(seeds)} of {model}: in both {taken} and {study.name}, with the same settings. "
                f"What {taken} has was taken."
            )


def _machines(finished: Sequence[FinishedCell], models: Sequence[ModelResult]) -> Iterator[str]:
    """Say that times of different machines stand side by side, and which seeds' times were left out."""
    if len({model.machine for model in models}) > 1:
        yield "Not all models were timed on the same machine, so their times, speeds and memory are not compared."
    for model in models:
        elsewhere = [
            str(one.cell.seed)
            for one in finished
            if one.cell.model == model.name and machine_of(one.record) != model.machine
        ]
        if elsewhere:
            yield (
                f"{_seed(elsewhere)} of {model.name} ran on another machine than its others, so that these times are "
                "not in its figures."
            )


def _not_applied(finished: Sequence[FinishedCell]) -> Iterator[str]:
    """Name the cells in which steps were left out, and how much of the learning rate they went on with."""
    for one in finished:
        steps = one.record.nonfinite_steps
        if steps:
            numbers = ", ".join(str(step.step) for step in steps)
            yield (
                f"{one.cell.name}: {_steps(len(steps))} not applied, because loss or gradient was no finite number "
                f"({numbers}). The rest was trained at less than the recipe's learning rate, in the end at "
                f"1/{2 ** len(steps)} of it; run.json names the pictures."
            )


def _resumed(finished: Sequence[FinishedCell]) -> Iterator[str]:
    """Name the cells that were interrupted: their times are of several processes."""
    for one in finished:
        record = one.record.interruptions
        if record is None or not record.resumed:
            continue
        often = "once" if record.resumed == 1 else f"{record.resumed} times"
        where = f", from {'; '.join(record.places)}" if record.places else ""
        lost = f"{record.repeated_steps:,} steps ({record.repeated_seconds:.1f} s) after a checkpoint were lost"
        again = f"; {lost}, computed again, and count once" if record.repeated_steps else ""
        yield (
            f"{one.cell.name} was interrupted and resumed {often}{where}. Its times, compilation too, are sums over "
            f"its parts{again}."
        )


def _steps(count: int) -> str:
    return "1 step was" if count == 1 else f"{count} steps were"


def _treatment(plan: Plan, finished: Sequence[FinishedCell]) -> Iterator[str]:
    anew = _models(plan, finished, lambda record: bool(record.statistics_reestimated))
    if anew and plan.training.reestimate_statistics == "auto":
        yield (
            f"The run was short, so BatchNormalization's averages were estimated anew from training pictures "
            f"before evaluation ({anew})."
        )


def _passes(plan: Plan, finished: Sequence[FinishedCell]) -> Iterator[str]:
    training = plan.training
    names = _models(plan, finished, lambda record: record.settings.training.passes > 1)
    if names:
        yield (
            f"Each training step of {names} took its {training.batch_size} pictures in {training.passes} passes of "
            f"{training.pictures_at_once}: the gradients are those of the whole batch, but BatchNormalization, where a "
            "network has it, took its statistics over one pass."
        )


def _unfolded(plan: Plan, finished: Sequence[FinishedCell]) -> Iterator[str]:
    names = _models(plan, finished, lambda record: record.statistics_unfolded)
    if names:
        yield (
            f"The weights of {names} came with BatchNormalization folded into the convolutions; it was given the "
            "statistics of training pictures before training, which changes no prediction."
        )


def _features(plan: Plan, finished: Sequence[FinishedCell]) -> Iterator[str]:
    if plan.training.train != "head" or not finished:
        return
    names = _models(plan, finished, lambda record: record.features_from_cache)
    cached = f" Some seeds of {names} found them in the cache, so that Train may exceed Total." if names else ""
    yield (
        "Only the head was trained, on features that the frozen network computed once. Training time contains what "
        f"these features cost when they were computed.{cached}"
    )


def _seed(seeds: Sequence[str]) -> str:
    return f"{'Seed' if len(seeds) == 1 else 'Seeds'} {', '.join(seeds)}"


def _models(plan: Plan, finished: Sequence[FinishedCell], holds: Callable[[RunRecord], bool]) -> str:
    """Name the models, in the plan's order, of which any seed's record is such a one."""
    found = {one.cell.model for one in finished if holds(one.record)}
    return ", ".join(name for name in plan.models if name in found)
