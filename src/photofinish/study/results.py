"""`results.json`: the figures of a study and nothing else. Other programs read it; it changes only with its version."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, ValidationError

from photofinish.config.base import Settings
from photofinish.errors import StudyError
from photofinish.runs import DataRecord
from photofinish.storage import read_json, write_json


class Estimate(Settings):
    """A mean over seeds with its 95% interval; `per_seed` in the order of the finished seeds."""

    mean: float
    low: float
    high: float
    per_seed: tuple[float, ...]


class SeedMean(Settings):
    """A mean over seeds without an interval; `per_seed` in the order of the finished seeds."""

    mean: float
    per_seed: tuple[float, ...]


class CalibrationEstimates(Settings):
    """How well the probabilities of a model fit the truth on the test pictures.

    Attributes:
        ece: Expected calibration error, 15 bins of equal width. It has no interval: chance alone raises it, and a
            bootstrap would raise it again.
        ece_by_chance: What 95% of perfectly calibrated models with as many pictures stay below, mean over seeds.
        nll: Negative log-likelihood in nats.
        brier: Brier score, between 0 and 2.
    """

    ece: SeedMean
    ece_by_chance: float
    nll: Estimate
    brier: Estimate


class CalibrationResult(Settings):
    """The calibration of a model before and after temperature scaling.

    Attributes:
        temperature: By which the logits of each seed are divided, fitted on its validation predictions.
        before: Figures of the predictions as they are.
        after: Figures with the temperature.
    """

    temperature: SeedMean
    before: CalibrationEstimates
    after: CalibrationEstimates


class ModelResult(Settings):
    """One model over all its finished seeds.

    Attributes:
        name: The model as it was asked for.
        parameters: All parameters.
        trainable_parameters: Those the optimiser changes.
        macs: Multiply-accumulates of one picture, or None where they cannot be counted.
        image_size: Height and width in pixels.
        seeds: The finished seeds, in the order of every `per_seed`.
        test_accuracy: Between 0 and 1.
        validation_accuracy: Between 0 and 1.
        train_seconds: Seconds of training steps, without compilation and validation.
        compile_seconds: Median over the seeds that found nothing in the compilation cache, or over all where each did.
        total_seconds: Seconds of the whole process, from its start to the stored predictions.
        train_images_per_second: Median over seeds.
        inference_images_per_second: Median over seeds.
        peak_memory_bytes: Largest over seeds.
        ece: Expected calibration error on the test pictures, 15 bins of equal width, mean over seeds.
        nll: Negative log-likelihood on the test pictures in nats, mean over seeds.
        failed_seeds: Seeds whose cell failed.
        machine: What the times, speeds and memory were measured on, in words. Those of different machines must not be
            compared.
        timed_seeds: The seeds that ran on it, in the order of the times; those that ran elsewhere are left out of all
            of these.
        resumptions: How often each seed was interrupted and went on from a checkpoint. Its times are then sums over all
            its processes, without what came after a checkpoint and was computed again. Empty in files of earlier
            versions.
        disturbed: Whether one of the timed seeds ran beside other heavy work, so that its times are too long.
        calibration: Before and after temperature scaling, or None in files of earlier versions.
        test_accuracy_without_leaked: Likewise without the test pictures that have an exact or near duplicate among the
            training pictures, or None where there are none of these, none besides them, or no audit.
    """

    name: str
    parameters: int
    trainable_parameters: int
    macs: int | None
    image_size: int
    seeds: tuple[int, ...]
    test_accuracy: Estimate
    validation_accuracy: Estimate
    train_seconds: Estimate
    compile_seconds: float
    total_seconds: float
    train_images_per_second: float
    inference_images_per_second: float
    peak_memory_bytes: int
    ece: float
    nll: float
    failed_seeds: tuple[int, ...]
    machine: str = ""
    timed_seeds: tuple[int, ...] = ()
    resumptions: tuple[int, ...] = ()
    disturbed: bool = False
    calibration: CalibrationResult | None = None
    test_accuracy_without_leaked: Estimate | None = None


class PairResult(Settings):
    """Two models on the same test pictures.

    Attributes:
        a: First model.
        b: Second model.
        difference: Accuracy of `a` minus accuracy of `b`.
        low: Lower end of the difference's 95% interval.
        high: Upper end.
        p_value: Of the hypothesis that both are equally accurate.
        p_adjusted: After Holm's correction over all pairs.
        test: The test behind the p-value, in words.
        verdict: `a`, `b`, or `undecided` at a family-wise level of 5%.
        seeds_to_decide: Further seeds of each model that would settle the observed difference of an undecided
            pair at 80% power, or None where seeds would not, or not within reason.
        pictures_to_decide: Further test pictures that would, or None.
    """

    a: str
    b: str
    difference: float
    low: float
    high: float
    p_value: float
    p_adjusted: float
    test: str
    verdict: Literal["a", "b", "undecided"]
    seeds_to_decide: int | None = None
    pictures_to_decide: int | None = None


class Results(Settings):
    """All figures of a study."""

    schema_version: Literal[1] = Field(1, alias="schema")
    data: DataRecord
    models: tuple[ModelResult, ...]
    pairs: tuple[PairResult, ...]
    warnings: tuple[str, ...]

    def write(self, path: Path) -> None:
        """Write the figures, wholly or not at all."""
        write_json(path, self.model_dump(mode="json", by_alias=True))

    @classmethod
    def read(cls, path: Path) -> Results:
        """Read the figures.

        Raises:
            StudyError: The file is not a results file of this version.
        """
        try:
            return cls.model_validate(read_json(path))
        except ValidationError as error:
            raise StudyError(f"{path} is not a results file of this version: {error.errors()[0]['msg']}") from error
