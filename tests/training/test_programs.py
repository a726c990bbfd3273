"""A training step is traced once for all seeds of a model, and is the step that tracing would give."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import keras
import numpy as np
import pytest

from photofinish import backend
from photofinish.catalog.scaling import OWN
from photofinish.config import TrainingSettings
from photofinish.data import PreparedData
from photofinish.models import Entrant, Head, build_with_initial_values
from photofinish.models.facts import network_facts
from photofinish.models.inference import Predictor
from photofinish.runs import unheard
from photofinish.storage.programs import read_program
from photofinish.training import train_entrant
from photofinish.training.programs import NOT_IN_PROGRAMS, program_facts, statistics_facts, step_facts
from photofinish.training.stages import stages_of

Few = Callable[[int], PreparedData]


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    if backend.active() != "jax":
        pytest.skip("the others keep no programs")
    monkeypatch.setenv("PHOTOFINISH_CACHE", str(tmp_path))
    monkeypatch.delenv("PHOTOFINISH_COMPILATION_CACHE", raising=False)
    return tmp_path / "traced"


def entrant(seed: int, activation: str = "relu", traced: list[str] | None = None) -> Entrant:
    class Noticed(keras.layers.Conv2D):
        def call(self, inputs: Any) -> Any:
            if traced is not None:
                traced.append(self.name)
            return super().call(inputs)

    def assemble() -> keras.Model:
        inputs = keras.Input((8, 8, 3))
        x = keras.layers.Rescaling(1 / 128, -1)(inputs)
        x = Noticed(4, 3, strides=2, name="conv")(x)
        x = keras.layers.BatchNormalization(name="bn")(x)
        x = keras.layers.Activation(activation, name="activation")(x)
        return keras.Model(inputs, Head(10, 0.5)(x), name="mine")

    return Entrant(build_with_initial_values(assemble, seed), OWN, "random", "a head")


def settings_with(**changes: Any) -> TrainingSettings:
    return TrainingSettings.of({"epochs": 2, "batch_size": 8, "learning_rate": 0.01, "ema_decay": 0.9, **changes})


def trained_weights(
    few: Few, seed: int, name: str = "mine", traced: list[str] | None = None, **changes: Any
) -> list[Any]:
    one = entrant(seed, traced=traced)
    if traced is not None:
        traced.clear()
    settings = settings_with(**{"reestimate_statistics": "never", **changes})
    train_entrant(one, name, few(20), 8, settings, seed, record=lambda _: None, notify=unheard)
    return [np.asarray(value) for value in one.model.get_weights()]


def test_a_second_seed_traces_nothing(few: Few, cache: Path) -> None:
    calls: list[list[str]] = [[], []]
    for seed, traced in enumerate(calls):
        trained_weights(few, seed, traced=traced, reestimate_statistics="always")
    # The training step, prediction, and BatchNormalization's averages.
    assert [len(traced) for traced in calls] == [3, 0]
    assert len(list(cache.iterdir())) == 3


def test_a_seed_that_finds_its_step_trains_to_the_same_bits_as_one_that_traces_it(
    few: Few, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained_weights(few, 0, reestimate_statistics="always")
    found = trained_weights(few, 1, reestimate_statistics="always")
    for path in cache.iterdir():
        path.unlink()
    traced = trained_weights(few, 1, reestimate_statistics="always")
    monkeypatch.setenv("PHOTOFINISH_COMPILATION_CACHE", "off")
    ordinary = trained_weights(few, 1, reestimate_statistics="always")
    for one, other, plain in zip(found, traced, ordinary, strict=True):
        np.testing.assert_array_equal(one, other)
        np.testing.assert_array_equal(one, plain)


def test_a_seed_takes_the_programs_that_the_one_before_it_needed(few: Few, monkeypatch: pytest.MonkeyPatch) -> None:
    taken: list[bool] = []
    take = backend.foreseen.take

    def noted(digest: str) -> Any:
        found = take(digest)
        taken.append(found is not None)
        return found

    monkeypatch.setattr(backend.foreseen, "take", noted)
    weights = []
    for seed in (0, 1, 1):
        backend.foreseen.begin(lambda: "a cell")
        weights.append(trained_weights(few, seed))
    # The step, and what predicts, which is not needed before it.
    assert taken == [False, False, True, False, True, False]
    monkeypatch.setenv("PHOTOFINISH_COMPILATION_CACHE", "off")
    for one, other, plain in zip(*weights[1:], trained_weights(few, 1), strict=True):
        np.testing.assert_array_equal(one, other)
        np.testing.assert_array_equal(one, plain)


def test_the_step_of_someones_own_model_is_always_traced(few: Few, cache: Path) -> None:
    trained_weights(few, 0, name="mine.py:build")
    assert not cache.exists()


def test_what_decides_a_program_decides_where_it_is_kept() -> None:
    def facts(one: Entrant, name: str = "mine", size: int = 8, **changes: Any) -> str | None:
        return program_facts(one, one.model, name, size, settings_with(**changes))

    same, again = facts(entrant(0)), facts(entrant(1))
    assert same == again  # the seed decides values only
    others = [
        facts(entrant(0, activation="silu")),
        facts(entrant(0), name="other"),
        facts(entrant(0), size=16),
        facts(entrant(0), label_smoothing=0.1),
        facts(entrant(0), optimizer="sgd"),
    ]
    assert len({same, *others}) == 6


VALUES_ONLY: dict[str, Any] = {
    "epochs": 3,
    "steps": 9,
    "learning_rate": 0.003,
    "schedule": "cosine",
    "warmup_epochs": 1,
    "weights": "imagenet",
    "reestimate_statistics": "always",
}
OF_STAGES: dict[str, Any] = {
    "flip": True,
    "shift": 0.1,
    "crop": 0.5,
    "randaugment": 5,
    "cutout": 0.3,
    "mixup": 0.2,
    "cutmix": 0.5,
    "dropout": 0.4,
    "training_size": 12,
}


def test_settings_that_decide_values_only_leave_every_program_as_it_is(few: Few, cache: Path) -> None:
    def computes(digest: str) -> str:
        module: str = jax.export.deserialize(bytearray(read_program(digest) or b"")).mlir_module()
        # Without the lines of Python that it came from.
        return re.sub(r"^#loc.*$| loc\(#loc\d*\)", "", module, flags=re.MULTILINE)

    def programs() -> dict[str, str]:
        return {path.stem: computes(path.stem) for path in cache.iterdir()}

    trained_weights(few, 0, reestimate_statistics="auto")
    kept = programs()
    shutil.rmtree(cache)
    trained_weights(few, 1, **VALUES_ONLY)
    assert programs() == kept
    assert len(kept) == 3


def test_settings_of_a_stage_are_named_with_its_step() -> None:
    assert NOT_IN_PROGRAMS - {"stages"} == VALUES_ONLY.keys() | OF_STAGES.keys()
    one = entrant(0)

    def step(**changes: Any) -> str | None:
        settings = settings_with(**changes)
        (stage,) = stages_of(settings, 16)
        return step_facts(program_facts(one, one.model, "mine", 16, settings), one.model, stage)

    names = [step(), *(step(**{name: value}) for name, value in OF_STAGES.items())]
    assert len(set(names)) == len(names)
    # Each phase of gradual training brings an optimiser of its own.
    gradual = [
        program_facts(one, one.model, "mine", 16, settings_with(train="gradual", epochs=epochs)) for epochs in (2, 3)
    ]
    assert gradual[0] != gradual[1]


def test_what_is_frozen_decides_how_averages_are_estimated() -> None:
    one = entrant(0)
    program = program_facts(one, one.model, "mine", 8, settings_with())
    trained = statistics_facts(program, one.model)
    one.model.get_layer("bn").trainable = False
    frozen = statistics_facts(program, one.model)
    assert program is not None
    assert len({program, trained, frozen}) == 3
    assert statistics_facts(None, one.model) is None


def test_a_program_that_predicts_is_traced_once_and_takes_the_weights_it_is_given(cache: Path) -> None:
    pictures = np.random.default_rng(0).integers(0, 256, (6, 8, 8, 3)).astype(np.uint8)
    found = []
    for seed in (0, 1):
        traced: list[str] = []
        one = entrant(seed, traced=traced)
        traced.clear()
        expected = np.asarray(one.model(pictures.astype(np.float32), training=False))
        traced.clear()
        kept_as = network_facts(one, one.model, "mine", 8)
        predictor = Predictor(one.model, lambda x: keras.ops.cast(x, "float32"), 8, 6, kept_as=kept_as)
        logits = predictor(pictures, np.arange(6)).logits
        np.testing.assert_allclose(logits, expected, rtol=1e-5, atol=1e-5)
        found.append((len(traced), logits))
    assert [calls for calls, _ in found] == [1, 0]
    assert not np.allclose(found[0][1], found[1][1])
    assert len(list(cache.iterdir())) == 1
