"""A training that was stopped anywhere and goes on ends as one that never was: to the last bit."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import keras
import numpy as np
import pytest
from keras import ops

from photofinish.config import CellSettings, TrainingSettings
from photofinish.config.checkpoints import CheckpointEvery
from photofinish.data import PreparedData, epoch_order
from photofinish.data.augment import resize
from photofinish.data.sampling import Batch
from photofinish.errors import PhotofinishError, StopRequestedError, StudyError
from photofinish.models import Anatomy, build_with_initial_values
from photofinish.runs import EpochRecord, StageEvent, best_epoch
from photofinish.runs.checkpoints import STATE, Beginning, CheckpointStore
from photofinish.training import loop
from photofinish.training.checkpointing import Keeper, copied, put_back
from photofinish.training.loop import Trainer, train

Few = Callable[[int], PreparedData]
EVERY = CheckpointEvery(steps=5)
BASE = {"epochs": 4, "batch_size": 8, "reestimate_statistics": "always"}
COURSES: dict[str, dict[str, Any]] = {
    "everything": {
        "optimizer": "adamw", "weight_decay": 0.01, "schedule": "cosine", "warmup_epochs": 1, "ema_decay": 0.9,
        "stages": 2, "training_size": "8:16", "dropout": "0.1:0.3", "mixup": 0.2, "flip": True, "shift": 0.2,
    },
    "gradual": {"train": "gradual", "layer_decay": 0.5, "optimizer": "rmsprop"},
}  # fmt: skip


class InfiniteForWhite(keras.layers.Layer):  # type: ignore[misc]  # Keras has no types
    """Gives infinity for a picture that is all white, and every other as it is."""

    def call(self, pictures: Any) -> Any:
        """Divide by zero where the darkest value is 255."""
        is_white = ops.cast(ops.min(pictures, axis=(1, 2, 3), keepdims=True) > 254, "float32")
        return pictures / (1 - is_white)


def network() -> tuple[keras.Model, Anatomy]:
    def assemble() -> keras.Model:
        layers = keras.layers
        inputs = keras.Input((None, None, 3))
        x = InfiniteForWhite()(inputs)
        x = layers.Rescaling(1 / 128, -1)(x)
        x = layers.Conv2D(8, 3, padding="same", use_bias=False, name="low")(x)
        x = layers.BatchNormalization(momentum=0.9, name="norm")(x)
        x = layers.Conv2D(8, 3, strides=2, activation="relu", name="high")(x)
        x = layers.Dropout(0.2, name="drop")(layers.GlobalAveragePooling2D()(x))
        return keras.Model(inputs, layers.Dense(10, name="head")(x))

    model = build_with_initial_values(assemble, 0)
    low, high = ([model.get_layer(name) for name in names] for names in (("low", "norm"), ("high",)))
    return model, Anatomy(body=(low, high), head_dropouts=[model.get_layer("drop")])


def keeper_of(folder: Path, data: PreparedData, settings: TrainingSettings, said: list[str]) -> Keeper:
    begun = Beginning(
        settings=CellSettings(model="tiny", training=settings), data=data.record, sources={}, versions={}, every=EVERY,
        folder="",
    )  # fmt: skip
    return Keeper(CheckpointStore(folder), begun, EVERY, said.append, 0.0)


class Course:
    """A training that may be stopped, and gone on with by another network in the place of another process."""

    def __init__(self, data: PreparedData, folder: Path, **changes: Any) -> None:
        self.data, self.folder = data, folder
        self.settings = TrainingSettings.of({**BASE, **changes})
        self.said: list[str] = []
        self.records: list[EpochRecord] = []
        self.shown: list[tuple[int, bytes, bytes]] = []
        self.outcome: Any = None
        self.keeper: Any = None

    def run(self, stop: Callable[[StageEvent], bool] = lambda _: False) -> dict[str, bytes]:
        """Train until the end, or until `stop` says so of an event; return the weights."""
        model, anatomy = network()
        self.records.clear()

        def notify(event: StageEvent, /) -> None:
            if stop(event):
                raise StopRequestedError

        self.keeper = keeper_of(self.folder, self.data, self.settings, self.said)
        self.outcome = train(
            model, self.data, 16, self.settings, 3, anatomy=anatomy, record=self.records.append, notify=notify,
            show=lambda stage, *both: self.shown.append((stage.number, both[0].tobytes(), both[1].tobytes())),
            keeper=self.keeper,
        )  # fmt: skip
        return {str(place): np.array(one.value).tobytes() for place, one in enumerate(model.variables)}

    def stopped(self, stop: Callable[[StageEvent], bool]) -> None:
        with pytest.raises(StopRequestedError):
            self.run(stop)

    @property
    def figures(self) -> list[tuple[float, ...]]:
        return [
            (one.epoch, one.train_loss, one.train_accuracy, one.validation_loss, one.validation_accuracy,
             one.learning_rate)
            for one in self.records
        ]  # fmt: skip


def at(stage: str, epoch: int, done: int) -> Callable[[StageEvent], bool]:
    return lambda event: (event.stage, event.epoch) == (stage, epoch) and event.done >= done


def re_estimating(event: StageEvent) -> bool:
    return event.stage == "re-estimating"


STOPS = {
    "everything": (at("training", 1, 2), at("compiling", 3, 0), re_estimating),
    "gradual": (at("validating", 2, 1), at("training", 4, 1), re_estimating),
}
PLACES = {
    "everything": ["epoch 1, 2", "epoch 3, 0", "every step taken"],
    "gradual": ["epoch 2, 3", "epoch 4, 1", "every step taken"],
}


@pytest.mark.parametrize("name", COURSES)
def test_a_training_stopped_in_an_epoch_in_a_stage_and_in_validation_ends_the_same_to_the_last_bit(
    few: Few, tmp_path: Path, name: str
) -> None:
    # Three steps an epoch, the last of them not full.
    whole = Course(few(20), tmp_path / "whole", **COURSES[name])
    expected = whole.run()
    parts = Course(few(20), tmp_path / "parts", **COURSES[name])
    stops = STOPS[name]
    for stop in stops:
        parts.stopped(stop)
    assert parts.run() == expected
    assert parts.figures == whole.figures
    assert set(parts.shown) == set(whole.shown)
    assert parts.outcome.steps == whole.outcome.steps == 12
    assert len(parts.outcome.clock.program_seconds) == len(whole.outcome.stages)
    assert parts.keeper.interruptions.resumed == len(stops)
    assert [text.partition(": ")[2].partition(" of")[0] for text in parts.said] == PLACES[name]


def test_steps_that_were_not_applied_and_what_they_left_of_the_learning_rate_are_gone_on_with(
    few: Few, tmp_path: Path
) -> None:
    data = few(20)
    images = np.array(data.images)
    images[data.splits["train"][4]] = 255
    data = dataclasses.replace(data, images=images)
    whole = Course(data, tmp_path / "whole", on_nonfinite="lower-rate")
    expected = whole.run()
    parts = Course(data, tmp_path / "parts", on_nonfinite="lower-rate")
    parts.stopped(at("training", 3, 2))
    assert parts.run() == expected
    assert parts.figures == whole.figures
    assert parts.outcome.nonfinite_steps == whole.outcome.nonfinite_steps
    assert {one.epoch for one in whole.outcome.nonfinite_steps} == {1, 2, 3, 4}


def test_the_network_of_the_best_epoch_is_copied_as_it_validates(few: Few, tmp_path: Path) -> None:
    data = few(20)
    settings = TrainingSettings.of({**BASE, "epochs": 6, "ema_decay": 0.5, "learning_rate": 0.05})
    model, anatomy = network()
    written: list[int] = []
    copies: dict[int, list[np.ndarray[Any, Any]]] = {}
    records: list[EpochRecord] = []

    def copy(epoch: int) -> Callable[[], None]:
        copies[epoch] = [np.array(one.value) for one in model.weights]
        return lambda: written.append(epoch)

    train(
        model, data, 16, settings, 3, anatomy=anatomy, record=records.append, notify=lambda _: None,
        keeper=keeper_of(tmp_path, data, settings, []), best=copy,
    )  # fmt: skip
    accuracies = [one.validation_accuracy for one in records]
    assert written == [epoch for epoch in copies if best_epoch(records[:epoch]) == epoch]
    assert written[-1] == best_epoch(records)
    assert accuracies[written[-1] - 1] == max(accuracies)
    assert len(written) > 1, "it must have become better"
    for variable, value in zip(model.weights, copies[written[-1]], strict=True):
        variable.assign(value)
    images, labels = (values[data.splits["validation"]] for values in (data.images, data.labels))
    right = np.asarray(model(resize(images, 16), training=False)).argmax(axis=1) == labels
    assert right.mean() == pytest.approx(max(accuracies))


def test_time_before_a_checkpoint_counts(few: Few, tmp_path: Path) -> None:
    course = Course(few(20), tmp_path)
    course.stopped(at("training", 3, 2))
    record = CheckpointStore(tmp_path).latest_record()
    assert record is not None
    course.run()
    first, last = course.records[0], course.records[-1]
    assert course.records[:2] == list(record.epochs)
    assert last.elapsed_seconds > record.elapsed_seconds > first.train_seconds > 0
    assert course.keeper.earlier_seconds == record.seconds
    assert course.outcome.checkpoint_seconds > record.checkpoint_seconds > 0
    assert course.outcome.validation_seconds > 0


# After so many steps of all processes: before any checkpoint, after one, in the second epoch.
KILLS = (1, 6, 13)


class KilledError(Exception):
    """Stands for a signal that leaves no time for anything."""


def test_every_picture_counts_once_an_epoch_wherever_training_is_broken_off(
    few: Few, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process that is killed loses the steps since its checkpoint; they are taken again, and only they."""
    course = Course(few(45), tmp_path, epochs=2, reestimate_statistics="never")
    ledger: list[list[int]] = []
    drawn: list[list[int]] = []

    def noted(*cut: Any) -> Iterator[Batch]:
        for batch in itertools.islice(*cut):
            if len(drawn) in KILLS:
                drawn.append([])
                raise KilledError
            indices = batch.indices[batch.weights > 0].tolist()
            drawn.append(indices)
            ledger.append(indices)
            yield batch

    monkeypatch.setattr(loop, "itertools", SimpleNamespace(islice=noted))
    for _ in KILLS:
        with pytest.raises(KilledError):
            course.run()
        latest = course.keeper.store.latest_record()
        del ledger[latest.steps if latest else 0 :]
    course.run()
    assert len(ledger) == 12
    for epoch in (1, 2):
        seen = [index for indices in ledger[6 * epoch - 6 : 6 * epoch] for index in indices]
        assert seen == epoch_order(45, 3, epoch).tolist()
        assert sorted(seen) == list(range(45))


