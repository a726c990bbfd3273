"""One cell: train a model with one seed, save it, predict, and write down what happened."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from photofinish import backend
from photofinish.config import CellSettings
from photofinish.data import PreparedData
from photofinish.runs import (
    EpochRecord,
    ModelRecord,
    Notify,
    RunFolder,
    RunRecord,
    StageEvent,
    TimeRecord,
    append_epoch,
    hardware,
    peak_resident_bytes,
    unheard,
    versions,
)
from photofinish.storage import require_free_space

PRECISION_POLICIES = {"float32": "float32", "bfloat16": "mixed_bfloat16"}


def run_cell(
    settings: CellSettings,
    prepared: Path,
    folder: RunFolder,
    *,
    notify: Notify = unheard,
    on_epoch: Callable[[EpochRecord], None] = lambda _: None,
    started: float | None = None,
) -> RunRecord:
    """Run a cell from its settings to its stored predictions.

    Args:
        settings: Model, seed, backend, data and training.
        prepared: The prepared folder of the data.
        folder: The run folder; what an earlier, unfinished attempt left there is replaced.
        notify: Is told of progress.
        on_epoch: Is given each epoch's figures, after they have been written.
        started: When the process started, on the clock of `time.perf_counter`; None is now.

    Returns:
        The record that now lies in `run.json`.

    Raises:
        PhotofinishError: The model, its weights, the data or the training is at fault.
    """
    begin = time.perf_counter() if started is None else started
    backend.select(settings.backend)
    # These import Keras, which reads the backend when it is imported.
    import keras

    from photofinish.evaluation.predict import evaluate
    from photofinish.models import Head, StochasticDepth, all_layers, build, count_macs, count_parameters, is_custom
    from photofinish.models.saved import save, saved_bytes
    from photofinish.training import train

    keras.config.set_dtype_policy(PRECISION_POLICIES[settings.training.precision])
    data = PreparedData.load(prepared)
    folder.path.mkdir(parents=True, exist_ok=True)
    for leftover in (folder.record, folder.metrics):
        leftover.unlink(missing_ok=True)

    notify(StageEvent(stage="building"))
    start = time.perf_counter()
    image_size = settings.data.image_size
    head = Head(len(data.record.classes), settings.training.dropout, settings.training.head_units)
    entrant = build(
        settings.model,
        head,
        image_size=image_size,
        # Someone's own function loads what it wants to begin with; the report says so under "Not equal".
        weights=None if is_custom(settings.model) else settings.training.weights,
        seed=settings.seed,
        batch_normalization_momentum=settings.training.batch_normalization_momentum,
    )
    build_seconds = time.perf_counter() - start

    predictions = sum(len(data.splits[split]) for split in ("validation", "test")) * 4 * len(data.record.classes)
    # A disk that is too small shows now, not when hours of training are to be saved.
    require_free_space(folder.path, saved_bytes(entrant.model) + predictions, "the trained model and its predictions")

    def record_epoch(record: EpochRecord) -> None:
        append_epoch(folder.metrics, record)
        on_epoch(record)

    outcome = train(
        entrant.model, data, image_size, settings.training, settings.seed, record=record_epoch, notify=notify
    )
    save(
        entrant,
        folder.checkpoints,
        class_names=data.record.classes,
        image_size=image_size,
        head=head,
        name=settings.model,
    )
    start = time.perf_counter()
    inference_images_per_second = evaluate(outcome.predictor, data, folder, notify)
    now = time.perf_counter()

    record = RunRecord(
        status="finished",
        settings=settings,
        data=data.record,
        model=ModelRecord(
            parameters=count_parameters(entrant.model),
            trainable_parameters=sum(int(np.prod(v.shape)) for v in entrant.model.trainable_variables),
            macs=count_macs(entrant.model, image_size),
            input_scaling=entrant.input_scaling.description,
            weights=entrant.weights,
            head=entrant.head,
            stochastic_depth=max(
                (layer.rate for layer in all_layers(entrant.model) if isinstance(layer, StochasticDepth)), default=0.0
            ),
        ),
        seconds=TimeRecord(
            build=build_seconds,
            compile=outcome.clock.compile_seconds,
            train=outcome.clock.train_seconds,
            data=outcome.clock.data_seconds,
            validation=outcome.validation_seconds,
            reestimate=outcome.reestimation_seconds,
            evaluate=now - start,
            total=now - begin,
            step=outcome.clock.step,
        ),
        steps=outcome.steps,
        statistics_reestimated=outcome.statistics_reestimated,
        train_images_per_second=settings.training.batch_size / outcome.clock.step.median,
        inference_images_per_second=inference_images_per_second,
        peak_memory_bytes=backend.peak_device_memory() or peak_resident_bytes(),
        step_from_cache=outcome.step_from_cache,
        versions=versions(),
        hardware={**hardware(), "device": backend.device_name()},
    )
    record.write(folder.record)
    notify(StageEvent(stage="finished"))
    return record
