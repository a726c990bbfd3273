"""Initial values: the right distributions, and a function of seed and path alone."""

from __future__ import annotations

import random
import time
from typing import Any

import keras
import numpy as np
import pytest

from photofinish import backend
from photofinish.models import Head, build, build_with_initial_values

Array = np.ndarray[Any, Any]


def values(model: keras.Model) -> dict[str, Array]:
    return {weight.path: np.array(weight.value) for weight in model.weights}


@pytest.fixture(scope="module")
def b0() -> dict[str, Array]:
    return values(build("efficientnetv2-b0", Head(100), image_size=32, seed=7).model)


def test_convolutions_start_from_an_untruncated_normal_of_variance_two_over_fan_out(b0: dict[str, Array]) -> None:
    kernels = {path: value for path, value in b0.items() if value.ndim == 4}
    assert len(kernels) > 80
    scores = []
    for value in kernels.values():
        fan_out = np.prod(value.shape[:2]) * value.shape[3]
        scores.append((value * np.sqrt(fan_out / 2)).ravel())
    for score in scores:
        # Five standard errors of mean and standard deviation.
        assert abs(score.mean()) < 5 / np.sqrt(score.size)
        assert abs(score.std() - 1) < 5 / np.sqrt(2 * score.size)
    pooled = np.concatenate(scores)
    # 4.55% of a normal lie beyond two deviations; a truncated one has none there.
    assert (np.abs(pooled) > 2).mean() == pytest.approx(0.0455, rel=0.01)


def test_the_published_classifier_starts_uniform_within_one_over_the_root_of_the_classes() -> None:
    head = Head(100, as_published=True)
    kernel = values(build("efficientnetv2-b0", head, image_size=32).model)["predictions/kernel"]
    assert np.abs(kernel).max() <= 0.1
    assert np.abs(kernel).max() > 0.0999
    assert kernel.std() == pytest.approx(0.1 / np.sqrt(3), rel=0.01)
    np.testing.assert_array_equal(np.histogram(kernel, 10, (-0.1, 0.1))[0] > 0.09 * kernel.size, True)


def test_a_new_classifier_starts_from_glorots_distribution(b0: dict[str, Array]) -> None:
    kernel = b0["predictions/kernel"]
    limit = np.sqrt(6 / sum(kernel.shape))
    assert 0.999 * limit < np.abs(kernel).max() <= limit
    assert kernel.std() == pytest.approx(limit / np.sqrt(3), rel=0.01)


def test_everything_else_starts_at_zero_or_one(b0: dict[str, Array]) -> None:
    for path, value in b0.items():
        if value.ndim == 1:
            assert (value == (path.endswith(("gamma", "moving_variance")))).all(), path


def test_no_two_kernels_start_alike(b0: dict[str, Array]) -> None:
    first = [tuple(value.ravel()[:4]) for value in b0.values() if value.ndim > 1]
    assert len(set(first)) == len(first)


def test_a_seed_gives_the_same_values_whatever_was_built_before(b0: dict[str, Array]) -> None:
    again = values(build("efficientnetv2-b0", Head(100), image_size=64, seed=7).model)
    assert again.keys() == b0.keys()
    assert all((again[path] == b0[path]).all() for path in b0)


def test_another_seed_changes_every_kernel(b0: dict[str, Array]) -> None:
    other = values(build("efficientnetv2-b0", Head(100), image_size=32, seed=8).model)
    assert all((other[path] != value).mean() > 0.99 for path, value in b0.items() if value.ndim > 1)


def test_values_depend_on_the_path_and_not_on_the_place_in_the_model() -> None:
    def model(*names: str) -> keras.Model:
        layers = [keras.layers.Dense(4, name=name) for name in names]
        return build_with_initial_values(lambda: keras.Sequential([keras.Input((4,)), *layers], name="net"), seed=0)

    one, two = values(model("a", "b")), values(model("b", "a"))
    kernels = [next(v for p, v in found.items() if p.endswith("a/kernel")) for found in (one, two)]
    np.testing.assert_array_equal(*kernels)


