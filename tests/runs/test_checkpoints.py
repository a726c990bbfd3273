"""Checkpoints: two are kept, damage is found, a full disk costs none that was there."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from photofinish.config import CellSettings
from photofinish.config.checkpoints import CheckpointEvery
from photofinish.errors import PhotofinishError
from photofinish.runs import DataRecord
from photofinish.runs.checkpoints import (
    MANIFEST,
    STATE,
    Beginning,
    CheckpointRecord,
    CheckpointStore,
    whole_checkpoints,
)
from photofinish.storage import tensors
from photofinish.storage.sealed import DamagedError

BEGUN = Beginning(
    settings=CellSettings(model="resnet50"),
    data=DataRecord(
        name="leaves", fingerprint="a" * 64, classes=("ash", "oak"), train=6, validation=2, test=2, stored_size=(8, 8)
    ),
    sources={"w.h5": "c" * 64},
    versions={"keras": "3.15.1", "jax": "0.10.2", "tensorflow": "2.21", "python": "3.11"},
    every=CheckpointEvery(),
    folder="/somewhere",
)


def record(steps: int) -> CheckpointRecord:
    return CheckpointRecord(
        begun=BEGUN, epoch=1, step=steps, steps=steps, learning_rate=0.1, sums=(1.5, 3.0, 8.0), epochs=(),
        seconds=float(steps), data_seconds=0.0, epoch_start_seconds=0.0, validation_seconds=0.0,
        validation_compile_seconds=0.0, elapsed_seconds=0.0, checkpoint_seconds=0.0, step_from_cache=False,
    )  # fmt: skip


def arrays(value: int) -> dict[str, np.ndarray[Any, Any]]:
    return {"model/0/kernel": np.full((3, 4), value, np.float32), "model/1/state": np.array(value, np.uint32)}


@pytest.fixture
def store(tmp_path: Path) -> CheckpointStore:
    return CheckpointStore(tmp_path / "resume")


def steps_of(store: CheckpointStore) -> list[int]:
    return [store.read_record(path).steps for path in store.checkpoints]


def test_a_checkpoint_is_read_as_it_was_written(store: CheckpointStore) -> None:
    path = store.write(record(7), arrays(7))
    found, values = store.read(path)
    assert found.but(sha256={}) == record(7)
    assert {name: (one.dtype, one.tobytes()) for name, one in values.items()} == {
        name: (one.dtype, one.tobytes()) for name, one in arrays(7).items()
    }


def test_the_last_two_are_kept(store: CheckpointStore) -> None:
    for steps in (5, 10, 15):
        store.write(record(steps), arrays(steps))
    assert steps_of(store) == [15, 10]
    assert sorted(path.name for path in store.folder.iterdir()) == ["step-000000010", "step-000000015"]


@pytest.mark.parametrize("name", [STATE, MANIFEST])
@pytest.mark.parametrize("harm", ["flip", "truncate", "lose"])
def test_a_damaged_checkpoint_is_named_and_the_one_before_is_used(store: CheckpointStore, name: str, harm: str) -> None:
    store.write(record(5), arrays(5))
    path = store.write(record(10), arrays(10)) / name
    whole = path.read_bytes()
    for place in range(0, len(whole), 7):
        flipped = whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :]
        if harm == "lose":
            path.unlink(missing_ok=True)
        else:
            path.write_bytes(flipped if harm == "flip" else whole[:place])
        said: list[str] = []
        found, values = next(iter(whole_checkpoints(store, said.append)))
        assert found.steps == 5
        assert values["model/0/kernel"][0, 0] == 5
        assert len(said) == 1
        assert str(path) in said[0]


def test_going_on_from_the_earlier_of_two_keeps_it_until_there_is_another(store: CheckpointStore) -> None:
    store.write(record(5), arrays(5))
    (store.write(record(10), arrays(10)) / STATE).write_bytes(b"")
    again = CheckpointStore(store.folder)
    next(iter(whole_checkpoints(again, lambda _: None)))
    again.write(record(7), arrays(7))
    assert steps_of(again) == [7, 5], "the damaged one is gone, though it was the later"


def test_a_full_disk_is_named_and_costs_nothing_that_was_there(
    store: CheckpointStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.write(record(5), arrays(5))

    def fill_up(descriptor: int, _: Any) -> None:
        os.write(descriptor, b"a part")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(tensors, "write_chunk", fill_up)
    with pytest.raises(PhotofinishError, match="No space"):
        store.write(record(10), arrays(10))
    assert [path.name for path in store.folder.iterdir()] == ["step-000000005"]
    assert store.read(store.checkpoints[0])[0].steps == 5


def test_what_a_killed_process_left_is_no_checkpoint_and_is_removed(store: CheckpointStore) -> None:
    left = store.folder / ".building-x"
    left.mkdir(parents=True)
    (left / STATE).write_bytes(b"a part")
    assert store.checkpoints == []
    assert list(whole_checkpoints(store, pytest.fail)) == []
    store.write(record(5), arrays(5))
    assert [path.name for path in store.folder.iterdir()] == ["step-000000005"]


def test_what_is_computed_twice_is_counted(store: CheckpointStore) -> None:
    store.write(record(5), arrays(5))
    store.mark(8, 9.0)
    assert store.count_resumption(record(5)).model_dump() == {
        "resumed": 1, "repeated_steps": 3, "repeated_seconds": 4.0, "places": ("epoch 1, 5 of its steps taken",),
    }  # fmt: skip
    store.mark(6, 5.5)
    os.truncate(store.folder / "reached", 0)
    assert store.count_resumption(record(5)).resumed == 2
    assert store.interruptions().repeated_steps == 3
    assert store.interruptions().places == 2 * ("epoch 1, 5 of its steps taken",)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        (
            {"settings": BEGUN.settings.but(training=BEGUN.settings.training.but(epochs=3))},
            "epochs was 10 and is now 3",
        ),
        ({"data": BEGUN.data.but(train=5)}, "the number of training pictures was 6 and is now 5"),
        (
            {"data": BEGUN.data.but(fingerprint="b" * 64)},
            "the fingerprint of the pictures was aaaaaaaaaaaa and is now bbbbbbbbbbbb",
        ),
        ({"versions": {**BEGUN.versions, "keras": "4"}}, "the version of keras was 3.15.1 and is now 4"),
        ({"sources": {"w.h5": "d" * 64}}, f"the file behind w.h5 was {'c' * 37}... and is now {'d' * 37}..."),
        ({"settings": BEGUN.settings.but(data=BEGUN.settings.data.but(source="/elsewhere"))}, None),
        ({"versions": {**BEGUN.versions, "tensorflow": "3", "python": "3.12"}}, None),
        ({"every": CheckpointEvery(minutes=5), "folder": "/elsewhere"}, None),
    ],
)
def test_only_what_decides_the_result_keeps_a_training_from_going_on(changes: dict[str, Any], says: str | None) -> None:
    assert BEGUN.differences(BEGUN.but(**changes)) == ([says] if says else [])


def test_the_beginning_is_known_from_a_checkpoint_where_its_own_file_is_damaged(store: CheckpointStore) -> None:
    store.write_beginning(BEGUN)
    assert store.read_beginning() == BEGUN
    (store.folder / "begin.json").write_text("{}")
    with pytest.raises(DamagedError, match=r"begin\.json"):
        store.read_beginning()
    store.write(record(5), arrays(5))
    assert store.read_beginning() == BEGUN
