from __future__ import annotations

from collections.abc import Sequence

import pytest

from photofinish.report.names import with_short_names
from photofinish.report.verdict import cost_sentence, more_work, verdict_sentence
from photofinish.runs import DataRecord
from photofinish.study.results import Estimate, ModelResult, PairResult, Results


def model(name: str, accuracy: float, seconds: float = 100.0, parameters: int = 1_000_000) -> ModelResult:
    share = Estimate(mean=accuracy, low=accuracy - 0.02, high=accuracy + 0.02, per_seed=(accuracy,) * 2)
    return ModelResult(
        name=name,
        parameters=parameters,
        trainable_parameters=parameters,
        macs=None,
        image_size=32,
        seeds=(0, 1),
        test_accuracy=share,
        validation_accuracy=share,
        train_seconds=Estimate(mean=seconds, low=seconds, high=seconds, per_seed=(seconds,) * 2),
        compile_seconds=1,
        total_seconds=1,
        train_images_per_second=1,
        inference_images_per_second=1,
        peak_memory_bytes=1,
        ece=0.1,
        nll=0.1,
        failed_seeds=(),
    )


def pair(a: str, b: str, difference: float, verdict: str, **more: int | None) -> PairResult:
    return PairResult(
        a=a,
        b=b,
        difference=difference,
        low=difference - 0.013,
        high=difference + 0.013,
        p_value=0.0003,
        p_adjusted=0.0003,
        test="t",
        verdict=verdict,  # type: ignore[arg-type]  # the table below holds only the three verdicts
        **more,
    )


def results(models: Sequence[ModelResult], pairs: Sequence[PairResult]) -> Results:
    data = DataRecord(name="d", fingerprint="f", classes=("x", "y"), train=1, validation=1, test=1, stored_size=(8, 8))
    return Results(schema=1, data=data, models=tuple(models), pairs=tuple(pairs), warnings=())


def test_a_won_race_names_winner_difference_interval_and_p() -> None:
    study = results([model("net-a", 0.912), model("net-b", 0.870)], [pair("net-a", "net-b", 0.042, "a")])
    expected = "net-a is more accurate than net-b by 4.2 points (95% interval 2.9 to 5.5; p = 0.0003)."
    assert verdict_sentence(study) == expected


def test_a_win_of_the_second_model_is_told_from_its_side() -> None:
    study = results([model("net-a", 0.870), model("net-b", 0.912)], [pair("net-a", "net-b", -0.042, "b")])
    assert verdict_sentence(study).startswith(
        "net-b is more accurate than net-a by 4.2 points (95% interval 2.9 to 5.5"
    )


def test_an_undecided_race_says_what_would_settle_it() -> None:
    open_pair = pair("net-a", "net-b", 0.004, "undecided", seeds_to_decide=4, pictures_to_decide=12_345)
    sentence = verdict_sentence(results([model("net-a", 0.904), model("net-b", 0.9)], [open_pair]))
    assert sentence.startswith("Undecided: net-a (90.4%) and net-b (90.0%) differ by 0.4 points")
    assert "about 4 more seeds each or 12,000 more test pictures would settle" in sentence


def test_three_models_are_ranked_and_the_open_pair_is_named_first() -> None:
    models = [model("first", 0.91), model("second", 0.905), model("third", 0.7)]
    pairs = [
        pair("first", "second", 0.005, "undecided"),
        pair("first", "third", 0.21, "a"),
        pair("second", "third", 0.205, "a"),
    ]
    sentence = verdict_sentence(results(models, pairs))
    assert sentence.startswith("Undecided: first (91.0%) and second (90.5%)")
    assert "neither more seeds alone nor more test pictures alone would settle" in sentence
    assert sentence.endswith("It is more accurate than third.")


def test_a_leader_not_told_apart_from_a_lower_model_is_no_winner() -> None:
    models = [model("first", 0.91), model("second", 0.85), model("shaky", 0.8)]
    pairs = [
        pair("first", "second", 0.06, "a"),
        pair("first", "shaky", 0.11, "undecided"),
        pair("second", "shaky", 0.05, "undecided"),
    ]
    assert verdict_sentence(results(models, pairs)).startswith("Undecided: first (91.0%) and shaky (80.0%)")


