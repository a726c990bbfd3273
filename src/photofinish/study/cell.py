"""One cell: train a model with one seed, save it, predict, and write down what happened."""

from __future__ import annotations

import contextlib
import functools
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from photofinish import backend
from photofinish.config import CellSettings, TrainingSettings, is_custom, weights_for
from photofinish.config.checkpoints import DEFAULT_EVERY, CheckpointEvery
from photofinish.data import PreparedData
from photofinish.data.augment import Augmentation
from photofinish.errors import PhotofinishError
from photofinish.runs import (
    DataRecord,
    EpochRecord,
    LoadWatch,
    ModelRecord,
    Notify,
    RunFolder,
    RunRecord,
    StageEvent,
    StageRecord,
    TimeRecord,
    append_epoch,
    hardware,
    peak_resident_bytes,
    unheard,
    versions,
)
from photofinish.runs.checkpoints import KEPT, CheckpointStore
from photofinish.runs.listings import copy_listing
from photofinish.runs.memory import MemoryRecord
from photofinish.storage import require_free_space, write_text
from photofinish.study.best import BestWeights
from photofinish.study.contact_sheet import write_sheet
from photofinish.study.resuming import beginning
from photofinish.study.space import bytes_of_a_run

if TYPE_CHECKING:  # these import Keras
    from photofinish.models import Entrant, Head
    from photofinish.training import Trained
    from photofinish.training.stages import Stage

PRECISION_POLICIES = {"float32": "float32", "bfloat16": "mixed_bfloat16"}


def run_cell(  # noqa: PLR0913  # what a run is made of, and who is told
    settings: CellSettings,
    prepared: Path,
    folder: RunFolder,
    *,
    notify: Notify = unheard,
    on_epoch: Callable[[EpochRecord], None] = lambda _: None,
    note: Callable[[str], None] = lambda _: None,
    every: CheckpointEvery = DEFAULT_EVERY,
    memory: MemoryRecord | None = None,
    started: float | None = None,
) -> RunRecord:
    """Run a cell from its settings to its stored predictions, from the last checkpoint where there is one.

    Args:
        settings: Model, seed, backend, data and training.
        prepared: The prepared folder of the data.
        folder: The run folder; of an earlier, unfinished attempt only its checkpoints are used.
        notify: Is told of progress.
        on_epoch: Is given each epoch's figures, after they have been written.
        note: Is given a sentence for the user.
        every: How often the training is saved.
        memory: What was found to fit into memory, where that was asked for.
        started: When the process started, on the clock of `time.perf_counter`; None is now.

    Returns:
        The record that now lies in `run.json`.

    Raises:
        PhotofinishError: The model, its weights, the data or the training is at fault.
    """
    begin = time.perf_counter() if started is None else started
    watch = LoadWatch()
    folder.path.mkdir(parents=True, exist_ok=True)
    opened = open_cell(settings, prepared, notify)
    data, training, head, entrant = opened.data, opened.training, opened.head, opened.entrant
    from photofinish.models.saved import saved_bytes, saving
    from photofinish.training import train_entrant
    from photofinish.training.checkpointing import Keeper

    # A disk that is too small shows now, not when hours of training are to be saved.
    checkpoints = 0 if every.never else KEPT + 1  # one more while the next is written
    needed = bytes_of_a_run(data.record, saved_bytes(entrant.model), checkpoints)
    require_free_space(folder.path, needed, "what a run writes (checkpoints, the trained model and its predictions)")
    store = CheckpointStore(folder.resume)
    begun = beginning(settings, data.record, every, memory)
    keeper = Keeper(store, begun, every, note, begin)
    saved = functools.partial(
        saving, entrant, class_names=data.record.classes, image_size=settings.data.image_size, head=head,
        name=settings.model,
    )  # fmt: skip
    best = BestWeights(folder, saved)
    _remove_leftovers(folder, best, goes_on=bool(store.checkpoints))
    store.write_beginning(begun)
    copy_listing(data.listing, folder.listing)

    epochs: list[EpochRecord] = []
    unwritten: list[EpochRecord] = []

    def record_epoch(record: EpochRecord) -> None:
        epochs.append(record)
        try:
            append_epoch(folder.metrics, record)
        except OSError as error:
            # A disk that is full for a while is not worth a training either.
            unwritten.append(record)
            note(f"warning: {folder.metrics.name} is not written and training goes on: {error.strerror}")
        on_epoch(record)

    def show(stage: Stage, stored: NDArray[np.uint8], seen: NDArray[np.float32]) -> None:
        if stage.conditions.augmentation == Augmentation() and training.training_size is None:
            return
        # A sheet is not worth a training.
        with contextlib.suppress(PhotofinishError):
            write_sheet(folder.sheet(stage.number), stored, seen)

    trained = train_entrant(
        entrant,
        settings.model,
        data,
        settings.data.image_size,
        training,
        settings.seed,
        record=record_epoch,
        notify=notify,
        show=show,
        keeper=keeper,
        best=best,
    )
    if unwritten:
        write_text(folder.metrics, "".join(f"{record.model_dump_json()}\n" for record in epochs))
    saved(folder.checkpoints)()
    best.end(epochs)
    start = time.perf_counter()
    images_per_second = _evaluate(trained, data, folder, notify)
    now = time.perf_counter()

    total = keeper.earlier_seconds + now - begin
    times = _times(trained, {"build": opened.build_seconds, "evaluate": now - start, "total": total})
    record = _record(settings, training, data.record, entrant, trained, images_per_second)
    changes = {"seconds": times, "load": watch.record(), "interruptions": keeper.interruptions, "memory": memory}
    record = record.model_copy(update=changes)
    record.write(folder.record)
    # They are three times the size of what they led to, and nothing goes on from them any more.
    store.remove()
    notify(StageEvent(stage="finished"))
    return record


