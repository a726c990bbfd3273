"""The one module that names jax, tensorflow or torch.

Keras computes with one of three libraries, chosen before Keras is first imported. Everything that Keras does not
offer alike for all three is here: compiling a step, gradients, waiting for the device, asking it for its memory.
A step is written once, in the ordinary style that reads and assigns `keras.Variable`s; under JAX it is turned into a
pure function of their values, which are donated from call to call.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import importlib.util
import os
import sys
import warnings
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from photofinish.errors import SettingsError, nearest
from photofinish.storage.programs import read_program, write_program

# JAX's own name of the event that a program was found in the persistent cache.
CACHE_HIT = "/jax/compilation_cache/cache_hits"
EXTRAS = {"jax": "", "tensorflow": "[tensorflow]", "torch": "[torch]"}

Outputs = TypeVar("Outputs")


def select(name: str | None = None) -> str:
    """Choose the library Keras computes with, before Keras is imported.

    Args:
        name: `jax`, `tensorflow` or `torch`; None keeps what `KERAS_BACKEND` says, or JAX where it says nothing.

    Returns:
        The name of the library in use.

    Raises:
        SettingsError: The name is unknown, the library is not installed, or Keras already runs on another one.
    """
    if "keras" in sys.modules:
        current: str = sys.modules["keras"].config.backend()
        if name not in {None, current}:
            raise SettingsError(f"Keras already runs on {current} in this process; start a new one to use {name}")
        _configure(current)
        return current
    chosen = name or os.environ.get("KERAS_BACKEND") or "jax"
    require_installed(chosen)
    os.environ["KERAS_BACKEND"] = chosen
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    _configure(chosen)
    return chosen


def import_keras_alone() -> None:
    """Import Keras without scikit-learn and matplotlib, for a process of our own that needs neither of them for Keras.

    Keras imports both where they are installed, for its wrappers and plots, and they take as long as Keras itself.
    Both can be imported afterwards as usual; Keras' wrappers and plots say in this process that they are not installed.
    """
    if "keras" in sys.modules:
        return
    absent = [name for name in ("sklearn", "matplotlib") if name not in sys.modules]
    modules: dict[str, Any] = sys.modules
    for name in absent:
        # What Python does with None: importing it fails as if it were not installed.
        modules[name] = None
    try:
        import keras  # noqa: F401
    finally:
        for name in absent:
            del modules[name]


def require_installed(name: str) -> None:
    """Refuse a backend that is unknown or absent, without importing it.

    Raises:
        SettingsError: It is.
    """
    if name not in EXTRAS:
        raise SettingsError(f"unknown backend '{name}': {nearest(name, EXTRAS)}")
    if importlib.util.find_spec(name) is None:
        raise SettingsError(
            f"the backend {name} is not installed: pip install 'photofinish{EXTRAS[name]}', or choose another --backend"
        )


_cache_hits: list[str] = []


def programs_from_cache() -> int:
    """Return how many programs this process found compiled in JAX's persistent cache."""
    return len(_cache_hits)


def _note_cache_hit(event: str, **_: Any) -> None:
    if event == CACHE_HIT:
        _cache_hits.append(event)


def keeps_programs(name: str) -> bool:
    """Return whether what a process compiles is kept for later ones: under JAX, unless that is switched off."""
    return name == "jax" and os.environ.get("PHOTOFINISH_COMPILATION_CACHE", "on") != "off"


def _configure(name: str) -> None:
    """Set what must be set before the first computation."""
    if keeps_programs(name):
        import jax

        from photofinish.storage import cache_folder

        # A program compiled once serves every later seed and start. One gigabyte holds some twenty large networks.
        if jax.config.jax_compilation_cache_dir is None:
            jax.monitoring.register_event_listener(_note_cache_hit)
            jax.config.update("jax_compilation_cache_dir", str(cache_folder("compiled")))
            jax.config.update("jax_compilation_cache_max_size", 1 << 30)


def active() -> str:
    """Return the library in use, choosing the default where none has been chosen."""
    return select()


def on_cpu() -> bool:
    """Return whether the computations run on the processor rather than on an accelerator."""
    name = active()
    if name == "jax":
        import jax

        return bool(jax.default_backend() == "cpu")
    if name == "tensorflow":
        import tensorflow

        return not tensorflow.config.list_physical_devices("GPU")
    import torch

    return not torch.cuda.is_available()


