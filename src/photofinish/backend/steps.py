"""Steps written once, in the style that reads and assigns `keras.Variable`s, for all three libraries."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from photofinish.backend.choice import active
from photofinish.backend.programs import AssigningProgram, compile_reading

Outputs = TypeVar("Outputs")


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
        return AssigningProgram(step, variables, kept_as) if assigns else compile_reading(step, variables, kept_as)
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

        around = _scope_of_step()

        def assigned(values: list[Any]) -> list[Any]:
            with type(around)(initialize_variables=False) as scope:
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