def _remove_leftovers(folder: RunFolder, best: BestWeights, *, goes_on: bool) -> None:
    """Remove what an earlier attempt left and this one writes anew."""
    leftovers = [folder.record, folder.metrics]
    if not goes_on:
        leftovers += folder.sheet(1).parent.glob("stage-*.png")
        best.end(())
    for leftover in leftovers:
        leftover.unlink(missing_ok=True)


@dataclass(frozen=True)
class OpenCell:
    """A cell whose network is built and whose pictures are at hand.

    Attributes:
        data: The pictures and their division.
        training: How to train, its length in epochs.
        head: What stands on the feature map.
        entrant: The network.
        build_seconds: What building it took.
    """

    data: PreparedData
    training: TrainingSettings
    head: Head
    entrant: Entrant
    build_seconds: float


def choose_backend(settings: CellSettings) -> None:
    """Have Keras compute with a cell's backend, in its precision.

    Args:
        settings: Of the cell.

    Raises:
        SettingsError: The backend is not installed, or Keras already runs on another one.
    """
    backend.select(settings.backend)
    import keras

    keras.config.set_dtype_policy(PRECISION_POLICIES[settings.training.precision])


def open_cell(settings: CellSettings, prepared: Path, notify: Notify) -> OpenCell:
    """Choose the backend and the precision, open the pictures and build the network.

    Args:
        settings: Model, seed, backend, data and training.
        prepared: The prepared folder of the data.
        notify: Is told of progress.
    """
    choose_backend(settings)
    # This imports Keras, which reads the backend when it is imported.
    from photofinish.models import Head

    data = PreparedData.load(prepared)
    training = settings.training.for_pictures(len(data.splits["train"]))
    notify(StageEvent(stage="building"))
    start = time.perf_counter()
    head = Head(len(data.record.classes), training.dropout.largest, training.head_units)
    entrant = _build(settings, head)
    return OpenCell(data, training, head, entrant, time.perf_counter() - start)


def _build(settings: CellSettings, head: Head) -> Entrant:
    from photofinish.models import build

    training = settings.training
    return build(
        settings.model,
        head,
        image_size=settings.data.image_size,
        any_size=training.training_size is not None,
        # Someone's own function loads what it wants to begin with; the report says so under "Not equal".
        weights=None if is_custom(settings.model) else weights_for(training.weights, settings.model),
        seed=settings.seed,
        batch_normalization_momentum=training.batch_normalization_momentum,
    )


