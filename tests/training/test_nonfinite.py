"""A step whose loss or gradient is not finite changes nothing, is named with its pictures, and is heeded as asked."""

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
from photofinish.data import PreparedData, epoch_order
from photofinish.data.augment import augmentation_draws
from photofinish.errors import TrainingError
from photofinish.models import build_with_initial_values
from photofinish.runs import EpochRecord, NonFiniteStep, StageEvent, unheard
from photofinish.training import TrainingOutcome, train
from photofinish.training.loop import NOT_CUT, Trainer
from photofinish.training.nonfinite import MOST_HALVINGS

Array = np.ndarray[Any, Any]
Few = Callable[[int], PreparedData]
SEED, BATCH = 3, 8


class InfiniteForMarked(keras.layers.Layer):  # type: ignore[misc]  # Keras has no types
    """Gives infinity for a picture that is all white, and every other as it is."""

    def call(self, pictures: Any) -> Any:
        """Divide by zero where the darkest value is 255."""
        is_marked = ops.cast(ops.min(pictures, axis=(1, 2, 3), keepdims=True) > 254, "float32")
        return pictures / (1 - is_marked)


class InfiniteSlope(keras.layers.Layer):  # type: ignore[misc]  # as above
    """Gives every picture as it is, with an infinite gradient for one that is all white."""

    def build(self, _: Any) -> None:
        """Make the one weight."""
        self.weight = self.add_weight(shape=(), initializer="zeros", name="weight")

    def call(self, pictures: Any) -> Any:
        """Add the root of a weight that is zero, whose slope there is infinite."""
        is_marked = ops.cast(ops.min(pictures, axis=(1, 2, 3), keepdims=True) > 254, "float32")
        return pictures + ops.sqrt(self.weight * is_marked + (1 - is_marked))


def network(layer: type[keras.layers.Layer] = InfiniteForMarked, dropout: float = 0.2) -> keras.Model:
    def assemble() -> keras.Model:
        inputs = keras.Input((8, 8, 3))
        x = keras.layers.Rescaling(1 / 128, -1)(layer()(inputs))
        x = keras.layers.BatchNormalization(momentum=0.9, name="bn")(x)
        x = keras.layers.Dropout(dropout, name="drop")(x)
        return keras.Model(inputs, keras.layers.Dense(10, name="head")(keras.layers.Flatten()(x)))

    return build_with_initial_values(assemble, 0)


def marked(data: PreparedData, *places: int) -> PreparedData:
    """Whiten training pictures, by their place in the first epoch."""
    images = np.array(data.images)
    order = epoch_order(len(data.splits["train"]), SEED, 1)
    for place in places:
        images[data.splits["train"][order[place]]] = 255
    return dataclasses.replace(data, images=images)


def run(
    model: keras.Model, data: PreparedData, notify: Any = unheard, **changes: Any
) -> tuple[list[EpochRecord], TrainingOutcome]:
    records: list[EpochRecord] = []
    settings = TrainingSettings.of(
        {"epochs": 1, "batch_size": BATCH, "reestimate_statistics": "never", "learning_rate": 0.01, **changes}
    )
    outcome = train(model, data, 8, settings, SEED, record=records.append, notify=notify)
    return records, outcome


def batch_ids(data: PreparedData, epoch: int, place: int) -> tuple[str, ...]:
    train = data.splits["train"]
    order = epoch_order(len(train), SEED, epoch)[place * BATCH : (place + 1) * BATCH]
    return tuple(str(name) for name in data.ids[train[order]])


def numbers(model: keras.Model) -> dict[str, Array]:
    # Keras numbers the generators of a process.
    floating = [variable for variable in model.variables if "float" in str(variable.dtype)]
    return {re.sub(r"_\d+", "", variable.path): np.array(ops.convert_to_numpy(variable.value)) for variable in floating}


@pytest.mark.parametrize(("layer", "reason"), [(InfiniteForMarked, "the loss is nan"), (InfiniteSlope, "a gradient")])
def test_the_run_stops_and_names_the_step_its_pictures_and_the_learning_rate(
    few: Few, layer: type[keras.layers.Layer], reason: str
) -> None:
    # The third of five batches.
    data = marked(few(40), 2 * BATCH + 1)
    with pytest.raises(TrainingError) as caught:
        run(network(layer), data)
    message = str(caught.value)
    assert message.startswith(reason)
    assert "at step 3, in epoch 1, learning rate 0.01; its update was not applied" in message
    expected = batch_ids(data, 1, 2)
    assert f"Its pictures: {', '.join(expected[:5])}, ... (8 in all" in message
    assert "on_nonfinite=lower-rate" in message
    assert caught.value.__notes__ == [f"pictures of step 3: {', '.join(expected)}"]