def gradients(function: Callable[[], tuple[Any, Outputs]], variables: Sequence[Any]) -> tuple[Outputs, list[Any]]:
    """Differentiate a scalar with respect to variables. To be called inside a step given to `compiled`.

    Args:
        function: Returns (loss, outputs); it may assign variables, for example moving averages.
        variables: The `keras.Variable`s to differentiate by.

    Returns:
        The outputs and one gradient for each variable.
    """
    name = active()
    if name == "jax":
        return _gradients_jax(function, variables)
    if name == "tensorflow":
        import tensorflow

        with tensorflow.GradientTape() as tape:
            loss, outputs = function()
        return outputs, tape.gradient(loss, [variable.value for variable in variables])
    for variable in variables:
        variable.value.grad = None
    loss, outputs = function()
    loss.backward()
    return outputs, [variable.value.grad for variable in variables]


def _gradients_jax(function: Callable[[], tuple[Any, Outputs]], variables: Sequence[Any]) -> tuple[Outputs, list[Any]]:
    import jax
    import keras

    outer = _scope_of_step()
    differentiated = {id(variable) for variable in variables}

    def pure(values: list[Any]) -> tuple[Any, tuple[Outputs, dict[int, Any]]]:
        with keras.StatelessScope(collect_losses=True, initialize_variables=False) as scope:
            scope.state_mapping = dict(outer.state_mapping)
            scope.state_mapping.update({id(v): value for v, value in zip(variables, values, strict=True)})
            loss, outputs = function()
            changed = {
                key: value
                for key, value in scope.state_mapping.items()
                if key not in differentiated and value is not outer.state_mapping.get(key)
            }
        return loss, (outputs, changed)

    (_, (outputs, changed)), slopes = jax.value_and_grad(pure, has_aux=True)([v.value for v in variables])
    outer.state_mapping.update(changed)
    return outputs, slopes


def _scope_of_step() -> Any:
    """Return where the variables' values of the step that is being traced are kept."""
    from keras.src.backend.common.stateless_scope import get_stateless_scope  # Keras exports only the class

    scope = get_stateless_scope()
    if scope is None:
        raise RuntimeError("this must be called inside a compiled step")
    return scope


def compiled(
    step: Callable[..., Outputs], variables: Sequence[Any], *, assigns: bool = True, kept_as: str | None = None
) -> Callable[..., Outputs]:
    """Compile a step that reads and assigns variables.

    Args:
        step: Takes arrays, returns arrays (nested in tuples or dicts).
        variables: Every `keras.Variable` that the step reads or assigns.
        assigns: Whether the step assigns any; what it assigns is lost otherwise.
        kept_as: Everything that decides the program besides the shapes of its arguments, in words; under JAX it is then
            traced once for all processes. None where that is not known.

    Returns:
        A function with the signature of `step`. The first call with new shapes compiles.
    """
    name = active()
    if name == "jax":
        return _compiled_jax(step, variables, kept_as) if assigns else _compiled_jax_read_only(step, variables)
    if name == "tensorflow":
        import tensorflow

        function: Callable[..., Outputs] = tensorflow.function(step, jit_compile=True, autograph=False)
        return function
    return _with_tensors(step)


def _with_tensors(step: Callable[..., Outputs]) -> Callable[..., Outputs]:
    """Hand torch tensors where it is given arrays: the others convert them when they compile."""
    import keras

    def call(*arguments: Any) -> Outputs:
        return step(*(keras.ops.convert_to_tensor(argument) for argument in arguments))

    return call


@functools.cache
def _compiler_options() -> dict[str, str] | None:
    """Return what XLA is told beyond its own choices, or None.

    On a processor a network is quicker when what an operation leaves is used while it is still in the cache: a
    gradient of EfficientNetV2-B0 (32x32 pixels, batch 32, 2 cores) takes 81 ms with operations in the order that
    needs least memory, and 87 in the order that lets most of them run at once, which is XLA's choice
    (`benchmarks/gradient.py`).
    """
    import jax

    if jax.default_backend() != "cpu":
        return None
    options = {"xla_cpu_scheduler_type": "CPU_SCHEDULER_TYPE_MEMORY_OPTIMIZED"}
    try:
        jax.jit(lambda x: x, compiler_options=options).lower(0.0).compile()
    except jax.errors.JaxRuntimeError:
        return None  # a version that does not know the option
    return options


