"""The verdict of a study and its price, in one sentence each."""

from __future__ import annotations

from photofinish.report import wording
from photofinish.study.results import ModelResult, PairResult, Results

OF_ONE_SEED = "between these very trainings, and tell nothing of other seeds"


def verdict_sentence(results: Results) -> str:
    """Return who won, or that nobody did and what would settle it.

    The model with the highest mean accuracy is compared with the runner-up; it is the winner only when it is
    more accurate than every other model after the correction for the number of pairs.

    Args:
        results: The figures of the study.
    """
    if not results.models:
        return "No verdict: no model finished."
    leader, *others = ranked(results)
    if not others:
        accuracy = leader.test_accuracy
        interval = wording.interval_percent(accuracy.low, accuracy.high)
        share = wording.percent(accuracy.mean)
        return f"{leader.name} ran alone: {share} of the test pictures right (95% interval {interval})."
    open_pairs = [pair for other in others if (pair := pair_of(results, leader, other)).verdict == "undecided"]
    if open_pairs:
        return _undecided(results, leader, others, open_pairs)
    runner_up = others[0]
    gap = _gap(pair_of(results, leader, runner_up), leader)
    if len(others) == 1:
        return f"{leader.name} is more accurate than {runner_up.name} by {gap}."
    rank = f"the most accurate of {len(results.models)} models"
    return f"{leader.name} is {rank}, ahead of {runner_up.name} by {gap}."


def cost_sentence(results: Results) -> str:
    """Return what the leading model costs beside the runner-up, or nothing where there is no pair.

    Args:
        results: The figures of the study.
    """
    if len(results.models) < 2:
        return ""
    leader, other = ranked(results)[:2]
    ours, theirs = leader.train_seconds.mean, other.train_seconds.mean
    longer = wording.ratio(ours / theirs) if theirs > 0 else "?"
    more = wording.ratio(leader.parameters / other.parameters) if other.parameters else "?"
    sizes = f"{wording.large(leader.parameters)} against {wording.large(other.parameters)}"
    parameters = f"{more} times as many parameters ({sizes})"
    if leader.machine != other.machine:
        return (
            f"What they took to train is not compared: {leader.name} was timed on {leader.machine}; {other.name} on "
            f"{other.machine}. {leader.name} has {parameters}."
        )
    if leader.disturbed or other.disturbed:
        return (
            f"Beside {other.name}, {leader.name} has {parameters}. What they took to train "
            f"({wording.seconds(ours)} and {wording.seconds(theirs)}) is not compared: other programs kept the machine "
            "busy meanwhile."
        )
    return (
        f"Beside {other.name}, {leader.name} took {longer} times as long to train "
        f"({wording.seconds(ours)} against {wording.seconds(theirs)}) and has {parameters}."
    )


def ranked(results: Results) -> list[ModelResult]:
    """Return the models by mean test accuracy, the highest first; equals stay in the order of the plan."""
    return sorted(results.models, key=lambda model: -model.test_accuracy.mean)


def pair_of(results: Results, first: ModelResult, second: ModelResult) -> PairResult:
    """Return the comparison of two models, whichever of them comes first in it."""
    names = {first.name, second.name}
    return next(pair for pair in results.pairs if {pair.a, pair.b} == names)


def more_work(pair: PairResult, results: Results) -> str:
    """Return what would settle an undecided pair, in words.

    Args:
        pair: Of two models.
        results: The figures of the study, which know how many seeds they ran with.
    """
    options = []
    if pair.seeds_to_decide is not None:
        seeds = "seed" if pair.seeds_to_decide == 1 else "seeds"
        options.append(f"{wording.about(pair.seeds_to_decide)} more {seeds} each")
    if pair.pictures_to_decide is not None:
        options.append(f"{wording.about(pair.pictures_to_decide)} more test pictures")
    of_one_seed = all(len(model.seeds) == 1 for model in results.models if model.name in {pair.a, pair.b})
    if of_one_seed and not options:
        return f"no reasonable number of test pictures would settle a difference of this size {OF_ONE_SEED}"
    if not options:
        return (
            "neither more seeds alone nor more test pictures alone would settle a difference of this size, in any "
            "reasonable number"
        )
    settled = f"about {' or '.join(options)} would settle a difference of this size"
    if not of_one_seed:
        return settled
    return f"{settled} {OF_ONE_SEED}"


def _undecided(results: Results, leader: ModelResult, others: list[ModelResult], open_pairs: list[PairResult]) -> str:
    pair = open_pairs[0]
    rival = pair.b if pair.a == leader.name else pair.a
    accuracies = {model.name: wording.percent(model.test_accuracy.mean) for model in results.models}
    sentence = (
        f"Undecided: {leader.name} ({accuracies[leader.name]}) and {rival} ({accuracies[rival]}) differ by "
        f"{_gap(pair, leader)}; {more_work(pair, results)}."
    )
    rivals = {name for one in open_pairs for name in (one.a, one.b)} - {leader.name}
    also = [model.name for model in others if model.name in rivals - {rival}]
    beaten = [model.name for model in others if model.name not in rivals]
    if also:
        sentence += f" Nor is {leader.name} told apart from {_named(also)}."
    if beaten:
        sentence += f" It is more accurate than {_named(beaten)}."
    return sentence


def _named(models: list[str]) -> str:
    """Return a few models by name; a long list would bury the verdict, and the table of pairs has it."""
    return wording.listing(models) if len(models) <= 3 else f"{len(models)} others"


def _gap(pair: PairResult, leader: ModelResult) -> str:
    """Return a difference as seen from the leader."""
    low, high = (pair.low, pair.high) if pair.a == leader.name else (-pair.high, -pair.low)
    difference = wording.points(pair.difference, signed=False)
    interval, p_value = wording.interval_points(low, high), wording.equals(wording.p_value(pair.p_adjusted))
    adjusted = "adjusted " if pair.p_adjusted != pair.p_value else ""
    return f"{difference} points (95% interval {interval}; {adjusted}{p_value})"
