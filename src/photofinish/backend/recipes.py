"""Under JAX: a computation that can be followed again from a part of its values, the cheap ones computed anew."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from photofinish.backend.choice import active

Values = list[Any]
Keep = Callable[[int, Callable[[], Values]], Values]

# What is computed anew wherever it is needed: of one value or a few one value, or the same values at other places. XLA
# computes these together with what they are needed for, which takes less time than writing and reading them.
# fmt: off
CHEAP = frozenset((
    "abs", "add", "add_any", "and", "bitcast_convert_type", "clamp", "convert_element_type", "div", "eq", "erf",
    "exp", "exp2", "expm1", "ge", "gt", "integer_pow", "is_finite", "le", "log", "log1p", "logistic", "lt", "max",
    "min", "mul", "ne", "neg", "not", "or", "pow", "reduce_precision", "rsqrt", "select_n", "shift_left",
    "shift_right_arithmetic", "shift_right_logical", "sign", "sqrt", "square", "stop_gradient", "sub", "tanh", "xor",
    "broadcast_in_dim", "concatenate", "copy", "copy_p", "expand_dims", "iota", "pad", "reshape", "rev", "slice",
    "split", "squeeze", "transpose",
))
# fmt: on
# Computations within a computation, of which each part is looked at.
WITHIN = frozenset(("jit", "pjit", "closed_call"))
# What JAX calls a value that was given a name, and the name.
NAMED, WORTH_KEEPING = "name", "worth keeping"


def worth_keeping(value: Any) -> Any:
    """Return a value, marked as one that is written anyway, so that a gradient had better read it than compute it anew.

    What is cheap is otherwise computed a second time, be it a sum of nine products.

    Args:
        value: A tensor. Under another library than JAX it is returned as it is.
    """
    if active() != "jax":
        return value
    from jax.ad_checkpoint import checkpoint_name

    return checkpoint_name(value, WORTH_KEEPING)


class Recipe:
    """The operations of a function, in order.

    Args:
        function: Of trees of arrays; may also return functions that are trees to JAX, as those of `jax.vjp` are.
        arguments: Arrays, tracers or `jax.ShapeDtypeStruct`s: only shapes and types count.
    """

    def __init__(self, function: Callable[..., Any], *arguments: Any) -> None:
        import jax

        def flat(*leaves: Any) -> Values:
            returned = function(*jax.tree.unflatten(given, leaves))
            self._returned = jax.tree.structure(returned)
            leaves_returned: Values = jax.tree.leaves(returned)
            return leaves_returned

        given = jax.tree.structure(arguments)
        self._program = jax.make_jaxpr(flat)(*jax.tree.leaves(arguments))

    def follow(self, arguments: Any, keep: Keep) -> Any:
        """Compute.

        Args:
            arguments: Of the same shapes.
            keep: Is given, for each operation that is not cheap, and each cheap value that is marked, in order, how
                many values it has and what computes them; returns them.

        Returns:
            What the function returns.
        """
        import jax

        leaves = jax.tree.leaves(arguments)
        values, _ = _follow(self._program.jaxpr, self._program.consts, leaves, [True] * len(leaves), keep)
        return jax.tree.unflatten(self._returned, values)


def _follow(
    program: Any, constants: Values, arguments: Values, at_hand: list[bool], keep: Keep
) -> tuple[Values, list[bool]]:
    """Compute the values of a jaxpr.

    Args:
        program: The jaxpr.
        constants: Its constants.
        arguments: Its arguments.
        at_hand: Of each argument, whether it is there without computing it: given, or kept.
        keep: As for `Recipe.follow`.

    Returns:
        The values, and of each whether it is there.
    """
    from jax.extend.core import Literal

    known: dict[Any, Any] = dict(zip(program.constvars, constants, strict=True))
    there: dict[Any, bool] = dict.fromkeys(program.constvars, True)
    known.update(zip(program.invars, arguments, strict=True))
    there.update(zip(program.invars, at_hand, strict=True))

    def value(of: Any) -> Any:
        return of.val if isinstance(of, Literal) else known[of]

    def is_there(of: Any) -> bool:
        return isinstance(of, Literal) or there[of]

    for step in program.eqns:
        name, within = step.primitive.name, step.params.get("jaxpr")
        flags = [False] * len(step.outvars)
        if name in WITHIN and within is not None:
            given = [value(one) for one in step.invars], [is_there(one) for one in step.invars]
            results, flags = _follow(within.jaxpr, within.consts, *given, keep)
        elif name in CHEAP:
            results = _computed(program, step, known)
        elif name == NAMED and (step.params["name"] != WORTH_KEEPING or is_there(step.invars[0])):
            results, flags = [value(step.invars[0])], [is_there(step.invars[0])]
        else:
            results = keep(len(step.outvars), functools.partial(_computed, program, step, known))
            flags = [True] * len(step.outvars)
        known.update(zip(step.outvars, results, strict=True))
        there.update(zip(step.outvars, flags, strict=True))
    return [value(one) for one in program.outvars], [is_there(one) for one in program.outvars]


def _computed(program: Any, step: Any, known: dict[Any, Any]) -> Values:
    """Compute one operation of a jaxpr."""
    from jax.extend.core import ClosedJaxpr, Literal, jaxpr_as_fun

    taken = list(dict.fromkeys(one for one in step.invars if not isinstance(one, Literal)))
    alone = program.replace(constvars=[], invars=taken, outvars=step.outvars, eqns=[step])
    results: Values = list(jaxpr_as_fun(ClosedJaxpr(alone, []))(*(known[one] for one in taken)))
    return results