def _compiled_jax(
    step: Callable[..., Outputs], variables: Sequence[Any], kept_as: str | None
) -> Callable[..., Outputs]:
    import jax
    import keras

    def pure(values: list[Any], arguments: tuple[Any, ...]) -> tuple[Outputs, list[Any]]:
        mapping = list(zip(variables, values, strict=True))
        with keras.StatelessScope(mapping, initialize_variables=False) as scope:
            outputs = step(*arguments)
        return outputs, [scope.get_current_value(variable) for variable in variables]

    ordinary: Callable[..., Any] = jax.jit(pure, donate_argnums=0, compiler_options=_compiler_options())
    keeps = kept_as is not None and keeps_programs("jax")
    program = _traced_once(ordinary, kept_as or "") if keeps else ordinary

    def call(*arguments: Any) -> Outputs:
        with warnings.catch_warnings():
            # Variables a step leaves alone are returned as they came; some of them cannot be donated.
            warnings.filterwarnings("ignore", message="Some donated buffers were not usable")
            outputs: Outputs
            # Keras' own ways to read and assign convert and check, a microsecond or two for each of some thousand
            # variables at every step.
            outputs, values = program([variable._value for variable in variables], arguments)  # noqa: SLF001
        for variable, value in zip(variables, values, strict=True):
            variable._direct_assign(value)  # noqa: SLF001  # as above
        return outputs

    return call


def _traced_once(ordinary: Callable[..., Any], kept_as: str) -> Callable[..., Any]:
    """Compile a function that donates its first argument, and trace it only where no process has done so before.

    Tracing a large network takes longer than reading its compiled program. What is kept is the portable form that JAX
    promises to read (`jax.export`), which is data and no code of Python's. The process that traces runs what it kept,
    so that all processes run the same program.

    Args:
        ordinary: The function, as `jax.jit` compiles it.
        kept_as: As for `compiled`.
    """
    import jax
    import numpy as np

    programs: dict[Any, Callable[..., Any]] = {}

    def call(values: list[Any], arguments: tuple[Any, ...]) -> Any:
        # The variables keep their shapes, and looking at a thousand of them at every step would take a millisecond.
        shapes = tuple((np.shape(one), getattr(one, "dtype", type(one))) for one in arguments)
        if shapes not in programs:
            programs[shapes] = exported(values, arguments)
        return programs[shapes](values, arguments)

    def exported(*arguments: Any) -> Callable[..., Any]:
        digest = _digest(kept_as, arguments)
        content = read_program(digest)
        if content is None:
            try:
                content = bytes(jax.export.export(ordinary)(*arguments).serialize())
            except ValueError:
                # It holds something without a portable form, as kernels for one kind of device are.
                return ordinary
            write_program(digest, content)
        kept = jax.export.deserialize(bytearray(content)).call
        program: Callable[..., Any] = jax.jit(kept, donate_argnums=0, compiler_options=_compiler_options())
        return program

    return call


def _digest(kept_as: str, arguments: tuple[Any, ...]) -> str:
    """Return a digest of everything that decides a program, shapes and JAX's own settings included."""
    import jax
    import numpy as np

    leaves, structure = jax.tree.flatten(arguments)
    shapes = [(np.shape(leaf), str(getattr(leaf, "dtype", type(leaf)))) for leaf in leaves]
    device = jax.local_devices()[0]
    settings = sorted((name, repr(value)) for name, value in jax.config.values.items() if "cache" not in name)
    facts = (kept_as, shapes, str(structure), device.platform, device.device_kind, settings)
    return hashlib.sha256(repr(facts).encode()).hexdigest()


def _compiled_jax_read_only(step: Callable[..., Outputs], variables: Sequence[Any]) -> Callable[..., Outputs]:
    import jax
    import keras

    def pure(values: list[Any], arguments: tuple[Any, ...]) -> Outputs:
        mapping = list(zip(variables, values, strict=True))
        with keras.StatelessScope(mapping, initialize_variables=False):
            outputs: Outputs = step(*arguments)
            return outputs

    program = jax.jit(pure, compiler_options=_compiler_options())

    def call(*arguments: Any) -> Outputs:
        outputs: Outputs = program([variable.value for variable in variables], arguments)
        return outputs

    return call