@pytest.mark.parametrize(
    ("layer", "ema_decay", "optimizer"), [(InfiniteForMarked, 0.9, "adam"), (InfiniteSlope, None, "sgd")]
)
def test_nothing_that_the_step_would_have_changed_is_changed(
    few: Few, layer: type[keras.layers.Layer], ema_decay: float | None, optimizer: str
) -> None:
    data = marked(few(BATCH), 0)
    settings = TrainingSettings(batch_size=BATCH, ema_decay=ema_decay, optimizer=optimizer, learning_rate=0.01)
    model = network(layer)
    trainer = Trainer(model, data, 8, settings, SEED, NOT_CUT, unheard)
    trainer.begin_stage(trainer.stages[1])
    states = [variable for one, _ in trainer.learner.optimizers for variable in one.variables]
    averages = trainer.average.variables if trainer.average else []

    def everything() -> list[Array]:
        return [np.array(ops.convert_to_numpy(variable.value)) for variable in (*states, *averages)] + list(
            numbers(model).values()
        )

    # The optimiser notes the rate of a step, applied or not.
    rate = next(number for number, variable in enumerate(states) if "learning_rate" in variable.path)
    before = everything()
    with pytest.raises(TrainingError):
        trainer.train_epoch(1)
    for number, (old, new) in enumerate(zip(before, everything(), strict=True)):
        assert number == rate or (old == new).all()


def test_without_the_marked_picture_the_same_step_changes_everything(few: Few) -> None:
    model = network()
    before = numbers(model)
    run(model, few(BATCH))
    assert all((before[path] != value).any() for path, value in numbers(model).items())


def take_steps(model: keras.Model, data: PreparedData, steps: list[tuple[int, float]]) -> Trainer:
    """Take compiled steps on batches of the first epoch, by their place in it, each at its own rate."""
    settings = TrainingSettings(batch_size=BATCH, optimizer="sgd", ema_decay=0.9, on_nonfinite="lower-rate")
    trainer = Trainer(model, data, 8, settings, SEED, NOT_CUT, unheard)
    trainer.begin_stage(trainer.stages[1])
    train = data.splits["train"]
    order = train[epoch_order(len(train), SEED, 1)]
    draws = augmentation_draws(BATCH, SEED, 1, trainer.stages[1].conditions.augmentation)
    for place, rate in steps:
        chosen = order[place * BATCH : (place + 1) * BATCH]
        ones = np.ones(BATCH, np.float32)
        trainer.step(data.images[chosen], data.labels[chosen], ones, draws, np.float32(rate), np.float32(0.9))
    return trainer


def test_the_next_step_is_taken_at_half_the_rate_as_if_the_other_had_not_been(few: Few) -> None:
    data = marked(few(32), BATCH, 2 * BATCH)
    met, spared = network(dropout=0.0), network(dropout=0.0)
    # The first batch twice: the steps after the marked ones are worth a half and a quarter.
    trainer = take_steps(met, data, [(0, 0.1), (1, 0.1), (3, 0.1), (2, 0.1), (0, 0.1)])
    reference = take_steps(spared, data, [(0, 0.1), (3, 0.05), (0, 0.025)])
    assert trainer.learner.guard.scale is not None
    assert float(trainer.learner.guard.scale.value) == 0.25
    ours, theirs = numbers(met), numbers(spared)
    assert all((ours[path] == theirs[path]).all() for path in theirs)
    assert trainer.average is not None
    assert reference.average is not None
    for one, other in zip(trainer.average.variables, reference.average.variables, strict=True):
        np.testing.assert_array_equal(
            np.array(ops.convert_to_numpy(one.value)), np.array(ops.convert_to_numpy(other.value))
        )


def test_training_goes_on_and_the_step_is_recorded(few: Few) -> None:
    data = marked(few(24), BATCH)
    model, again = network(), network()
    (record,), outcome = run(model, data, on_nonfinite="lower-rate")
    assert outcome.nonfinite_steps == (
        NonFiniteStep(step=2, epoch=1, reason="the loss is nan", learning_rate=0.01, pictures=batch_ids(data, 1, 1)),
    )
    assert outcome.steps == 3
    assert record.nonfinite_steps == 1
    assert record.learning_rate == pytest.approx(0.005)
    run(again, data, on_nonfinite="lower-rate")
    first, second = numbers(model), numbers(again)
    assert all((first[path] == second[path]).all() for path in first), "it repeats itself exactly"


def test_the_figures_of_the_epoch_are_of_the_steps_that_were_applied(few: Few) -> None:
    events: list[StageEvent] = []
    data = marked(few(2 * BATCH), BATCH)
    (record,), _ = run(network(), data, events.append, on_nonfinite="lower-rate")
    first, *_, last = [event for event in events if event.stage == "training"]
    assert (first.done, last.done) == (1, 2)
    assert first.loss == last.loss == record.train_loss
    assert first.accuracy == record.train_accuracy


def test_a_training_that_does_not_get_better_is_ended_and_says_how_often_the_rate_was_halved(few: Few) -> None:
    data = marked(few(16), 0)
    with pytest.raises(TrainingError, match=f"the rate was halved {MOST_HALVINGS} times before: look at these"):
        run(network(), data, epochs=20, on_nonfinite="lower-rate")


def test_an_epoch_without_any_step_that_could_be_applied_is_an_error(few: Few) -> None:
    with pytest.raises(TrainingError, match="no step of epoch 1 was applied: the loss is nan in all of them"):
        run(network(), marked(few(BATCH), 0), on_nonfinite="lower-rate")


def test_an_exploding_learning_rate_stops_training_at_its_first_loss_that_is_no_number(few: Few) -> None:
    with pytest.raises(TrainingError, match=r"^(the loss|a gradient) is .* at step [23], in epoch 1, learning rate 1e"):
        run(network(), few(40), optimizer="sgd", learning_rate=1e30)
