"""Pictures that lie where the backend computes are the same pictures: not a bit of a training changes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from photofinish import backend
from photofinish.backend import device
from photofinish.config import TrainingSettings
from photofinish.data import PreparedData
from photofinish.runs import unheard
from photofinish.training.checkpointing import copied
from photofinish.training.loop import Trainer

from .test_chained import network

Few = Callable[[int], PreparedData]


@pytest.fixture(autouse=True)
def _under_jax() -> None:
    if backend.active() != "jax":
        pytest.skip("pictures are kept on the device under JAX")


def trained(data: PreparedData) -> tuple[dict[str, Any], tuple[float, float], Trainer]:
    model, anatomy = network()
    settings = TrainingSettings(epochs=1, batch_size=8, flip=True)
    trainer = Trainer(model, data, 8, settings, 3, anatomy, unheard, chained=False)
    trainer.enter_stage()
    trainer.train_epoch(1)
    return copied(trainer.learner), trainer.validate(1), trainer


def test_a_training_on_them_is_the_same_to_the_last_bit(few: Few, monkeypatch: pytest.MonkeyPatch) -> None:
    data = few(20)
    expected, loss, before = trained(data)
    monkeypatch.setattr(backend, "resident", device.OnDevice)
    found, resident_loss, after = trained(data)
    assert isinstance(after.images, device.OnDevice)
    assert resident_loss == loss
    for name, value in expected.items():
        np.testing.assert_array_equal(found[name], value, err_msg=name)
    for one, other in zip(before.course.first_pictures, after.course.first_pictures, strict=True):
        assert type(other) is np.ndarray
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize(("share", "kind"), [(0.2, device.OnDevice), (0.3, np.ndarray)])
def test_an_accelerator_keeps_what_leaves_most_of_its_memory_free(
    monkeypatch: pytest.MonkeyPatch, share: float, kind: type
) -> None:
    images = np.arange(60, dtype=np.uint8).reshape(5, 2, 2, 3)

    class Accelerator:
        def memory_stats(self) -> dict[str, int]:
            return {"bytes_limit": round(images.nbytes / share)}

    jax = pytest.importorskip("jax")
    monkeypatch.setattr(device, "on_cpu", lambda: False)
    monkeypatch.setattr(jax, "local_devices", lambda: [Accelerator()])
    kept = backend.resident(images)
    assert type(kept) is kind
    np.testing.assert_array_equal(np.asarray(kept[np.array([4, 0, 4])]), images[[4, 0, 4]])


def test_on_a_processor_they_stay_where_they_are() -> None:
    images = np.zeros((2, 2, 2, 3), np.uint8)
    assert backend.resident(images) is images
