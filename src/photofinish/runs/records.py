"""What a run writes down: `run.json` and the lines of `metrics.jsonl`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar, Literal

from pydantic import Field

from photofinish.config.base import Settings
from photofinish.config.settings import CellSettings
from photofinish.errors import StudyError
from photofinish.runs.load import LoadRecord
from photofinish.runs.memory import MemoryRecord
from photofinish.runs.stored import StoredRecord


class DataRecord(Settings):
    """The pictures a run saw.

    Attributes:
        name: Name of the data set, as it should be printed.
        fingerprint: SHA-256 over every picture, label and split assignment.
        classes: Class names in label order.
        train: Number of training pictures.
        validation: Number of validation pictures.
        test: Number of test pictures.
        stored_size: Height and width in pixels at which the pictures are kept; models see them resized to image_size.
        skipped: Pictures left out because they do not decode, as `name: reason`.
        repeated_across_splits: Validation and test pictures that are, byte for byte, in another split too.
    """

    name: str
    fingerprint: str
    classes: tuple[str, ...]
    train: int
    validation: int
    test: int
    stored_size: tuple[int, int]
    skipped: tuple[str, ...] = ()
    repeated_across_splits: int = 0


class ModelRecord(Settings):
    """The network as it was trained.

    Attributes:
        parameters: All parameters, BatchNormalization's averages included.
        trainable_parameters: Those the optimiser changes.
        macs: Multiply-accumulates of one picture at the run's image size, or None where they cannot be counted.
        input_scaling: How the model scales pictures of 0-255, in words.
        weights: What the weights were before training: `random`, or the name of a weight set.
        head: What stands on the feature map, in words.
        stochastic_depth: Largest probability with which a residual branch is dropped in training.
    """

    parameters: int
    trainable_parameters: int
    macs: int | None
    input_scaling: str
    weights: str
    head: str = "not recorded"
    stochastic_depth: float | None = None


class StageRecord(Settings):
    """A stage of training: epochs under the same conditions.

    Attributes:
        first_epoch: 1 for the first.
        last_epoch: Its last one.
        image_size: Height and width of training pictures in pixels.
        randaugment: Magnitude of RandAugment.
        mixup: Parameter of mixup's Beta distribution.
        cutmix: Likewise of CutMix.
        dropout: Dropout before the classifier.
        trained_share: Share of the network's parts that were trained, from the top; the head always was.
        train_seconds: Seconds of its training steps, without compilation.
    """

    first_epoch: int
    last_epoch: int
    image_size: int
    randaugment: float
    mixup: float
    cutmix: float
    dropout: float
    trained_share: float
    train_seconds: float


class StepSeconds(Settings):
    """Seconds of one training step after warm-up, without waiting for data: median and quartiles.

    A record without `TimeRecord.stall` was made by a version in which waiting was part of it.
    """

    median: float
    low: float
    high: float


class TimeRecord(Settings):
    """Where the time of a run went, in seconds of wall time.

    Attributes:
        build: Building the network and its initial values.
        compile: Tracing, compiling and first execution of the training step, beyond one step's ordinary time.
        train: All training steps, without compilation and validation.
        data: Part of `train` in which the processor made batches; the device may have computed meanwhile.
        validation: Validation after each epoch, without compilation.
        reestimate: Estimating BatchNormalization's averages anew, without compilation.
        evaluate: Predicting the validation and test pictures at the end.
        total: The whole run from the start of its process, without what that waited for its task; of a run that was
            resumed, what counts of all its processes.
        step: One training step.
        features: Part of `train` in which the frozen network's features of the training pictures were computed, as
            measured then: later seeds find them in the cache.
        compile_other: What `compile` is, of the programs that predict and estimate averages. In this and the next three
            None is "not recorded": the run is of an older version.
        warm_up: Part of `train`: the first steps after the one that compiled, in every stage, without waiting for data.
        warm_up_steps: How many steps that were.
        stall: Part of `train` in which the device waited for data, see `photofinish.training.clock.StepClock`.
        checkpoints: Seconds for which training stood still to be copied for checkpoints; no part of `train`.
    """

    build: float
    compile: float
    train: float
    data: float
    validation: float
    reestimate: float
    evaluate: float
    total: float
    step: StepSeconds
    features: float = 0.0
    compile_other: float | None = None
    warm_up: float | None = None
    warm_up_steps: int | None = None
    stall: float | None = None
    checkpoints: float | None = None


class InterruptionRecord(Settings):
    """How often a run was ended before its time and went on from a checkpoint.

    Attributes:
        resumed: How often it went on.
        repeated_steps: Training steps that were taken twice, because they came after the last checkpoint. The first
            time counts nowhere.
        repeated_seconds: Wall time from the checkpoint to the last sign of life, likewise.
        places: How far training had come at each checkpoint that it went on from, in words.
    """

    resumed: int = 0
    repeated_steps: int = 0
    repeated_seconds: float = 0.0
    places: tuple[str, ...] = ()


class NonFiniteStep(Settings):
    """A training step that was not applied.

    Attributes:
        step: 1 for the first of the run.
        epoch: Likewise.
        reason: What was no finite number, in words.
        learning_rate: At which it would have been applied.
        pictures: Names of the pictures that it saw.
    """

    step: int
    epoch: int
    reason: str
    learning_rate: float
    pictures: tuple[str, ...]


class RunRecord(StoredRecord):
    """`run.json`: a run from its settings to its speed.

    Attributes:
        schema_version: Version of this layout.
        status: `finished`, or `failed` with `error` saying why.
        settings: What was asked for.
        data: The pictures.
        model: The network.
        seconds: Where the time went.
        steps: Training steps taken.
        statistics_reestimated: Whether BatchNormalization's averages were estimated anew before evaluation.
        statistics_unfolded: Whether the weights' BatchNormalization was folded and given statistics before training.
        stages: The stages of training.
        train_images_per_second: Pictures in a batch over the median time from step to step, waiting for data included;
            with several stages, or with features, pictures of all epochs over the time of training.
        inference_images_per_second: Pictures in a batch over the median time to predict one.
        peak_memory_bytes: Largest resident memory of the process, or device memory where there is a device.
        versions: Versions of Python and the libraries that computed.
        hardware: Processor, cores, memory, accelerator.
        step_from_cache: Whether the training step of any stage was found compiled in the persistent cache.
        features_from_cache: Whether the frozen network's features were found in the cache.
        load: What else the machine was doing.
        nonfinite_steps: Training steps that were not applied.
        interruptions: How often it was resumed, or None in records of earlier versions.
        memory: What was found to fit into memory, where `auto` was asked for.
        error: Why it failed.
    """

    called: ClassVar[str] = "a run record"
    remedy: ClassVar[str] = "delete the folder to run it again"

    schema_version: Literal[1] = 1
    status: Literal["finished", "failed"]
    settings: CellSettings
    data: DataRecord | None = None
    model: ModelRecord | None = None
    seconds: TimeRecord | None = None
    steps: int | None = None
    statistics_reestimated: bool | None = None
    statistics_unfolded: bool = False
    stages: tuple[StageRecord, ...] = ()
    train_images_per_second: float | None = None
    inference_images_per_second: float | None = None
    peak_memory_bytes: int | None = None
    versions: dict[str, str] = Field(default_factory=dict)
    hardware: dict[str, str] = Field(default_factory=dict)
    step_from_cache: bool = False
    features_from_cache: bool = False
    load: LoadRecord | None = None
    nonfinite_steps: tuple[NonFiniteStep, ...] = ()
    interruptions: InterruptionRecord | None = None
    memory: MemoryRecord | None = None
    error: str | None = None

    @property
    def rate_halvings(self) -> int:
        """How often the learning rate was halved for all steps to come."""
        return len(self.nonfinite_steps)


class EpochRecord(Settings):
    """One line of `metrics.jsonl`.

    Attributes:
        epoch: 1 for the first.
        train_loss: Mean loss over the epoch's training pictures, as they were seen (augmented, network changing).
        train_accuracy: Likewise, between 0 and 1.
        validation_loss: Mean cross-entropy over the validation pictures after the epoch.
        validation_accuracy: Likewise, between 0 and 1.
        learning_rate: What the schedule gave the epoch's last step, times what halvings have left of it.
        train_seconds: Seconds of this epoch's training steps, without compilation.
        elapsed_seconds: Training seconds up to the end of this epoch.
        nonfinite_steps: Steps of this epoch that were not applied, and are in none of its figures.
    """

    epoch: int
    train_loss: float
    train_accuracy: float
    validation_loss: float
    validation_accuracy: float
    learning_rate: float
    train_seconds: float
    elapsed_seconds: float
    nonfinite_steps: int = 0


def best_epoch(epochs: Sequence[EpochRecord]) -> int:
    """Return the epoch of the highest validation accuracy, of these that of the lowest loss, of these the first.

    Args:
        epochs: In order, at least one.
    """
    return max(epochs, key=lambda one: (one.validation_accuracy, -one.validation_loss)).epoch


def append_epoch(path: Path, record: EpochRecord) -> None:
    """Add a line to `metrics.jsonl`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as file:
        file.write(record.model_dump_json() + "\n")


def read_epochs(path: Path) -> list[EpochRecord]:
    """Read `metrics.jsonl`; an absent file has no lines.

    Raises:
        StudyError: A line cannot be read.
    """
    if not path.exists():
        return []
    # Line breaks of other kinds may stand in a text.
    lines = path.read_bytes().split(b"\n")
    return [_read_epoch(path, number, line) for number, line in enumerate(lines, start=1) if line]


def _read_epoch(path: Path, number: int, line: bytes) -> EpochRecord:
    try:
        return EpochRecord.model_validate_json(line)
    except ValueError as error:
        raise StudyError(
            f"{path}, line {number}: not an epoch of this version of photofinish; run the same command again"
        ) from error