@pytest.mark.parametrize(
    ("initializer", "mean", "deviation", "furthest"),
    [
        ("glorot_uniform", 0, np.sqrt(2 / 500), np.sqrt(6 / 500)),
        ("he_normal", 0, np.sqrt(2 / 200), 2 * np.sqrt(2 / 200) / 0.8796),
        (keras.initializers.RandomNormal(0.5, 0.2), 0.5, 0.2, None),
        (keras.initializers.RandomUniform(-1, 3), 1, 4 / np.sqrt(12), 2),
        ("zeros", 0, 0, 0),
        (keras.initializers.Constant(3.0), 3, 0, 0),
    ],
)
def test_keras_initialisers_keep_their_distribution(
    initializer: Any, mean: float, deviation: float, furthest: float | None
) -> None:
    def assemble() -> keras.Model:
        dense = keras.layers.Dense(300, kernel_initializer=initializer, name="d")
        return keras.Sequential([keras.Input((200,)), dense])

    kernel = np.array(build_with_initial_values(assemble, seed=1).weights[0].value)
    assert kernel.mean() == pytest.approx(mean, abs=5 * deviation / np.sqrt(kernel.size) + 1e-7)
    assert kernel.std() == pytest.approx(deviation, rel=0.02, abs=1e-7)
    if furthest is not None:
        assert np.abs(kernel - mean).max() <= furthest + 1e-6


def test_an_initialiser_that_is_not_known_computes_its_own_values() -> None:
    def assemble() -> keras.Model:
        return keras.Sequential([keras.Input((4,)), keras.layers.Dense(4, kernel_initializer="orthogonal")])

    first, second = (np.array(build_with_initial_values(assemble, seed=1).weights[0].value) for _ in range(2))
    np.testing.assert_allclose(first.T @ first, np.eye(4), atol=1e-5)
    np.testing.assert_array_equal(first, second)


def test_what_begins_as_the_same_zeros_changes_apart() -> None:
    def make() -> keras.Sequential:
        layers = [keras.layers.Dense(3, name=name, kernel_initializer="zeros") for name in ("first", "second")]
        return keras.Sequential([keras.Input((3,)), *layers])

    model = build_with_initial_values(make, seed=0)
    one, other = (layer.kernel for layer in model.layers)
    step = backend.compiled(lambda number: one.assign(one.value + number), model.variables)
    for number in (1.0, 2.0):
        step(np.float32(number))
    assert (np.array(one.value) == 3).all()
    assert (np.array(other.value) == 0).all()
    assert (np.array(build_with_initial_values(make, seed=0).layers[0].kernel.value) == 0).all()


def test_building_does_not_disturb_the_programs_own_random_numbers() -> None:
    random.seed(1)
    np.random.seed(1)  # noqa: NPY002  # the global state is what is tested
    expected = (random.random(), np.random.random())  # noqa: NPY002, S311  # as above
    random.seed(1)
    np.random.seed(1)  # noqa: NPY002  # as above
    build("mobilenetv2-0.35", Head(10), image_size=32, seed=5)
    assert (random.random(), np.random.random()) == expected  # noqa: NPY002, S311  # as above


def test_the_programs_random_numbers_do_not_disturb_building() -> None:
    def states() -> list[Array]:
        model = build("efficientnetv2-b0", Head(10), image_size=32, seed=5).model
        return [np.array(v.value) for v in model.variables if "seed_generator" in v.path]

    random.seed(1)
    first = states()
    random.seed(2)
    second = states()
    assert len(first) > 5
    assert all((a == b).all() for a, b in zip(first, second, strict=True))
    assert len({a.tobytes() for a in first}) == len(first)


def test_efficientnetv2_l_is_built_in_seconds() -> None:
    # Of this process' own time: other tests run beside this one.
    start = time.process_time()
    build("efficientnetv2-l", Head(10), image_size=224, seed=0)
    assert time.process_time() - start < 8
