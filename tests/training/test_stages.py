"""Stages change what they say and nothing else: weights, averages, optimiser and schedule go on."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
from scipy.special import log_softmax

from photofinish import backend
from photofinish.catalog.scaling import OWN as OWN_SCALING
from photofinish.config import TrainingSettings
from photofinish.data import PreparedData, epoch_order
from photofinish.data.augment import Augmentation, augmentation_draws, mix
from photofinish.models import Entrant, Head, anatomy, build
from photofinish.runs import EpochRecord, StageEvent, unheard
from photofinish.training import loop
from photofinish.training.loop import train
from photofinish.training.schedules import learning_rate
from photofinish.training.stages import Stage, stages_of

Few = Callable[[int], PreparedData]


def network(dropout: float = 0.3) -> keras.Model:
    inputs = keras.Input((None, None, 3))
    x = keras.layers.Rescaling(1 / 128, -1)(inputs)
    x = keras.layers.Conv2D(8, 3, strides=2, use_bias=False, name="conv")(x)
    x = keras.layers.BatchNormalization(momentum=0.9, name="bn")(x)
    x = keras.layers.Activation("relu")(x)
    return keras.Model(inputs, Head(10, dropout)(x))


def run(
    data: PreparedData, *, notify: Any = unheard, show: Any = lambda *_: None, in_network: float = 0.3, **changes: Any
) -> Any:
    keras.utils.set_random_seed(0)
    model = network(in_network)
    records: list[EpochRecord] = []
    settings = TrainingSettings.of(
        {"batch_size": 8, "reestimate_statistics": "never", "learning_rate": 0.01, **changes}
    )
    layers = anatomy(Entrant(model, OWN_SCALING, "random", "a head"), "mine", cut=False)
    outcome = train(model, data, 8, settings, 0, anatomy=layers, record=records.append, notify=notify, show=show)
    return model, outcome, records


def test_every_strength_goes_linearly_from_the_first_stage_to_the_last() -> None:
    settings = TrainingSettings.of(
        {
            "epochs": 8,
            "stages": 4,
            "training_size": "128:380",
            "randaugment": "5:20",
            "mixup": "0:0.3",
            "cutmix": "0:0.6",
            "dropout": "0.1:0.4",
            "flip": True,
            "crop": 0.25,
            "cutout": 0.1,
        }
    )
    found = stages_of(settings, 480)
    assert [(stage.number, stage.first_epoch, stage.last_epoch) for stage in found] == [
        (1, 1, 2), (2, 3, 4), (3, 5, 6), (4, 7, 8),
    ]  # fmt: skip
    conditions = [stage.conditions for stage in found]
    assert [one.image_size for one in conditions] == [128, 212, 296, 380]
    assert [one.augmentation.randaugment for one in conditions] == [5, 10, 15, 20]
    np.testing.assert_allclose([one.augmentation.mixup for one in conditions], [0, 0.1, 0.2, 0.3])
    np.testing.assert_allclose([one.augmentation.cutmix for one in conditions], [0, 0.2, 0.4, 0.6])
    np.testing.assert_allclose([one.dropout for one in conditions], [0.1, 0.2, 0.3, 0.4])
    assert {(one.augmentation.flip, one.augmentation.crop, one.augmentation.cutout) for one in conditions} == {
        (True, 0.25, 0.1)
    }


@pytest.mark.parametrize(("epochs", "stages"), [(10, 4), (4, 4), (7, 3), (1, 1), (350, 4)])
def test_stages_cover_every_epoch_once_and_differ_by_one_epoch_at_most(epochs: int, stages: int) -> None:
    settings = TrainingSettings.of({"epochs": epochs, "stages": stages, "training_size": "16:64" if stages > 1 else 64})
    found = stages_of(settings, 64)
    covered = [epoch for stage in found for epoch in range(stage.first_epoch, stage.last_epoch + 1)]
    assert covered == list(range(1, epochs + 1))
    lengths = [stage.last_epoch - stage.first_epoch + 1 for stage in found]
    assert len(lengths) == stages
    assert max(lengths) - min(lengths) <= 1


def test_without_ranges_there_is_one_stage_at_the_image_size() -> None:
    (only,) = stages_of(TrainingSettings(epochs=5), 48)
    assert (only.conditions.image_size, only.conditions.augmentation) == (48, Augmentation())
    assert only.conditions.trained_share == 1


def test_gradual_training_goes_from_the_head_to_all_of_the_network() -> None:
    shares = [stage.conditions.trained_share for stage in stages_of(TrainingSettings(epochs=8, train="gradual"), 32)]
    np.testing.assert_allclose(shares, [0, 1 / 3, 2 / 3, 1])
    two = stages_of(TrainingSettings(epochs=2, train="gradual"), 32)
    assert [stage.conditions.trained_share for stage in two] == [0, 1]
    assert TrainingSettings(epochs=2, train="gradual").layer_decay_used == 0.65
    assert TrainingSettings().layer_decay_used == 1


def cut_in_two(settings: TrainingSettings, image_size: int) -> tuple[Stage, ...]:
    (only,) = stages_of(settings, image_size)
    half = settings.epochs // 2
    return (
        dataclasses.replace(only, last_epoch=half),
        dataclasses.replace(only, number=2, first_epoch=half + 1),
    )


@pytest.mark.parametrize("optimizer", ["adam", "rmsprop"])
def test_a_stage_that_changes_nothing_changes_no_bit_of_the_result(
    few: Few, monkeypatch: pytest.MonkeyPatch, optimizer: str
) -> None:
    changes = {"epochs": 4, "optimizer": optimizer, "ema_decay": 0.9, "schedule": "cosine", "warmup_epochs": 1}
    whole, _, records = run(few(20), **changes)
    monkeypatch.setattr(loop, "stages_of", cut_in_two)
    cut, outcome, records_when_cut = run(few(20), **changes)
    assert len(outcome.stages) == 2
    for mine, other in zip(whole.variables, cut.variables, strict=True):
        np.testing.assert_array_equal(np.array(mine.value), np.array(other.value))
    assert [one.validation_loss for one in records] == [one.validation_loss for one in records_when_cut]
    settings = TrainingSettings.of({"batch_size": 8, "learning_rate": 0.01, **changes})
    assert [one.learning_rate for one in records_when_cut] == [
        learning_rate(settings, epoch * 3 - 1, 3) for epoch in range(1, 5)
    ]


def test_a_stage_is_compiled_once_and_nothing_else_is(few: Few, monkeypatch: pytest.MonkeyPatch) -> None:
    traced: list[int] = []
    call = keras.layers.Rescaling.call

    def noted(self: keras.layers.Rescaling, inputs: Any) -> Any:
        if not isinstance(inputs, keras.KerasTensor):
            traced.append(inputs.shape[1])
        return call(self, inputs)

    monkeypatch.setattr(keras.layers.Rescaling, "call", noted)
    compiling: list[int] = []

    def notify(event: StageEvent) -> None:
        if event.stage == "compiling":
            compiling.append(event.epoch)

    run(few(20), epochs=6, stages=3, training_size="8:16", notify=notify)
    assert compiling == [1, 3, 5]
    # Three steps, and one program that validates, traced when it is first used.
    assert traced == [8, 8, 12, 16]


def test_the_network_sees_pictures_of_the_stages_size_and_dropout(few: Few) -> None:
    shown: list[tuple[Stage, Any, Any]] = []
    model, outcome, _ = run(
        few(20), epochs=4, stages=2, training_size="8:16", dropout="0:0.3", show=lambda *seen: shown.append(seen)
    )
    assert [stage.number for stage, _, _ in shown] == [1, 2]
    assert [seen.shape for _, _, seen in shown] == [(8, 8, 8, 3), (8, 16, 16, 3)]
    assert all(stored.dtype == np.uint8 and stored.shape == (8, 8, 8, 3) for _, stored, _ in shown)
    assert model.get_layer("top_dropout").rate == 0.3
    # The first stage's pictures are shown as they are.
    np.testing.assert_array_equal(shown[0][2], shown[0][1])
    assert len(outcome.clock.program_seconds) == 2
    assert sum(outcome.clock.program_seconds) == pytest.approx(outcome.clock.train_seconds)


@pytest.mark.parametrize("changes", [{"mixup": 0.7}, {"cutmix": 0.7}, {"mixup": 0.5, "cutmix": 0.5}])
def test_the_loss_of_mixed_pictures_is_that_of_their_mixed_labels(few: Few, changes: dict[str, float]) -> None:
    shown: list[Any] = []
    data = few(10)
    model, _, records = run(
        data, epochs=1, batch_size=10, learning_rate=1e-30, optimizer="sgd", in_network=0, dropout=0,
        label_smoothing=0.1, show=lambda *seen: shown.append(seen), **changes,
    )  # fmt: skip
    augmentation = Augmentation(**changes)
    order = epoch_order(10, 0, 1)
    chosen = data.splits["train"][order]
    targets = 0.9 * np.eye(10, dtype=np.float32)[data.labels[chosen]] + 0.01
    draws = augmentation_draws(10, 0, 1, augmentation)[order]
    pictures, mixed = mix(data.images[chosen].astype(np.float32), targets, draws, augmentation)
    np.testing.assert_array_equal(shown[0][2], np.round(np.asarray(pictures)).astype(np.uint8))
    logits = np.asarray(model(pictures, training=True))
    expected = -(np.asarray(mixed) * log_softmax(logits, axis=1)).sum(axis=1).mean()
    assert records[0].train_loss == pytest.approx(expected, rel=1e-5)
    plain = -(targets * log_softmax(logits, axis=1)).sum(axis=1).mean()
    assert abs(expected - plain) > 1e-3


def test_the_same_run_twice_is_the_same_to_the_last_bit(few: Few) -> None:
    changes = {
        "epochs": 2, "stages": 2, "training_size": "8:12", "randaugment": "3:9", "mixup": 0.2, "cutmix": 0.2,
        "crop": 0.3, "cutout": 0.2, "flip": True, "dropout": "0.1:0.3",
    }  # fmt: skip
    first, _, _ = run(few(20), **changes)
    second, _, _ = run(few(20), **changes)
    for mine, other in zip(first.variables, second.variables, strict=True):
        np.testing.assert_array_equal(np.array(mine.value), np.array(other.value))


@pytest.mark.parametrize("name", ["efficientnetv2-b0", "resnet50", "mobilenetv2-0.35"])
def test_a_model_of_any_size_computes_what_one_of_that_size_computes(name: str) -> None:
    pictures = np.random.default_rng(0).integers(0, 256, (2, 41, 41, 3)).astype(np.float32)
    answers = []
    for any_size in (True, False):
        model = build(name, Head(10), image_size=41, any_size=any_size, seed=0).model
        # Drawn anew, so that deep layers answer to the picture.
        for variable in model.trainable_variables:
            values = np.random.default_rng(0).normal(size=variable.shape) / np.sqrt(np.prod(variable.shape[:-1]) or 1)
            variable.assign(2 * values if len(variable.shape) > 1 else values)
        predict = backend.compiled(lambda x, model=model: model(x, training=False), model.variables, assigns=False)
        answers.append(np.asarray(predict(pictures)))
    spread = np.ptp(answers[1], axis=0).max()
    assert np.abs(answers[0] - answers[1]).max() < 1e-4 * spread