def test_the_winner_of_three_is_set_against_the_runner_up() -> None:
    models = [model("third", 0.7), model("first", 0.91), model("second", 0.85)]
    pairs = [
        pair("third", "first", -0.21, "b"),
        pair("third", "second", -0.15, "b"),
        pair("first", "second", 0.06, "a"),
    ]
    assert verdict_sentence(results(models, pairs)).startswith(
        "first is the most accurate of 3 models, ahead of second by 6.0 points"
    )


@pytest.mark.parametrize(("count", "expected"), [(0, "no model finished"), (1, "only ran alone: 90.0%")])
def test_fewer_than_two_models_have_no_comparison(count: int, expected: str) -> None:
    study = results([model("only", 0.9)][:count], [])
    assert expected in verdict_sentence(study)
    assert cost_sentence(study) == ""


def test_the_price_is_told_as_ratios_with_both_figures() -> None:
    study = results(
        [model("big", 0.9, 840.0, 24_000_000), model("small", 0.8, 420.0, 6_000_000)],
        [pair("big", "small", 0.1, "a")],
    )
    assert cost_sentence(study) == (
        "Beside small, big took 2.0 times as long to train (14.0 min against 7.0 min) and has 4.0 times "
        "as many parameters (24.0 M against 6.00 M)."
    )


def test_times_of_different_machines_are_not_set_against_each_other() -> None:
    models = [model("big", 0.9, 840.0, 24_000_000), model("small", 0.8, 420.0, 6_000_000)]
    machines = [
        one.model_copy(update={"machine": machine}) for one, machine in zip(models, ("Xeon", "EPYC"), strict=True)
    ]
    assert cost_sentence(results(machines, [pair("big", "small", 0.1, "a")])) == (
        "What they took to train is not compared: big was timed on Xeon; small on EPYC. "
        "big has 4.0 times as many parameters (24.0 M against 6.00 M)."
    )


def test_times_that_others_disturbed_are_given_and_not_compared() -> None:
    models = [model("big", 0.9, 840.0, 24_000_000), model("small", 0.8, 420.0, 6_000_000).but(disturbed=True)]
    sentence = cost_sentence(results(models, [pair("big", "small", 0.1, "a")]))
    assert "times as long" not in sentence
    assert "(14.0 min and 7.0 min) is not compared: other programs kept the machine busy" in sentence


def test_one_more_seed_is_singular() -> None:
    open_pair = pair("a", "b", 0.01, "undecided", seeds_to_decide=1)
    assert "1 more seed each" in more_work(open_pair, results([model("a", 0.91), model("b", 0.9)], [open_pair]))


def test_what_pictures_would_settle_with_one_seed_is_only_these_trainings() -> None:
    open_pair = pair("a", "b", 0.01, "undecided", pictures_to_decide=3300)
    models = [model("a", 0.91).but(seeds=(0,)), model("b", 0.9).but(seeds=(0,))]
    of_no_use = pair("a", "b", 0.0001, "undecided")
    assert "seeds alone" not in more_work(of_no_use, results(models, [of_no_use]))
    uneven = [models[0], model("b", 0.9)]
    assert "very trainings" not in more_work(open_pair, results(uneven, [open_pair]))
    assert more_work(open_pair, results(models, [open_pair])) == (
        "about 3,300 more test pictures would settle a difference of this size between these very trainings, and tell "
        "nothing of other seeds"
    )


def two_models(a: str, b: str) -> Results:
    return results([model(a, 0.9), model(b, 0.8)], [pair(a, b, 0.1, "a")])


def test_a_model_named_by_a_path_is_called_by_its_file_and_function() -> None:
    study = with_short_names(two_models("/home/someone/nets/mine.py:build", "resnet50"))
    assert [one.name for one in study.models] == ["mine.py:build", "resnet50"]
    assert (study.pairs[0].a, study.pairs[0].b) == ("mine.py:build", "resnet50")


def test_paths_that_end_alike_keep_their_difference() -> None:
    study = with_short_names(two_models("a/mine.py:build", "b/mine.py:build"))
    assert [one.name for one in study.models] == ["a/mine.py:build", "b/mine.py:build"]
