"""Choosing the library that Keras computes with, and computing with it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import keras
import numpy as np
import pytest
from keras import ops

from photofinish import backend
from photofinish.errors import SettingsError


def in_a_process(program: str, **environment: str) -> Any:
    """Run a program that ends in `print(json)` in a process of its own, and return what it printed."""
    kept = {key: value for key, value in os.environ.items() if key != "KERAS_BACKEND"}
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**kept, **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout.splitlines()[-1])


CHOICE = """
import json, os, sys
from photofinish import backend
name = backend.select({choice})
print(json.dumps([name, os.environ["KERAS_BACKEND"], "keras" in sys.modules]))
"""


def test_jax_is_the_default_and_keras_is_not_imported_to_choose_it(tmp_path: Path) -> None:
    found = in_a_process(CHOICE.format(choice=""), PHOTOFINISH_CACHE=str(tmp_path))
    assert found == ["jax", "jax", False]
    assert (tmp_path / "compiled").is_dir()


def test_a_worker_imports_keras_alone_and_what_it_left_out_can_be_imported_afterwards(tmp_path: Path) -> None:
    program = """
import json, sys
from photofinish import backend
backend.select("jax")
backend.import_keras_alone()
before = ["sklearn" in sys.modules, "matplotlib" in sys.modules]
import sklearn
print(json.dumps([before, sklearn.__name__, sys.modules["keras"].config.backend()]))
"""
    assert in_a_process(program, PHOTOFINISH_CACHE=str(tmp_path)) == [[False, False], "sklearn", "jax"]


@pytest.mark.tensorflow
def test_what_the_environment_says_holds_unless_another_is_asked_for(tmp_path: Path) -> None:
    options = {"KERAS_BACKEND": "tensorflow", "PHOTOFINISH_CACHE": str(tmp_path)}
    assert in_a_process(CHOICE.format(choice=""), **options)[:2] == ["tensorflow", "tensorflow"]
    assert in_a_process(CHOICE.format(choice="'jax'"), **options)[:2] == ["jax", "jax"]


def test_another_backend_is_refused_once_keras_runs() -> None:
    assert backend.select() == backend.active() == keras.config.backend()
    assert backend.select(backend.active()) == backend.active()
    other = "tensorflow" if backend.active() == "jax" else "jax"
    with pytest.raises(SettingsError, match=f"already runs on {backend.active()}.*start a new one to use {other}"):
        backend.select(other)


def test_an_unknown_backend_is_answered_with_the_nearest() -> None:
    with pytest.raises(SettingsError, match="unknown backend 'tensorflw': did you mean 'tensorflow'"):
        backend.require_installed("tensorflw")


def test_a_backend_that_is_not_installed_is_refused_with_the_command_that_installs_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(SettingsError, match=r"torch is not installed: pip install 'photofinish\[torch\]'"):
        backend.require_installed("torch")


def variable(value: Any, **options: Any) -> keras.Variable:
    return keras.Variable(np.asarray(value, np.float32), **options)


def test_gradients_are_the_analytic_ones_and_assignments_inside_and_outside_are_kept(
    computations: ModuleType,
) -> None:
    found = computations.backend_arrays()
    weights = np.array([1.0, -2.0, 3.0])
    for step in ("1", "2"):
        np.testing.assert_allclose(found[f"{step} twice"], 2 * weights, rtol=1e-6)
        # The derivative of 0.01 w^3.
        np.testing.assert_allclose(found[f"{step} slopes"], 0.03 * weights**2, rtol=1e-5)
        weights -= 0.03 * weights**2
    np.testing.assert_allclose(found["weights"], weights, rtol=1e-6)
    assert float(found["inside"]) == pytest.approx(0.02)
    assert float(found["outside"]) == 20
    assert (found["unused"] == 0).all()


def test_what_the_objective_reads_is_what_the_step_has_assigned_before() -> None:
    weight, offset = variable(2.0), variable(0.0, trainable=False)

    def step(value: Any) -> Any:
        offset.assign(value)

        def objective() -> tuple[Any, Any]:
            offset.assign(offset * 2)
            return weight * offset, offset.value

        outputs, (slope,) = backend.gradients(objective, [weight])
        return outputs, slope, offset.value

    results = [float(value) for value in backend.compiled(step, [weight, offset])(np.float32(3))]
    assert results == [6, 6, 6]


def test_a_compiled_step_that_only_reads_changes_no_variable() -> None:
    state = variable([1.0, 2.0])
    read = backend.compiled(lambda x: state * x, [state], assigns=False)
    before = state.value
    assert np.asarray(read(np.float32(3))).tolist() == [3, 6]
    assert state.value is before
    state.assign([5.0, 5.0])
    assert np.asarray(read(np.float32(1))).tolist() == [5, 5]


def test_variables_can_be_read_between_steps_although_their_memory_is_handed_on() -> None:
    first, second = variable(np.zeros(4)), variable(np.zeros(4))

    def step() -> Any:
        first.assign(first + 1)
        return ops.sum(first)

    compiled = backend.compiled(step, [first, second])
    kept = []
    for _ in range(3):
        compiled()
        kept.append(np.array(first.value))
    assert [values.tolist() for values in kept] == [[1] * 4, [2] * 4, [3] * 4]
    assert np.array(second.value).tolist() == [0] * 4


def test_a_new_shape_compiles_anew_and_the_same_shape_does_not() -> None:
    traced = []

    def step(x: Any, rate: Any) -> Any:
        traced.append(x.shape)
        return ops.sum(x) * rate

    compiled = backend.compiled(step, [])
    for length, rate in ((2, 0.1), (2, 0.2), (3, 0.2), (2, 0.3)):
        compiled(np.ones(length, np.float32), np.float32(rate))
    assert traced == [(2,), (3,)]


def test_gradients_outside_a_compiled_step_are_refused() -> None:
    if backend.active() != "jax":
        pytest.skip("only JAX needs the step to be compiled")
    weight = variable(1.0)
    with pytest.raises(RuntimeError, match="inside a compiled step"):
        backend.gradients(lambda: (weight * 1, ()), [weight])


def test_nothing_is_measured_on_a_device_that_is_not_there() -> None:
    if not backend.on_cpu():
        pytest.skip("there is an accelerator")
    assert backend.peak_device_memory() is None
    assert backend.device_name() == "cpu"


@pytest.mark.parametrize("count", [1, 33, 4096])
def test_few_numbers_are_those_that_jax_draws(count: int) -> None:
    jax = pytest.importorskip("jax")
    for seed in (0, 7, 2**32 - 1):
        key = np.array([seed, seed // 3 + 1], "uint32")
        np.testing.assert_array_equal(
            np.asarray(jax.jit(backend.few_uniform, static_argnums=1)(key, count)),
            np.asarray(jax.random.uniform(key, count)),
        )