def _record(
    settings: CellSettings,
    training: TrainingSettings,
    data: DataRecord,
    entrant: Entrant,
    trained: Trained,
    images_per_second: float | None,
) -> RunRecord:
    """Write down a finished run, its times aside."""
    outcome = trained.outcome
    by_time = training.epochs * data.train / trained.train_seconds
    is_uneven = trained.features is not None or len(outcome.stages) > 1
    return RunRecord(
        status="finished",
        settings=settings,
        data=data,
        model=_model_record(entrant, trained, settings.data.image_size),
        steps=outcome.steps,
        statistics_reestimated=outcome.statistics_reestimated,
        statistics_unfolded=trained.statistics_unfolded,
        nonfinite_steps=outcome.nonfinite_steps,
        stages=_stage_records(trained),
        train_images_per_second=by_time if is_uneven else training.batch_size / outcome.clock.pace,
        inference_images_per_second=images_per_second,
        peak_memory_bytes=backend.peak_device_memory() or peak_resident_bytes(),
        step_from_cache=outcome.step_from_cache,
        features_from_cache=trained.features is not None and trained.features.from_cache,
        versions=versions(),
        hardware={**hardware(), "device": backend.device_name()},
    )


def _times(trained: Trained, seconds: dict[str, float]) -> TimeRecord:
    outcome, clock = trained.outcome, trained.outcome.clock
    of_features = trained.features.compile_seconds if trained.features else 0.0
    return TimeRecord(
        **seconds,
        compile=clock.compile_seconds,
        compile_other=outcome.other_compile_seconds + of_features,
        train=trained.train_seconds,
        warm_up=clock.warm_up_seconds,
        warm_up_steps=clock.warm_up_steps,
        data=clock.data_seconds,
        stall=clock.stall_seconds,
        checkpoints=outcome.checkpoint_seconds,
        validation=outcome.validation_seconds,
        reestimate=outcome.reestimation_seconds,
        step=clock.step,
        features=trained.feature_seconds,
    )


def _evaluate(trained: Trained, data: PreparedData, folder: RunFolder, notify: Notify) -> float | None:
    """Predict and store what the run is judged by; return pictures per second."""
    from photofinish.evaluation.predict import EVALUATED_SPLITS, evaluate

    if trained.features is None:
        return evaluate(trained.outcome.predictor, data, folder, notify)
    with_features, times = trained.features.of(EVALUATED_SPLITS)
    evaluate(trained.outcome.predictor, with_features, folder, notify)
    # The head's own time is a thousandth of the network's.
    return times["test"].images_per_second


def _model_record(entrant: Entrant, trained: Trained, image_size: int) -> ModelRecord:
    from photofinish.models import StochasticDepth, all_layers, count_macs, count_parameters

    drops = [layer.rate for layer in all_layers(entrant.model) if isinstance(layer, StochasticDepth)]
    return ModelRecord(
        parameters=count_parameters(entrant.model),
        trainable_parameters=trained.trainable_parameters,
        macs=count_macs(entrant.model, image_size),
        input_scaling=entrant.input_scaling.description,
        weights=entrant.weights,
        head=entrant.head,
        # A frozen network drops nothing.
        stochastic_depth=0.0 if trained.features else max(drops, default=0.0),
    )


def _stage_records(trained: Trained) -> tuple[StageRecord, ...]:
    outcome = trained.outcome
    return tuple(
        StageRecord(
            first_epoch=stage.first_epoch,
            last_epoch=stage.last_epoch,
            image_size=stage.conditions.image_size,
            randaugment=stage.conditions.augmentation.randaugment,
            mixup=stage.conditions.augmentation.mixup,
            cutmix=stage.conditions.augmentation.cutmix,
            dropout=stage.conditions.dropout,
            trained_share=stage.conditions.trained_share,
            train_seconds=seconds,
        )
        for stage, seconds in zip(outcome.stages, outcome.clock.program_seconds, strict=True)
    )