def no_gradient() -> contextlib.AbstractContextManager[Any]:
    """Return a context in which nothing is recorded for differentiation."""
    if active() == "torch":
        import torch

        context: contextlib.AbstractContextManager[Any] = torch.no_grad()
        return context
    return contextlib.nullcontext()


def only_if(condition: Any, function: Callable[[], None], variables: Sequence[Any]) -> None:
    """Let a function assign variables where a condition holds, and nothing otherwise. To be called inside a step.

    Args:
        condition: A boolean scalar that the step computes.
        function: Reads and assigns.
        variables: All that it assigns.
    """
    name = active()
    if name == "jax":
        import jax
        import keras

        around = _scope_of_step()

        def assigned(values: list[Any]) -> list[Any]:
            with keras.StatelessScope(initialize_variables=False) as scope:
                scope.state_mapping = dict(around.state_mapping)
                scope.state_mapping.update({id(v): value for v, value in zip(variables, values, strict=True)})
                function()
            return [scope.get_current_value(variable) for variable in variables]

        before = [variable.value for variable in variables]
        for variable, value in zip(variables, jax.lax.cond(condition, assigned, list, before), strict=True):
            variable.assign(value)
    elif name == "tensorflow":
        import tensorflow

        def assign() -> Any:
            function()
            return tensorflow.constant(0)

        tensorflow.cond(condition, assign, lambda: tensorflow.constant(0))
    elif bool(condition):
        function()


def value_now(variable: Any) -> Any:
    """Return a variable's value as it is, whatever is assigned to it later. To be called inside a compiled step."""
    if active() == "jax":
        # Arrays do not change; a copy would be made all the same, a fifth of a step's time for a whole network.
        return variable.value
    import keras

    return keras.ops.copy(variable.value)


def wait(value: Any) -> None:
    """Wait until the device has finished computing `value`."""
    name = active()
    if name == "jax":
        import jax

        jax.block_until_ready(value)
    elif name == "tensorflow":
        import tensorflow

        tensorflow.test.experimental.sync_devices()
    elif name == "torch":
        import torch

        if torch.cuda.is_available():
            torch.cuda.synchronize()


def is_idle(value: Any) -> bool:
    """Return whether the device has nothing left to compute, so that whatever the host does now keeps it waiting.

    JAX computes while the host goes on, on processors too; the others do so on accelerators only. TensorFlow does not
    tell what an accelerator is doing: there the answer is always yes, and what follows from it an upper bound.

    Args:
        value: What was dispatched last, or None where nothing was.
    """
    if value is None:
        return True
    name = active()
    if name == "jax":
        import jax

        return all(leaf.is_ready() for leaf in jax.tree.leaves(value))
    if name == "tensorflow" or on_cpu():
        return True
    import torch

    return bool(torch.cuda.current_stream().query())


def environment_of_neighbours() -> dict[str, str]:
    """Return what must be in the environment of several processes that hold the same accelerator at once.

    Otherwise the first of them takes most of its memory for itself.
    """
    return {"XLA_PYTHON_CLIENT_PREALLOCATE": "false", "TF_FORCE_GPU_ALLOW_GROWTH": "true"}


def peak_device_memory() -> int | None:
    """Return the largest number of bytes in use on the accelerator so far, or None where there is none."""
    name = active()
    if on_cpu():
        return None
    if name == "jax":
        import jax

        return int((jax.local_devices()[0].memory_stats() or {}).get("peak_bytes_in_use", 0)) or None
    if name == "tensorflow":
        import tensorflow

        return int(tensorflow.config.experimental.get_memory_info("GPU:0")["peak"])
    import torch

    return int(torch.cuda.max_memory_allocated())


def device_name() -> str:
    """Return the name of the device that computes, for the record."""
    name = active()
    if on_cpu():
        return "cpu"
    if name == "jax":
        import jax

        return str(jax.local_devices()[0].device_kind)
    if name == "tensorflow":
        import tensorflow

        device = tensorflow.config.list_physical_devices("GPU")[0]
        return str(tensorflow.config.experimental.get_device_details(device).get("device_name", "GPU"))
    import torch

    return str(torch.cuda.get_device_name())
