"""Networks cut into segments: each computes its part, alike where its facts are; some are not cut."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
from keras import ops

from photofinish.models import Head, StochasticDepth, build
from photofinish.models.segments import segments


def block(x: Any, number: int, *, rate: float = 0.0, activation: str | Callable[[Any], Any] = "relu") -> Any:
    y = keras.layers.Conv2D(4, 3, padding="same", activation=activation, name=f"conv{number}")(x)
    y = keras.layers.BatchNormalization(name=f"bn{number}")(y)
    if rate:
        y = StochasticDepth(rate, seed=number, name=f"drop{number}")(y)
    return keras.layers.Add(name=f"add{number}")([x, y])


def network(*blocks: dict[str, Any]) -> keras.Model:
    inputs = keras.Input((8, 8, 3))
    x = keras.layers.Conv2D(4, 1, name="stem")(inputs)
    for number, options in enumerate(blocks):
        x = block(x, number, **options)
    return keras.Model(inputs, keras.layers.Dense(3)(keras.layers.GlobalAveragePooling2D()(x)))


def facts(model: keras.Model) -> list[str]:
    return [one.facts for one in segments(model)]


@pytest.mark.parametrize(
    ("name", "count", "distinct"), [("efficientnetv2-b0", 19, 9), ("resnet50", 17, 9), ("mobilenetv2", 15, 10)]
)
def test_a_network_is_cut_at_its_additions_and_equal_blocks_are_known_as_such(name, count, distinct):
    model = build(name, Head(10), image_size=32, seed=None).model
    found = facts(model)
    assert (len(found), len(set(found))) == (count, distinct)
    every = [node.operation.name for one in segments(model) for node in one.nodes]
    assert every == [operation.name for operation in model.operations[1:]]


def test_the_segments_one_after_another_compute_what_the_network_computes_in_training():
    keras.utils.set_random_seed(3)
    model = network({"rate": 0.4}, {"rate": 0.2}, {})
    images = np.random.default_rng(1).normal(size=(6, 8, 8, 3)).astype("float32")
    states = [ops.convert_to_numpy(one.value) for one in model.variables]
    whole = ops.convert_to_numpy(model(images, training=True))
    after = [ops.convert_to_numpy(one.value) for one in model.variables]
    for variable, value in zip(model.variables, states, strict=True):
        variable.assign(value)
    x = images
    for segment in segments(model):
        x = segment.train(x, segment.rates)
    np.testing.assert_array_equal(ops.convert_to_numpy(x), whole)
    for variable, value in zip(model.variables, after, strict=True):
        np.testing.assert_array_equal(ops.convert_to_numpy(variable.value), value)


def test_blocks_that_differ_in_their_rate_of_stochastic_depth_only_compute_alike():
    stem, first, second, third, last = facts(network({"rate": 0.1}, {"rate": 0.2}, {"rate": 0.3}))
    assert stem != first == second == third != last


@pytest.mark.parametrize(
    "other",
    [
        pytest.param({"activation": "silu"}, id="activation"),
        pytest.param({"rate": 0.2}, id="an operation more"),
        # Two functions of one name may compute different things.
        pytest.param({"activation": lambda x: x}, id="a function of someone's own"),
    ],
)
def test_blocks_that_compute_different_things_differ(other):
    found = facts(network({}, {}, other, other if callable(other.get("activation")) else {}))
    _, first, second, third, *_ = found
    assert first == second != third


def test_what_is_trained_is_part_of_the_facts():
    model = network({}, {}, {})
    before = facts(model)
    assert before[1] == before[2]
    model.get_layer("conv1").trainable = False
    after = facts(model)
    assert after[1] != after[2] == before[2]


def test_nothing_is_cut_across_a_connection_that_goes_further():
    inputs = keras.Input((8, 8, 3))
    stem = keras.layers.Conv2D(4, 1)(inputs)
    x = block(stem, 0)
    x = block(x, 1)
    joined = keras.layers.Concatenate()([stem, x])
    x = block(keras.layers.Conv2D(4, 1)(joined), 2)
    model = keras.Model(inputs, keras.layers.GlobalAveragePooling2D()(x))
    assert [one.operations[-1].name for one in segments(model)] == ["add2", model.operations[-1].name]


def of_two_stages(*, wider: int) -> keras.Model:
    inputs = keras.Input((8, 8, 4))
    x = block(inputs, 0)
    x = keras.layers.Conv2D(wider, 3, strides=2, padding="same", name="down")(x)
    x = keras.layers.Conv2D(4, 1, name="between")(x)
    for number in (1, 2):
        x = block(x, number)
    return keras.Model(inputs, keras.layers.GlobalAveragePooling2D()(x))


def test_a_block_that_comes_again_is_a_segment_of_its_own_without_an_addition_before_it():
    model = of_two_stages(wider=6)
    assert [one.operations[-1].name for one in segments(model)] == [
        "add0", "between", "add1", "add2", model.operations[-1].name,
    ]  # fmt: skip
    found = facts(model)
    assert found[2] == found[3]


def test_an_end_that_needs_more_than_one_tensor_from_before_it_is_not_cut_off():
    inputs = keras.Input((8, 8, 4))
    x = keras.layers.Conv2D(4, 1, name="stem")(inputs)
    joined = keras.layers.Add(name="joined")([keras.layers.Conv2D(4, 1)(x), keras.layers.Conv2D(4, 1)(x)])
    # The end of the first segment is an addition as the second one is, but of two tensors instead of one.
    model = keras.Model(inputs, keras.layers.Add(name="doubled")([joined, joined]))
    assert [one.operations[-1].name for one in segments(model)] == ["joined", "doubled"]


def shared() -> keras.Model:
    inputs = keras.Input((8, 8, 4))
    layer = keras.layers.Conv2D(4, 3, padding="same")
    return keras.Model(inputs, keras.layers.Add()([inputs, layer(layer(inputs))]))


def with_a_loss(**regularisers: Any) -> keras.Model:
    inputs = keras.Input((8, 8, 4))
    x = keras.layers.Conv2D(4, 3, padding="same", **regularisers)(inputs)
    return keras.Model(inputs, keras.layers.Add()([inputs, x]))


def of_two_inputs() -> keras.Model:
    inputs = [keras.Input((8, 8, 4)), keras.Input((8, 8, 4))]
    return keras.Model(inputs, keras.layers.Add()(inputs))


def within_another() -> keras.Model:
    inputs = keras.Input((8, 8, 3))
    return keras.Model(inputs, network({}, {})(inputs))


@pytest.mark.parametrize(
    "make",
    [
        pytest.param(shared, id="a layer used twice"),
        pytest.param(lambda: with_a_loss(kernel_regularizer="l2"), id="a loss of weights"),
        pytest.param(lambda: with_a_loss(activity_regularizer="l2"), id="a loss of outputs"),
        pytest.param(of_two_inputs, id="two inputs"),
        pytest.param(within_another, id="a network within"),
        pytest.param(lambda: keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)]), id="not functional"),
    ],
)
def test_networks_that_cannot_be_a_chain_are_not_cut(make):
    assert segments(make()) == []
