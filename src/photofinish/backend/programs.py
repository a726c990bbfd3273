"""Under JAX: steps as pure functions of their variables' values, compiled, and traced once for all processes."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import warnings
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Generic, TypeVar

from photofinish.backend.choice import active, count_as_compiled, found_for_another, keeps_programs
from photofinish.backend.compiling import CompilerProcess
from photofinish.backend.exported import jitted
from photofinish.backend.foresight import foreseen
from photofinish.backend.memory import fragments_aside
from photofinish.backend.options import compiler_options, settings_of_jax
from photofinish.storage.programs import is_compiled, note_compiled, read_program, write_program

Outputs = TypeVar("Outputs")
Values = list[Any]
# Bytes in the portable form: from about here on a program takes several times as long to compile as another process to
# start.
LARGE = 100_000
# Bytes, from where on it takes so long to read what was compiled, as XLA looks for operations one by one, that nothing
# is won: EfficientNetV2-L is some 5 MB.
SLOW_TO_READ = 3_000_000
aside = CompilerProcess()


def functional(
    step: Callable[..., Outputs], variables: Sequence[Any], *, only_these: bool = False
) -> Callable[..., tuple[Outputs, Values]]:
    """Return a step as a pure function: of the variables' values and its arguments, to its outputs and new values.

    Args:
        step: Reads and assigns variables.
        variables: Those.
        only_these: Whether to refuse to read another variable, whose value would be a part of the program: of one that
            computes for others as well.
    """
    import keras

    class OnlyThese(keras.StatelessScope):
        def get_current_value(self, variable: Any) -> Any:
            if (value := super().get_current_value(variable)) is None:
                raise LookupError(f"{variable.path} is read and not among what is given")
            return value

    scope_class = OnlyThese if only_these else keras.StatelessScope

    def pure(values: Values, arguments: tuple[Any, ...]) -> tuple[Outputs, Values]:
        mapping = list(zip(variables, values, strict=True))
        with scope_class(mapping, initialize_variables=False) as scope:
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


class AssigningProgram(Generic[Outputs]):
    """A step that reads and assigns variables, compiled when it is first called, or ahead of that.

    Args:
        step: As for `photofinish.backend.compiled`.
        variables: Likewise.
        kept_as: Likewise.
        options: As for `Program`.
    """

    def __init__(
        self, step: Callable[..., Outputs], variables: Sequence[Any], kept_as: str | None, **options: Any
    ) -> None:
        self._variables = variables
        self._program = Program(functional(step, variables), kept_as, donated=(0,), **options)

    def __call__(self, *arguments: Any) -> Outputs:
        """Take the step."""
        outputs: Outputs
        with warnings.catch_warnings():
            # Variables a step leaves alone are returned as they came; some of them cannot be donated.
            warnings.filterwarnings("ignore", message="Some donated buffers were not usable")
            outputs, values = self._program(values_of(self._variables), arguments)
        hand_over(self._variables, values)
        return outputs

    def ahead(self, *arguments: Any) -> tuple[Any, Callable[[], Any]]:
        """Trace ahead of the first call.

        Args:
            arguments: Of the shapes and types that calls will have.

        Returns:
            The shapes and types of what the step returns, and what compiles it, in any thread.
        """
        # By its shapes only: whoever computes meanwhile takes the values away.
        values = shapes_of(values_of(self._variables))
        (outputs, _), compilation = self._program.ahead(values, shapes_of(arguments))
        return outputs, compilation


def compile_reading(
    step: Callable[..., Outputs], variables: Sequence[Any], kept_as: str | None
) -> Callable[..., Outputs]:
    """Compile a step that only reads variables, as `photofinish.backend.compiled` says."""
    pure = functional(step, variables)
    # Without gradients it is compiled before another process would be half done.
    program = Program(lambda values, arguments: pure(values, arguments)[0], kept_as, most=0)

    def call(*arguments: Any) -> Outputs:
        outputs: Outputs = program(values_of(variables), arguments)
        return outputs

    return call


class Program:
    """A pure function of trees of arrays, compiled when it is first called, or ahead of that.

    Args:
        function: Of its arguments only the last has other shapes from call to call.
        kept_as: Everything that decides the program besides the shapes of its arguments, in words: it is then traced
            only where no process has done so before. None where that is not known.
        donated: Places of the arguments whose memory may be used for what is returned.
        large: Bytes in the portable form, from where on another process compiles it.
        most: Bytes, up to where it does.
        by: That process.
        soon: As for `compiler_options`.
    """

    def __init__(
        self,
        function: Callable[..., Any],
        kept_as: str | None = None,
        *,
        donated: tuple[int, ...] = (),
        large: int = LARGE,
        most: int = SLOW_TO_READ,
        by: CompilerProcess | None = None,
        soon: bool = False,
    ) -> None:
        self._kept_as = kept_as if keeps_programs("jax") else None
        self._soon, self._options = soon, compiler_options(soon=soon)
        self._large, self._most, self._by = large, most, by or aside
        self._donated = donated
        self._function = function
        self._ordinary = jitted(function, donated, self._options)
        self._programs: dict[Any, Any] = {}

    def __call__(self, *arguments: Any) -> Any:
        """Compute."""
        shapes = _shapes(arguments)
        if shapes not in self._programs:
            _, compilation = self.ahead(*arguments)
            compile_beside([compilation])
        return self._programs[shapes](*arguments)

    def ahead(self, *arguments: Any) -> tuple[Any, Callable[[], Any]]:
        """Trace ahead of the first call.

        Args:
            arguments: Arrays, or `jax.ShapeDtypeStruct`s in the place of those that are not there yet.

        Returns:
            The shapes and types of what the program returns, and what compiles it, in any thread: a call after that
            finds it.
        """
        program, wait = self._ordinary, None
        if self._kept_as is not None:
            program, wait = self._traced_once(self._kept_as, arguments)
        traced = program.trace(*arguments)
        self._programs[_shapes(arguments)] = program
        lowered = traced.lower()

        def compile_it() -> None:
            if wait is not None:
                wait()
            with contextlib.nullcontext() if wait is None else found_for_another():
                lowered.compile()

        return traced.out_info, compile_it

    def _traced_once(self, kept_as: str, arguments: tuple[Any, ...]) -> tuple[Any, Callable[[], None] | None]:
        """Trace only where no process has done so before.

        Tracing a large network takes longer than reading its compiled program. The process that traces runs what it
        kept, so that all processes run the same program.

        Returns:
            The program, and what waits for whoever compiles or reads it now; None where nobody does.
        """
        import jax

        digest = _digest(kept_as, arguments, self._options)
        if self._by is aside:
            # What is compiled behind is not waited for, and would keep what is from being read.
            foreseen.note(digest, self._donated, soon=self._soon)
        if (taken := foreseen.take(digest)) is not None:
            return taken
        content = read_program(digest)
        if content is None:
            try:
                exported = jax.export.export(jax.jit(self._function, donate_argnums=self._donated))(*arguments)
                content = bytes(exported.serialize())
            except ValueError:
                # It holds something without a portable form, as kernels for one kind of device are.
                return self._ordinary, None
            write_program(digest, content)
        program = jitted(jax.export.deserialize(bytearray(content)).call, self._donated, self._options)
        pays = self._large <= len(content) < self._most and not is_compiled(digest)
        if pays and self._by.request(digest, self._donated, self._options):
            return program, functools.partial(self._wait_for_compilation, digest)
        return program, None

    def _wait_for_compilation(self, digest: str) -> None:
        self._by.wait(digest)
        count_as_compiled()


def expect_compilation(kept_as: str) -> None:
    """Start the process that compiles where nothing of this name was compiled before: it is ready when it is needed.

    Args:
        kept_as: In words, what decides the programs to come.
    """
    digest = hashlib.sha256(kept_as.encode()).hexdigest()
    if keeps_programs(active()) and not is_compiled(digest):
        note_compiled(digest)
        aside.start()


def compile_beside(compilations: Iterable[Callable[[], Any]]) -> None:
    """Compile one program after another, each while the next is traced.

    XLA itself uses several cores for a program. Two programs at once need twice the processor time between them, and
    are ready no sooner.

    Args:
        compilations: From `Program.ahead`, one after another.
    """
    with fragments_aside(), ThreadPoolExecutor(1, "compile") as thread:
        try:
            for done in [thread.submit(one) for one in compilations]:
                done.result()
        finally:
            # Of interest only where something else went wrong.
            thread.shutdown(wait=False, cancel_futures=True)
            aside.stop()


def shapes_of(tree: Any) -> Any:
    """Return a tree with the shapes and types of its arrays in their place."""
    import jax
    import numpy as np

    return jax.tree.map(lambda one: jax.ShapeDtypeStruct(np.shape(one), one.dtype), tree)


def _shapes(arguments: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return what tells one call's program from another's."""
    import jax

    # Looking at a thousand variables at every step would take a millisecond, and numpy's `shape` of a list of arrays
    # would wait for their values.
    leaves = jax.tree.leaves(arguments[-1])
    return tuple((getattr(one, "shape", ()), getattr(one, "dtype", type(one))) for one in leaves)


def _digest(kept_as: str, arguments: tuple[Any, ...], options: dict[str, str] | None) -> str:
    """Return a digest of everything that decides a program, shapes and JAX's own settings included."""
    import jax
    import numpy as np

    leaves, structure = jax.tree.flatten(arguments)
    shapes = [(np.shape(leaf), str(getattr(leaf, "dtype", type(leaf)))) for leaf in leaves]
    device = jax.local_devices()[0]
    place = (device.platform, device.device_kind, options)
    facts = (kept_as, shapes, str(structure), place, settings_of_jax())
    return hashlib.sha256(repr(facts).encode()).hexdigest()
