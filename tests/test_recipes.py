"""A gradient from a part of the values that it needs is the gradient; only what is dear is kept."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from photofinish import backend

Values = list[Any]


@pytest.fixture(autouse=True)
def jax_only() -> None:
    if backend.active() != "jax":
        pytest.skip("recipes are JAX's")


def branchy(weights: Any, inputs: Any) -> Any:
    """Products, one of them within a function compiled apart, a loop, and cheap operations between them."""
    import jax
    import jax.numpy as jnp

    within = jax.jit(lambda x: jax.nn.silu(x @ weights["second"]) + 1)
    x = within(jnp.tanh(inputs @ weights["first"]))
    x = jax.lax.fori_loop(0, 3, lambda _, value: value * 0.5 + 1, x)
    return jnp.sum(x.reshape(-1)[::2] ** 2)


def values(seed: int) -> tuple[dict[str, Any], Any]:
    random = np.random.default_rng(seed)
    weights = {name: random.normal(size=(5, 5)).astype("float32") for name in ("first", "second")}
    return weights, random.normal(size=(4, 5)).astype("float32")


def recorded(kept: Values) -> Callable[[int, Callable[[], Values]], Values]:
    def keep(count: int, compute: Callable[[], Values]) -> Values:
        found = compute()
        assert len(found) == count
        kept.extend(found)
        return found

    return keep


def replayed(kept: Values) -> Callable[[int, Callable[[], Values]], Values]:
    rest = list(kept)

    def find(count: int, _: Callable[[], Values]) -> Values:
        return [rest.pop(0) for _ in range(count)]

    return find


def test_what_was_kept_and_what_is_computed_anew_make_the_gradient() -> None:
    import jax

    from photofinish.backend.recipes import Recipe

    recipe = Recipe(lambda *given: jax.vjp(branchy, *given), *values(0))
    # Of other values than those it was made with.
    given = values(1)

    def forward(*given: Any) -> tuple[Any, Values]:
        kept: Values = []
        outputs, _ = recipe.follow(given, recorded(kept))
        return outputs, kept

    def backward(kept: Values, *given: Any) -> Any:
        return recipe.follow(given, replayed(kept))[1](1.0)

    found, kept = jax.jit(forward)(*given)
    np.testing.assert_allclose(found, branchy(*given), rtol=1e-6)
    slopes, expected = jax.jit(backward)(kept, *given), jax.grad(branchy, (0, 1))(*given)
    jax.tree.map(lambda ours, theirs: np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-6), slopes, expected)


def test_only_products_loops_and_sums_are_kept() -> None:
    from photofinish.backend.recipes import CHEAP, Recipe

    seen: list[tuple[int, ...]] = []

    def keep(_: int, compute: Callable[[], Values]) -> Values:
        found = compute()
        seen.extend(value.shape for value in found)
        return found

    given = values(0)
    Recipe(branchy, *given).follow(given, keep)
    # Two products, the loop's number and value, and a sum; none of what tanh, silu or the slices give.
    assert sorted(shape for shape in seen if shape) == [(4, 5)] * 3
    assert len(seen) <= 5
    assert not CHEAP & {"dot_general", "conv_general_dilated", "reduce_sum", "while", "scan", "sort", "gather"}


def test_what_was_kept_is_not_computed_again() -> None:
    from photofinish.backend.recipes import Recipe

    given = values(0)
    recipe = Recipe(branchy, *given)
    kept: Values = []
    recipe.follow(given, recorded(kept))
    wrong = [value + 1 for value in kept]
    # Other values in the place of those that were kept are believed, the last, a sum, among them.
    assert recipe.follow(given, replayed(wrong)) == kept[-1] + 1


def test_a_marked_value_is_kept_and_one_that_is_there_anyway_is_not() -> None:
    import jax
    import jax.numpy as jnp

    from photofinish.backend.recipes import Recipe

    def marked(weights: Any, inputs: Any) -> Any:
        x = backend.worth_keeping(inputs)  # given
        product = backend.worth_keeping(x @ weights["first"])  # kept, being a product
        within = jax.jit(lambda y: backend.worth_keeping(jnp.tanh(y)) * 2)
        return jnp.sum(within(product))

    given = values(0)
    recipe = Recipe(lambda *arguments: jax.vjp(marked, *arguments), *given)
    kept: Values = []
    recipe.follow(given, recorded(kept))
    # The product, tanh of it, and the sum.
    assert [value.shape for value in kept] == [(4, 5), (4, 5), ()]
    np.testing.assert_allclose(kept[1], np.tanh(kept[0]), rtol=1e-6)
    slopes, expected = recipe.follow(given, replayed(kept))[1](1.0), jax.grad(marked, (0, 1))(*given)
    jax.tree.map(lambda ours, theirs: np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-6), slopes, expected)