def test_a_checkpoint_that_cannot_be_written_is_told_of_once_and_training_goes_on(
    few: Few, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    course, whole = Course(few(20), tmp_path / "a"), Course(few(20), tmp_path / "b")

    def full(*_: Any) -> None:
        raise PhotofinishError("No space left on device")

    expected = whole.run()
    monkeypatch.setattr(CheckpointStore, "write", full)
    assert course.run() == expected
    assert course.said == ["warning: no checkpoint could be written and training goes on: No space left on device"]


def test_a_damaged_checkpoint_is_passed_over_for_the_one_before(few: Few, tmp_path: Path) -> None:
    expected = Course(few(20), tmp_path / "whole").run()
    course = Course(few(20), tmp_path / "parts")
    course.stopped(at("training", 3, 2))
    latest, before = course.keeper.store.checkpoints
    place = course.keeper.store.read_record(before).place
    (latest / STATE).write_bytes(b"")
    assert course.run() == expected
    assert str(latest / STATE) in course.said[0]
    assert course.said[1].endswith(f"an earlier checkpoint: {place}")


def test_a_checkpoint_of_another_training_is_not_gone_on_from(few: Few, tmp_path: Path) -> None:
    Course(few(20), tmp_path).stopped(at("training", 2, 2))
    course = Course(few(20), tmp_path, learning_rate=0.5)
    course.run()
    assert course.said == [
        "training begins anew: a checkpoint is of another one, learning_rate was 0.001 and is now 0.5"
    ]
    assert course.outcome.steps == 12
    assert course.keeper.interruptions.resumed == 0


def test_state_that_does_not_fit_is_refused_and_changes_nothing(few: Few) -> None:
    model, anatomy = network()
    settings = TrainingSettings.of({**BASE, "ema_decay": 0.9})
    learner = Trainer(model, few(20), 16, settings, 0, anatomy, lambda _: None).learner
    arrays = copied(learner)
    name = next(iter(arrays))
    before = {one: array.tobytes() for one, array in arrays.items()}
    assert len({one.partition("/")[0] for one in arrays}) == 3
    for changed in (
        {one: array for one, array in arrays.items() if one != name},
        {**arrays, "more": arrays[name]},
        {**arrays, name: arrays[name][..., :-1]},
        {**arrays, name: arrays[name].astype(np.float64)},
    ):
        with pytest.raises(StudyError, match="does not fit the training"):
            put_back(learner, changed)
    assert {one: array.tobytes() for one, array in copied(learner).items()} == before
