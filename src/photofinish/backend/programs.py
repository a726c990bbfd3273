"""Under JAX: steps as pure functions of their variables' values, compiled, and traced once for all processes."""

from __future__ import annotations

import functools
import hashlib
import warnings
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from photofinish.backend.choice import keeps_programs
from photofinish.storage.programs import read_program, write_program

Outputs = TypeVar("Outputs")
Values = list[Any]


@functools.cache
def compiler_options() -> dict[str, str] | None:
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


def functional(step: Callable[..., Outputs], variables: Sequence[Any]) -> Callable[..., tuple[Outputs, Values]]:
    """Return a step as a pure function: of the variables' values and its arguments, to its outputs and new values."""
    import keras

    def pure(values: Values, arguments: tuple[Any, ...]) -> tuple[Outputs, Values]:
        mapping = list(zip(variables, values, strict=True))
        with keras.StatelessScope(mapping, initialize_variables=False) as scope:
            outputs = step(*arguments)
        return outputs, [scope.get_current_value(variable) for variable in variables]

    return pure


def values_of(variables: Sequence[Any]) -> Values:
    """Return what variables hold now.

    Keras' own ways to read and assign convert and check, a microsecond or two for each of some thousand variables at
    every step.
    """
    return [variable._value for variable in variables]  # noqa: SLF001


def hand_over(variables: Sequence[Any], values: Values) -> None:
    """Let variables hold what a program returned for them."""
    for variable, value in zip(variables, values, strict=True):
        variable._direct_assign(value)  # noqa: SLF001  # as in `values_of`


def compile_assigning(
    step: Callable[..., Outputs], variables: Sequence[Any], kept_as: str | None
) -> Callable[..., Outputs]:
    """Compile a step that assigns variables, as `photofinish.backend.compiled` says."""
    program = jitted(functional(step, variables), kept_as, donated=(0,))

    def call(*arguments: Any) -> Outputs:
        outputs: Outputs
        with warnings.catch_warnings():
            # Variables a step leaves alone are returned as they came; some of them cannot be donated.
            warnings.filterwarnings("ignore", message="Some donated buffers were not usable")
            outputs, values = program(values_of(variables), arguments)
        hand_over(variables, values)
        return outputs

    return call


def compile_reading(step: Callable[..., Outputs], variables: Sequence[Any]) -> Callable[..., Outputs]:
    """Compile a step that only reads variables, as `photofinish.backend.compiled` says."""
    pure = functional(step, variables)
    program = jitted(lambda values, arguments: pure(values, arguments)[0], None)

    def call(*arguments: Any) -> Outputs:
        outputs: Outputs = program([variable.value for variable in variables], arguments)
        return outputs

    return call


def jitted(
    function: Callable[..., Any], kept_as: str | None = None, *, donated: tuple[int, ...] = ()
) -> Callable[..., Any]:
    """Compile a pure function of trees of arrays.

    Args:
        function: Of its arguments only the last has other shapes from call to call.
        kept_as: Everything that decides the program besides the shapes of its arguments, in words: it is then traced
            only where no process has done so before. None where that is not known.
        donated: Places of the arguments whose memory may be used for what is returned.
    """
    import jax

    program: Callable[..., Any] = jax.jit(function, donate_argnums=donated, compiler_options=compiler_options())
    return program if kept_as is None or not keeps_programs("jax") else _traced_once(program, kept_as, donated)


def _traced_once(ordinary: Callable[..., Any], kept_as: str, donated: tuple[int, ...]) -> Callable[..., Any]:
    """Trace a function only where no process has done so before.

    Tracing a large network takes longer than reading its compiled program. What is kept is the portable form that JAX
    promises to read (`jax.export`), which is data and no code of Python's. The process that traces runs what it kept,
    so that all processes run the same program.

    Args:
        ordinary: The function, as `jax.jit` compiles it.
        kept_as: As for `jitted`.
        donated: As for `jitted`.
    """
    import jax

    programs: dict[Any, Callable[..., Any]] = {}

    def call(*arguments: Any) -> Any:
        # Looking at a thousand variables at every step would take a millisecond, and numpy's `shape` of a list of
        # arrays would wait for their values.
        leaves = jax.tree.leaves(arguments[-1])
        shapes = tuple((getattr(one, "shape", ()), getattr(one, "dtype", type(one))) for one in leaves)
        if shapes not in programs:
            programs[shapes] = exported(arguments)
        return programs[shapes](*arguments)

    def exported(arguments: tuple[Any, ...]) -> Callable[..., Any]:
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
        program: Callable[..., Any] = jax.jit(kept, donate_argnums=donated, compiler_options=compiler_options())
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
