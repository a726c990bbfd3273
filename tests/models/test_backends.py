"""JAX, TensorFlow and torch compute the same: blocks, whole networks, initial values, augmentation, training."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

Arrays = dict[str, np.ndarray[Any, Any]]
GROUPS = [
    "fused1",
    "fused4-residual-odd",
    "fused4-stride2-even",
    "fused4-stride2-odd",
    "mbconv4-stride2-even",
    "mbconv4-stride2-odd",
    "mbconv6-residual-odd",
]


@pytest.fixture(scope="session")
def ours(computations: ModuleType) -> Arrays:
    return computations.compute()


@pytest.fixture(scope="session", params=[pytest.param("tensorflow", marks=pytest.mark.tensorflow), "torch"])
def peer(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Arrays:
    """What another backend computes; a process has one backend, so it has its own."""
    if importlib.util.find_spec(request.param) is None:
        pytest.skip(f"{request.param} is not installed")
    target = tmp_path_factory.mktemp("peer") / "arrays.npz"
    program = Path(__file__).with_name("computations.py")
    done = subprocess.run(
        [sys.executable, program, target],
        env={**os.environ, "KERAS_BACKEND": request.param},
        capture_output=True,
        text=True,
        check=False,
        timeout=400,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    with np.load(target) as arrays:
        return dict(arrays)


def group(arrays: Arrays, name: str) -> Arrays:
    return {key: array for key, array in arrays.items() if key.startswith(f"{name}: ")}


def assert_alike(found: Arrays, expected: Arrays, tolerance: float) -> None:
    assert set(found) == set(expected)
    assert expected
    for name, array in expected.items():
        largest = np.abs(array).max()
        np.testing.assert_allclose(found[name], array, rtol=0, atol=tolerance * max(largest, 1e-3), err_msg=name)


@pytest.mark.parametrize("name", GROUPS)
def test_a_block_gives_the_same_outputs_gradients_and_averages(name: str, ours: Arrays, peer: Arrays) -> None:
    assert any("gradient of" in key for key in group(ours, name))
    assert_alike(group(peer, name), group(ours, name), 1e-4)


def test_every_kind_of_block_is_compared(computations: ModuleType) -> None:
    assert list(computations.BLOCKS) == GROUPS


def test_b0_gives_the_same_logits_at_odd_sizes(ours: Arrays, peer: Arrays) -> None:
    expected = ours["network: b0"]
    assert np.abs(expected[0] - expected[1]).max() > 0.01 * np.abs(expected).max()
    np.testing.assert_allclose(peer["network: b0"], expected, rtol=0, atol=1e-4 * np.abs(expected).max())


def test_a_seed_gives_bit_identical_initial_values(ours: Arrays, peer: Arrays) -> None:
    names = [name for name in ours if name.startswith("network: initial")]
    assert len(names) == 3
    assert {name: str(ours[name]) for name in names} == {name: str(peer[name]) for name in names}


@pytest.mark.parametrize("name", ["moved", "operated"])
def test_pictures_are_moved_and_operated_upon_alike_bit_by_bit(name: str, ours: Arrays, peer: Arrays) -> None:
    assert ours[f"augment: {name}"].std() > 10
    np.testing.assert_array_equal(peer[f"augment: {name}"], ours[f"augment: {name}"])


def test_pictures_are_cropped_alike(ours: Arrays, peer: Arrays) -> None:
    np.testing.assert_allclose(peer["augment: cropped"], ours["augment: cropped"], rtol=0, atol=1e-3)


def test_pictures_are_cropped_operated_upon_and_mixed_alike(ours: Arrays, peer: Arrays) -> None:
    # A cropped value that is half a whole number but for rounding may become either neighbour.
    differ = np.abs(peer["augment: mixed"] - ours["augment: mixed"]).max(axis=(1, 2, 3)) > 0.01
    assert differ.mean() < 0.05
    np.testing.assert_allclose(peer["augment: targets of mixed"], ours["augment: targets of mixed"], rtol=0, atol=1e-6)


def test_pictures_are_resized_alike(ours: Arrays, peer: Arrays) -> None:
    resized = {name: array for name, array in ours.items() if "resized" in name}
    assert len(resized) == 6
    assert_alike({name: peer[name] for name in resized}, resized, 1e-5)


def test_stages_frozen_parts_and_features_train_alike(ours: Arrays, peer: Arrays) -> None:
    assert ours["staged: unfolded, gradual"]
    losses = ours["staged: losses, gradual"]
    assert losses[-1, 0] != losses[0, 0]
    assert_alike(group(peer, "staged"), group(ours, "staged"), 2e-3)


def test_gradients_and_assignments_are_alike(ours: Arrays, peer: Arrays) -> None:
    assert_alike(group(peer, "backend"), group(ours, "backend"), 1e-6)


def test_training_takes_the_same_course(ours: Arrays, peer: Arrays) -> None:
    # Adam divides by the size of gradients, which magnifies rounding where they are small.
    assert_alike(group(peer, "train"), group(ours, "train"), 1e-3)
