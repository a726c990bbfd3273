"""Choosing the library that Keras computes with, and computing with it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import keras
import numpy as np
import pytest
from keras import ops

from photofinish import backend
from photofinish.backend import foresight
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


def test_lean_imports_leave_out_and_put_off_only_for_jax_and_keras(tmp_path: Path) -> None:
    program = """
import io, json, sys
from photofinish import backend
with backend.lean_imports():
    backend.select("jax")
    import keras
spared = ("sklearn", "matplotlib", "pandas", "pygments", "requests")
names = (*spared, "rich", "h5py", "scipy.sparse", "jax.experimental.pallas")
before = [name for name in names if name in sys.modules]
with backend.lean_imports():
    import importlib.util
    found = importlib.util.find_spec("h5py") is not None
    from requests.exceptions import Timeout
    import scipy.sparse.csgraph
    whole = [sys.modules["requests"].exceptions.Timeout is Timeout, scipy.sparse.csgraph.__spec__.origin is not None]

# What was put off does what it does, for Keras and for everyone else.
model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(3, name="dense")])
lines = []
model.summary(print_fn=lines.append)
from pathlib import Path
folder = Path(PLACE)
model.save_weights(folder / "a.weights.h5")
model.save(folder / "a.h5")
same = keras.saving.load_model(folder / "a.h5").count_params()
from keras.src.backend.jax import nn
mask = nn.splash_attention_mask.CausalMask((8, 8))
from jax.experimental.sparse import BCOO, linalg
import jax.numpy as jnp, numpy as np
from jax.experimental import sparse
csr = sparse.BCSR.fromdense(jnp.eye(3) * 2)
solved = linalg.spsolve(csr.data, csr.indices, csr.indptr, jnp.ones(3)).tolist()
import scipy.sparse, sklearn, h5py, rich.table
real = [type(one).__name__ for one in (scipy.sparse, h5py, rich, rich.table, sys.modules["scipy.sparse.linalg"])]
masked = np.asarray(mask[:, :]).sum().item()
print(json.dumps([before, found, whole, "dense" in "".join(lines), same, masked, solved, real]))
""".replace("PLACE", repr(str(tmp_path)))
    found = in_a_process(program, PHOTOFINISH_CACHE=str(tmp_path))
    assert found == [[], True, [True, True], True, 9, 36, [0.5] * 3, ["module"] * 5]


WATCHED = """
import json
from photofinish import backend
backend.select("jax")
import jax
import jax.numpy as jnp
shared, own = (lambda x: x * 3), (lambda x: jnp.sin(x) + OWN)
of_all = []
for functions in ((shared,), (shared, own), (shared, own), ()):
    jax.clear_caches()
    numbers = jnp.arange(4.0)
    numbers.block_until_ready()
    all_found = backend.watch_programs()
    for function in functions:
        jax.jit(function)(numbers)
    of_all.append(all_found())
print(json.dumps(of_all))
"""


def test_a_step_is_found_compiled_only_if_all_of_its_programs_are(tmp_path: Path) -> None:
    if backend.active() != "jax":
        pytest.skip("the others keep no programs")
    for number in range(2):
        found = in_a_process(WATCHED.replace("OWN", str(number)), PHOTOFINISH_CACHE=str(tmp_path))
        # The second process has a program of its own beside one that the first one left.
        assert found == [number == 1, False, True, False]


FORESEEN = """
import json
from photofinish import backend
from photofinish.backend import choice
with backend.lean_imports():
    backend.select("jax")
    backend.foreseen.begin(lambda: {task!r})
    import keras
import numpy as np
state, traced, taken = keras.Variable(np.ones(3, "float32")), [], []
def step(added):
    traced.append(added)
    state.assign_add(added)
    return state * 2
take = backend.foreseen.take
def noted(digest):
    taken.append(take(digest))
    return taken[-1]
backend.foreseen.take = noted
program = backend.compiled(step, [state], kept_as={kept_as!r})
found = lambda: choice._events.count(choice.CACHE_HIT)
before = found()
results = [program(np.arange(3, dtype="float32")).tolist() for _ in range(2)]
backend.foreseen.end()
print(json.dumps([results, len(traced), taken[0] is not None, found() - before]))
"""
RESULTS = [[2.0, 4.0, 6.0], [2.0, 6.0, 10.0]]


@pytest.fixture
def foreseeing(tmp_path: Path) -> Callable[..., list[Any]]:
    if backend.active() != "jax":
        pytest.skip("the others keep no programs")

    def start(task: str = "a task", kept_as: str = "a program") -> list[Any]:
        results, *rest = in_a_process(FORESEEN.format(task=task, kept_as=kept_as), PHOTOFINISH_CACHE=str(tmp_path))
        assert results == RESULTS
        return rest

    return start


def test_what_the_last_process_of_a_name_needed_is_read_ahead_and_counted_as_found(
    foreseeing: Callable[..., list[Any]],
) -> None:
    assert foreseeing() == [1, False, 0]
    assert foreseeing() == [0, True, 1]
    # A name that no process had before: nothing is read ahead, but everything is found.
    assert foreseeing("another task") == [0, False, 1]


def test_a_program_that_is_not_the_one_foreseen_is_not_used(foreseeing: Callable[..., list[Any]]) -> None:
    foreseeing()
    # It computes the same, so that XLA's part is found when it is asked for, and counted then.
    assert foreseeing(kept_as="another program") == [1, False, 1]
    assert foreseeing(kept_as="another program") == [0, True, 1]


@pytest.mark.parametrize("harm", ["list damaged", "program damaged", "program gone"])
def test_what_cannot_be_read_ahead_is_traced(foreseeing: Callable[..., list[Any]], tmp_path: Path, harm: str) -> None:
    foreseeing()
    kept = {path.read_bytes()[32:34] == b"[{": path for path in (tmp_path / "traced").glob("*.traced")}
    path = kept[harm == "list damaged"]
    if harm == "program gone":
        path.unlink()
    else:
        path.write_bytes(path.read_bytes()[:-1] + b"?")
    assert foreseeing()[:2] == [0 if harm == "list damaged" else 1, False]
    assert foreseeing() == [0, True, 1]


def test_programs_that_nobody_asks_for_any_more_are_not_read(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    if backend.active() != "jax":
        pytest.skip("the others keep no programs")
    monkeypatch.setenv("PHOTOFINISH_CACHE", str(tmp_path))
    monkeypatch.delenv("PHOTOFINISH_COMPILATION_CACHE", raising=False)
    begun, goes_on, lowered = threading.Event(), threading.Event(), []

    def lower(one: foresight.Needed, _: object) -> None:
        lowered.append(one.digest)
        begun.set()
        goes_on.wait(10)

    monkeypatch.setattr(foresight, "_lower", lower)
    digests = [f"{number:064x}" for number in range(5)]
    before = foresight.Foreseen()
    before.begin(lambda: "a task")
    for digest in digests:
        before.note(digest, (), soon=True)
    before.end()
    now = foresight.Foreseen()
    now.begin(lambda: "a task")
    assert begun.wait(10)
    now.close()
    goes_on.set()
    for thread in now._threads:
        thread.shutdown(wait=True)
    assert lowered == digests[:1]
    assert now.take(digests[3]) is None


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
