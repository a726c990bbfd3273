"""From the cells of a study to its `results.json`."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from statistics import fmean, median

import numpy as np
from numpy.typing import NDArray

from photofinish.evaluation.calibration import calibration_error_by_chance
from photofinish.evaluation.metrics import expected_calibration_error, log_losses, squared_errors
from photofinish.runs import AuditRecord, Predictions, RunRecord, StudyFolder
from photofinish.study.cells import Cell, FinishedCell, read_audit, read_cells, read_plan
from photofinish.study.differences import machine_of, machines_of
from photofinish.study.power import seeds_to_decide
from photofinish.study.results import (
    CalibrationEstimates,
    CalibrationResult,
    Estimate,
    ModelResult,
    PairResult,
    Results,
    SeedMean,
)
from photofinish.study.statistics import (
    LEVEL,
    compare_pair,
    holm,
    mean_accuracy,
    mean_loss,
    seconds_estimate,
    verdict,
)
from photofinish.study.warn import warnings_of


def collect(folder: StudyFolder) -> Results:
    """Read every cell of a study and compute its figures.

    Models come in the order of the plan. A model none of whose seeds finished is left out and named in the
    warnings.

    Args:
        folder: A study folder with a plan; cells may be missing or failed.

    Raises:
        StudyError: The plan or a finished cell is damaged, or the cells do not belong together.
    """
    plan = read_plan(folder)
    audit = read_audit(folder, plan)
    cells, finished = read_cells(folder, plan)
    groups: dict[str, list[FinishedCell]] = {}
    for one in finished:
        groups.setdefault(one.cell.model, []).append(one)
    machines = machines_of([[one.record for one in group] for group in groups.values()])
    models = tuple(
        _model_result(cells, group, machine, audit) for group, machine in zip(groups.values(), machines, strict=True)
    )
    return Results(
        schema=1,
        data=plan.data,
        models=models,
        pairs=tuple(_pair_results(groups)),
        warnings=tuple(warnings_of(plan, cells, finished, models, audit)),
    )


def _model_result(
    cells: Sequence[Cell], group: Sequence[FinishedCell], machine: str, audit: AuditRecord | None
) -> ModelResult:
    """Put the finished seeds of one model together, the times of those that ran on one machine."""
    name = group[0].cell.model
    timed = [one for one in group if machine_of(one.record) == machine]
    records, seconds = [one.record for one in timed], [one.seconds for one in timed]
    network = group[0].network
    calibration = _calibration(group)
    return ModelResult(
        name=name,
        parameters=network.parameters,
        trainable_parameters=network.trainable_parameters,
        macs=network.macs,
        image_size=group[0].record.settings.data.image_size,
        seeds=tuple(one.cell.seed for one in group),
        test_accuracy=mean_accuracy(_correct(group)),
        validation_accuracy=mean_accuracy(np.stack([one.validation.correct for one in group])),
        train_seconds=seconds_estimate([times.train for times in seconds]),
        compile_seconds=median(compile_seconds(timed)),
        total_seconds=median(times.total for times in seconds),
        train_images_per_second=median(record.train_images_per_second or 0.0 for record in records),
        inference_images_per_second=median(record.inference_images_per_second or 0.0 for record in records),
        peak_memory_bytes=max(record.peak_memory_bytes or 0 for record in records),
        ece=calibration.before.ece.mean,
        nll=calibration.before.nll.mean,
        failed_seeds=tuple(cell.seed for cell in cells if cell.model == name and cell.failure),
        machine=machine,
        timed_seeds=tuple(one.cell.seed for one in timed),
        resumptions=tuple(times_resumed(one.record) for one in group),
        disturbed=any(record.load is not None and record.load.is_heavy for record in records),
        calibration=calibration,
        test_accuracy_without_leaked=_without_leaked(group, audit),
    )


def _calibration(group: Sequence[FinishedCell]) -> CalibrationResult:
    """Measure the test predictions as they are and with the temperature of the seed's validation predictions."""
    return CalibrationResult(
        temperature=_seed_mean([one.temperature for one in group]),
        before=_calibration_estimates([one.test for one in group]),
        after=_calibration_estimates([one.calibrated_test for one in group]),
    )


def _calibration_estimates(seeds: Sequence[Predictions]) -> CalibrationEstimates:
    return CalibrationEstimates(
        ece=_seed_mean([expected_calibration_error(one) for one in seeds]),
        ece_by_chance=fmean(calibration_error_by_chance(one) for one in seeds),
        nll=mean_loss(np.stack([log_losses(one) for one in seeds])),
        brier=mean_loss(np.stack([squared_errors(one) for one in seeds])),
    )


def _seed_mean(values: Sequence[float]) -> SeedMean:
    return SeedMean(mean=fmean(values), per_seed=tuple(values))


def _without_leaked(group: Sequence[FinishedCell], audit: AuditRecord | None) -> Estimate | None:
    """Return the accuracy on the test pictures that have no duplicate in training, where some have and some not."""
    if audit is None:
        return None
    kept = ~np.isin(group[0].test.ids, audit.duplicates.leaked_test)
    return None if kept.all() or not kept.any() else mean_accuracy(_correct(group)[:, kept])


def times_resumed(record: RunRecord) -> int:
    """Return how often a run was interrupted and went on from a checkpoint."""
    return record.interruptions.resumed if record.interruptions else 0


def compile_seconds(group: Sequence[FinishedCell]) -> list[float]:
    """Return the compilation times of the seeds that compiled; of all where every one found its programs compiled."""
    cold = [one.seconds.compile for one in group if not one.record.step_from_cache]
    return cold or [one.seconds.compile for one in group]


def _correct(group: Sequence[FinishedCell]) -> NDArray[np.bool_]:
    """Return whether each seed was right on each test picture, shape (seeds, pictures)."""
    return np.stack([one.test.correct for one in group])


def _pair_results(groups: dict[str, list[FinishedCell]]) -> list[PairResult]:
    """Compare every two models."""
    answers = {model: _correct(group) for model, group in groups.items()}
    names = list(combinations(answers, 2))
    tests = [compare_pair(answers[a], answers[b]) for a, b in names]
    pairs = []
    for (a, b), test, p_adjusted in zip(names, tests, holm([test.p_value for test in tests]), strict=True):
        winner = verdict(test.difference, p_adjusted)
        work = seeds_to_decide(answers[a], answers[b], LEVEL / len(names)) if winner == "undecided" else None
        pairs.append(
            PairResult(
                a=a,
                b=b,
                difference=test.difference,
                low=test.low,
                high=test.high,
                p_value=test.p_value,
                p_adjusted=p_adjusted,
                test=test.test,
                verdict=winner,
                seeds_to_decide=work.seeds if work else None,
                pictures_to_decide=work.pictures if work else None,
            )
        )
    return pairs
