"""A long training that begins segment by segment goes on in one program, at the same step whatever happens."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from photofinish import backend
from photofinish.backend import behind, programs
from photofinish.backend.compiling import CompilerProcess
from photofinish.config import TrainingSettings
from photofinish.data import PreparedData
from photofinish.errors import StopRequestedError
from photofinish.models import Head, build
from photofinish.runs import StageEvent, unheard
from photofinish.training import beginning, loop
from photofinish.training.beginning import StepWithBeginning, begins_chained
from photofinish.training.checkpointing import copied, put_back
from photofinish.training.loop import Trainer

from .test_chained import BASE, assert_same, network, state_after

Few = Callable[[int], PreparedData]
CHANGES: dict[str, Any] = {"epochs": 2, "ema_decay": 0.9}


@pytest.fixture(autouse=True)
def begins(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let any network that may be a chain begin as one, and for two steps only."""
    if not backend.chains():
        pytest.skip("networks are chained under JAX on a processor only")
    monkeypatch.setenv("PHOTOFINISH_CACHE", str(tmp_path))
    monkeypatch.setattr(beginning, "BEGINNING", 2)
    monkeypatch.setattr(loop, "begins_chained", lambda _: True)
    monkeypatch.setattr(loop, "pays", lambda *_, **__: False)


def trainer_of(data: PreparedData, **changes: Any) -> Trainer:
    model, anatomy = network()
    settings = TrainingSettings.of({**BASE, **CHANGES, **changes})
    return Trainer(model, data, 8, settings, 3, anatomy, unheard, program="the network of these tests")


def train(trainer: Trainer) -> None:
    for epoch in range(trainer.course.epoch, trainer.settings.epochs + 1):
        trainer.course.epoch = epoch
        trainer.enter_stage()
        trainer.train_epoch(epoch, taken=trainer.course.step)
        trainer.course.step = 0
    trainer.close()


def test_it_computes_what_one_program_computes_and_ends_in_it(few: Few) -> None:
    data = few(20)
    trainer = trainer_of(data)
    train(trainer)
    assert isinstance(trainer.step, StepWithBeginning)
    assert trainer.step._chained is None
    expected = state_after(data, chained=False, **CHANGES)
    values = [expected[name] for name in expected if name not in {"sums", "not applied"}]
    found = list(copied(trainer.learner).values())
    assert len(found) == len(values)
    assert_same(dict(enumerate(found)), dict(enumerate(values)))
    # Its first step and the first in one program; the others are ordinary ones.
    compiled = trainer.clock.windows()[:, 1]
    assert (compiled.sum(), len(trainer.clock.program_seconds)) == (2, 1)


@pytest.mark.parametrize("stopped_after", [1, 2, 4])
def test_one_that_goes_on_from_any_step_ends_the_same_to_the_last_bit(few: Few, stopped_after: int) -> None:
    data = few(20)
    whole = trainer_of(data)
    train(whole)
    first = trainer_of(data)
    first.enter_stage()
    steps = [0]
    take = first.course.take_step

    class Stopped(Exception):  # noqa: N818  # not an error
        pass

    def counted(*given: Any) -> None:
        take(*given)
        steps[0] += 1
        if steps[0] == stopped_after:
            raise Stopped

    first.course.take_step = counted  # type: ignore[method-assign]
    with pytest.raises(Stopped):
        train(first)
    first.close()
    epoch, step = first.course.epoch, first.course.step
    second = trainer_of(data)
    put_back(second.learner, copied(first.learner))
    second.course.epoch, second.course.step, second.course.steps = epoch, step, stopped_after
    train(second)
    for (name, found), expected in zip(copied(second.learner).items(), copied(whole.learner).values(), strict=True):
        np.testing.assert_array_equal(found, expected, err_msg=name)


def test_every_stage_begins_so(few: Few) -> None:
    trainer = trainer_of(few(24), stages=2, dropout="0.1:0.3", epochs=2)
    steps: list[Any] = []
    for epoch in (1, 2):
        trainer.enter_stage()
        steps.append(trainer.step)
        trainer.train_epoch(epoch)
        trainer.course.epoch, trainer.course.step = epoch + 1, 0
    trainer.close()
    assert steps[0] is not steps[1]
    assert [one._taken for one in steps] == [3, 3]


class Endless(CompilerProcess):
    """Never done with a program."""

    def __init__(self) -> None:
        super().__init__()
        self.stopped = threading.Event()

    def request(self, digest: str, *_: Any) -> bool:
        """Take it, and do nothing."""
        self._asked.append(digest)
        return True

    def wait(self, _: str) -> None:
        """Wait for ever."""
        assert self.stopped.wait(60)

    def stop(self) -> None:
        """End the waiting."""
        super().stop()
        self.stopped.set()


def test_a_program_that_nobody_waits_for_is_given_up(few: Few, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(behind, "CompilerProcess", Endless)
    monkeypatch.setattr(programs, "is_compiled", lambda _: False)
    trainer = trainer_of(few(8), epochs=1)
    trainer.enter_stage()
    trainer.train_epoch(1)
    assert isinstance(trainer.step, StepWithBeginning)
    waiting = trainer.step._whole
    deadline = time.monotonic() + 60
    while not waiting._by._asked and time.monotonic() < deadline:
        time.sleep(0.01)
    start = time.monotonic()
    trainer.close()
    assert time.monotonic() - start < 10
    assert waiting._done is not None
    assert waiting._done.result() is None


def test_who_waits_for_the_program_can_be_stopped(few: Few, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(behind, "CompilerProcess", Endless)
    monkeypatch.setattr(programs, "is_compiled", lambda _: False)
    monkeypatch.setattr(loop, "SECONDS_BETWEEN_NOTICES", 0.05)
    trainer = trainer_of(few(24), epochs=1)
    told: list[str] = []

    def notify(event: StageEvent) -> None:
        told.append(event.stage)
        if told.count("compiling") == 3:
            raise StopRequestedError

    trainer.notify = notify
    trainer.enter_stage()
    with pytest.raises(StopRequestedError):
        trainer.train_epoch(1)
    assert trainer.course.step == 2
    trainer.close()


def test_only_deep_networks_begin_so() -> None:
    named = {name: build(name, Head(10), image_size=32, seed=None).model for name in ("efficientnetv2-s", "resnet50")}
    assert begins_chained(named["efficientnetv2-s"])
    assert not begins_chained(named["resnet50"])


def test_a_training_whose_program_nobody_keeps_does_not(few: Few) -> None:
    model, anatomy = network()
    trainer = Trainer(model, few(8), 8, TrainingSettings.of(BASE), 3, anatomy, unheard)
    trainer.enter_stage()
    assert not isinstance(trainer.step, StepWithBeginning)
