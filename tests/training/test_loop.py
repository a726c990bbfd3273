"""The loop: it learns, counts every picture once, repeats itself exactly, and takes the steps that Keras takes."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
from keras import ops

from photofinish.config import TrainingSettings
from photofinish.data import PreparedData, batches, epoch_order
from photofinish.data.augment import resize
from photofinish.errors import TrainingError
from photofinish.models import Head, build_with_initial_values
from photofinish.models.inference import Predictor
from photofinish.runs import EpochRecord, StageEvent, unheard
from photofinish.training import TrainingOutcome, train
from photofinish.training.losses import cross_entropy, smoothed_targets

Array = np.ndarray[Any, Any]
Few = Callable[[int], PreparedData]
FINAL: dict[str, Any] = {"reestimate_statistics": "never"}


def network(
    *, dropout: float = 0.0, norm: bool = True, penalty: float = 0.0, seed: int = 0, size: int = 8
) -> keras.Model:
    def assemble() -> keras.Model:
        layers = keras.layers
        x = inputs = keras.Input((size, size, 3))
        x = layers.Rescaling(1 / 128, -1)(x)
        regularizer = keras.regularizers.L2(penalty) if penalty else None
        x = layers.Conv2D(8, 3, strides=2, use_bias=False, kernel_regularizer=regularizer, name="conv")(x)
        if norm:
            x = layers.BatchNormalization(momentum=0.9, name="bn")(x)
        x = layers.Activation("relu")(x)
        if dropout:
            x = layers.Dropout(dropout, name="drop")(x)
        return keras.Model(inputs, layers.Dense(10, name="head")(layers.Flatten()(x)))

    return build_with_initial_values(assemble, seed)


def run(
    model: keras.Model,
    data: PreparedData,
    seed: int = 0,
    image_size: int = 8,
    notify: Any = unheard,
    **changes: Any,
) -> tuple[list[EpochRecord], TrainingOutcome]:
    records: list[EpochRecord] = []
    settings = TrainingSettings.of({"epochs": 1, "batch_size": 8, **FINAL, **changes})
    outcome = train(model, data, image_size, settings, seed, record=records.append, notify=notify)
    return records, outcome


def values(model: keras.Model) -> dict[str, Array]:
    # Keras numbers the generators of a process.
    return {re.sub(r"generator_\d+/", "generator/", v.path): np.array(v.value) for v in model.variables}


def logits(model: keras.Model, images: Array) -> Array:
    return np.asarray(model(images, training=False))


def test_a_handful_of_pictures_is_learnt_by_heart(few: Few) -> None:
    model, data = network(), few(20)
    records, outcome = run(model, data, epochs=60, learning_rate=0.01, reestimate_statistics="always")
    assert records[0].train_loss > 1.5
    assert records[-1].train_loss < 0.05
    assert records[-1].train_accuracy == 1
    chosen = data.splits["train"]
    predicted = outcome.predictor(data.images, chosen).logits.argmax(axis=1)
    assert (predicted == data.labels[chosen]).all()
    assert outcome.steps == 60 * 3
    assert outcome.statistics_reestimated


@pytest.mark.parametrize("count", [3, 8, 21])
def test_an_epochs_loss_is_the_mean_over_its_pictures_each_counted_once(few: Few, count: int) -> None:
    # A rate this small leaves the network as it is.
    model, data = network(norm=False), few(count)
    expected = model_loss(model, data)
    records, _ = run(model, data, learning_rate=1e-30, optimizer="sgd")
    chosen = data.splits["train"]
    accuracy = (logits(model, data.images[chosen]).argmax(axis=1) == data.labels[chosen]).mean()
    assert records[0].train_loss == pytest.approx(expected, rel=1e-5)
    assert records[0].train_accuracy == pytest.approx(accuracy)


def model_loss(model: keras.Model, data: PreparedData, part: str = "train") -> float:
    chosen = data.splits[part]
    return float(
        np.asarray(cross_entropy(smoothed_targets(data.labels[chosen], 10), logits(model, data.images[chosen]))).mean()
    )


def test_validation_counts_every_picture_once_with_the_network_as_it_is_after_the_epoch(few: Few) -> None:
    model, data = network(), few(20)
    records, _ = run(model, data, epochs=2, learning_rate=0.01)
    chosen = data.splits["validation"]
    right = logits(model, data.images[chosen]).argmax(axis=1) == data.labels[chosen]
    assert records[-1].validation_loss == pytest.approx(model_loss(model, data, "validation"), rel=1e-4)
    assert records[-1].validation_accuracy == pytest.approx(right.mean())


def test_a_predictor_gives_every_picture_its_own_logits_whatever_the_batch(few: Few) -> None:
    model, data = network(), few(20)
    indices = np.random.default_rng(0).permutation(len(data.images))[:37]
    predictor = Predictor(model, lambda x: ops.cast(x, "float32"), 8, 10)
    done: list[tuple[int, int]] = []
    found = predictor(data.images, indices, lambda *counts: done.append(counts))
    assert predictor.batch_size == 10
    np.testing.assert_allclose(found.logits, logits(model, data.images[indices]), rtol=1e-4, atol=1e-5)
    assert done == [(10, 37), (20, 37), (30, 37), (37, 37)]
    assert len(found.batch_seconds) == 3
    assert len(predictor(data.images, indices[:3]).logits) == 3


def test_the_same_seed_gives_bit_identical_weights(few: Few) -> None:
    def trained() -> dict[str, Array]:
        model = network(dropout=0.3)
        run(model, few(21), seed=5, epochs=2, flip=True, shift=0.2, ema_decay=0.9, reestimate_statistics="always")
        return values(model)

    first, second = trained(), trained()
    assert all((first[path] == second[path]).all() for path in first)


def test_another_seed_takes_another_course(few: Few) -> None:
    losses = [run(network(), few(21), seed=seed)[0][0].train_loss for seed in (1, 2)]
    assert losses[0] != losses[1]


def test_dropout_draws_anew_at_every_step(few: Few) -> None:
    model = network(dropout=0.5, norm=False)
    before = values(model)
    run(model, few(8), epochs=3, learning_rate=1e-30, optimizer="sgd")
    state = next(path for path in before if "seed_generator" in path)
    # The generator counts its draws: one for each of three steps.
    assert values(model)[state][1] - before[state][1] == 3
    records, _ = run(model, few(8), epochs=3, learning_rate=1e-30, optimizer="sgd")
    assert len({record.train_loss for record in records}) == 3


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_a_step_is_the_step_that_keras_takes(few: Few, smoothing: float) -> None:
    ours, theirs, data = network(), network(), few(8)
    run(ours, data, learning_rate=0.01, label_smoothing=smoothing)
    theirs.compile(
        optimizer=keras.optimizers.Adam(0.01),
        loss=keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=smoothing),
    )
    chosen = data.splits["train"][epoch_order(8, 0, 1)]
    theirs.train_on_batch(data.images[chosen].astype(np.float32), np.eye(10)[data.labels[chosen]])
    before, expected = values(network()), values(theirs)
    for path, value in values(ours).items():
        assert (value != before[path]).any(), path
        np.testing.assert_allclose(value, expected[path], rtol=0, atol=1e-5, err_msg=path)


def test_a_ragged_batch_counts_its_pictures_once_and_shows_normalization_no_blanks(few: Few) -> None:
    # One step of plain gradient descent on five pictures in a batch of eight, worked out with real pictures only.
    ours, theirs, data = network(), network(), few(5)
    run(ours, data, learning_rate=0.1, optimizer="sgd")
    batch = next(batches(epoch_order(5, 0, 1), 8))
    assert batch.weights.tolist() == [1, 1, 1, 1, 1, 0, 0, 0]
    chosen = data.splits["train"][batch.indices]
    theirs.compile(
        optimizer=keras.optimizers.SGD(0.1, momentum=0.9, nesterov=True),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True, reduction="sum_over_batch_size"),
    )
    theirs.train_on_batch(data.images[chosen].astype(np.float32), data.labels[chosen], sample_weight=batch.weights)
    for path, expected in values(theirs).items():
        np.testing.assert_allclose(values(ours)[path], expected, rtol=0, atol=1e-5, err_msg=path)


def test_a_penalty_in_someones_own_model_counts_in_training_and_not_in_the_reported_loss(few: Few) -> None:
    plain, penalised = network(), network(penalty=0.5)
    (plain_record,), _ = run(plain, few(8), optimizer="sgd", learning_rate=0.1)
    (record,), _ = run(penalised, few(8), optimizer="sgd", learning_rate=0.1)
    assert record.train_loss == pytest.approx(plain_record.train_loss)
    start = np.array(network().get_layer("conv").kernel.value)
    difference = np.array(penalised.get_layer("conv").kernel.value) - np.array(plain.get_layer("conv").kernel.value)
    # The penalty's gradient is 2 x 0.5 x kernel; Nesterov's first step takes 1.9 of it.
    np.testing.assert_allclose(difference, -0.1 * 1.9 * start, rtol=1e-3, atol=1e-6)


def test_a_loss_that_is_not_a_number_stops_training_and_says_what_to_try(few: Few) -> None:
    with pytest.raises(TrainingError, match=r"(nan|inf|finite).* in epoch \d+.*try a smaller learning rate"):
        run(network(norm=False), few(21), epochs=4, optimizer="sgd", learning_rate=1e30)


def test_a_validation_loss_that_is_not_a_number_stops_training_and_says_what_to_try(few: Few) -> None:
    # Training mode does not look at the moving averages, validation does.
    model = network()
    model.get_layer("bn").moving_variance.assign(np.full(8, np.nan, np.float32))
    with pytest.raises(TrainingError, match=r"the validation loss is nan after epoch 1: try a smaller learning rate"):
        run(model, few(8))


def test_under_a_moving_average_the_averaged_weights_are_validated_and_left(few: Few) -> None:
    data = few(8)
    model = network()
    start = values(model)
    raw = network()
    run(raw, data, optimizer="sgd", learning_rate=0.1)
    (record,), outcome = run(model, data, optimizer="sgd", learning_rate=0.1, ema_decay=0.99)
    # After one step the decay is 1/10.
    for path, value in values(model).items():
        np.testing.assert_allclose(value, 0.1 * start[path] + 0.9 * values(raw)[path], rtol=1e-4, atol=1e-5)
    assert record.validation_loss == pytest.approx(model_loss(model, data, "validation"), rel=1e-4)
    chosen = data.splits["validation"]
    np.testing.assert_allclose(
        outcome.predictor(data.images, chosen).logits, logits(model, data.images[chosen]), rtol=1e-4, atol=1e-4
    )


@pytest.mark.parametrize(("choice", "expected"), [("auto", True), ("always", True), ("never", False)])
def test_a_short_runs_statistics_are_estimated_anew_unless_refused(few: Few, choice: str, expected: bool) -> None:
    model = network()
    _, outcome = run(model, few(8), reestimate_statistics=choice)
    assert outcome.statistics_reestimated is expected


def test_pictures_are_resized_to_what_the_model_takes(few: Few) -> None:
    model, data = network(size=13), few(5)
    run(model, data, image_size=13)
    chosen = data.splits["validation"]
    (record,), outcome = run(model, data, image_size=13, optimizer="sgd", learning_rate=1e-30)
    expected = logits(model, np.asarray(resize(data.images[chosen], 13)))
    np.testing.assert_allclose(outcome.predictor(data.images, chosen).logits, expected, rtol=1e-4, atol=1e-4)
    right = expected.argmax(axis=1) == data.labels[chosen]
    assert record.validation_accuracy == pytest.approx(right.mean())


def test_the_schedule_reaches_the_optimiser(few: Few) -> None:
    # Two epochs of one step: the cosine halves the second rate. SGD without gradient noise shows it in the step.
    events: list[StageEvent] = []
    records, _ = run(network(), few(8), epochs=2, schedule="cosine", learning_rate=0.02, notify=events.append)
    assert [record.learning_rate for record in records] == pytest.approx([0.02, 0.01])
    stages = [event.stage for event in events]
    assert stages[0] == "compiling"
    assert stages.count("training") >= 2
    last = [event for event in events if event.stage == "training"][-1]
    assert (last.epoch, last.done, last.total) == (2, 1, 1)
    assert last.loss == pytest.approx(records[-1].train_loss)


def test_half_the_rate_makes_half_the_step(few: Few) -> None:
    start = values(network())["head/kernel"]
    steps = []
    for rate in (0.1, 0.05):
        model = network()
        run(model, few(8), optimizer="sgd", learning_rate=rate)
        steps.append(values(model)["head/kernel"] - start)
    np.testing.assert_allclose(steps[0], 2 * steps[1], rtol=1e-3, atol=1e-6)


def test_the_test_pictures_are_not_looked_at(few: Few) -> None:
    data = few(8)
    model, blind = network(), network()
    run(model, data)
    images = np.array(data.images)
    images[data.splits["test"]] = 0
    run(blind, dataclasses.replace(data, images=images))
    assert all((value == values(blind)[path]).all() for path, value in values(model).items())


def test_bfloat16_trains_with_float32_weights_and_logits(few: Few) -> None:
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        model = network()
        outputs = Head(10, 0.0)(keras.KerasTensor((None, 4, 4, 8), dtype="bfloat16"))
    finally:
        keras.config.set_dtype_policy(before)
    assert outputs.dtype == "float32"
    assert model.get_layer("conv").compute_dtype == "bfloat16"
    (record,), outcome = run(model, few(8), learning_rate=0.01)
    assert {str(weight.dtype) for weight in model.weights} == {"float32"}
    (exact,), _ = run(network(), few(8), learning_rate=0.01)
    assert record.train_loss == pytest.approx(exact.train_loss, rel=0.02)
    assert record.train_loss != exact.train_loss
    data = few(8)
    assert outcome.predictor(data.images, data.splits["validation"]).logits.dtype == np.float32
