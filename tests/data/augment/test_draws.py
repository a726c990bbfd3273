"""The draws: uniform or Beta, independent, and the same for ever."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from typing import Any

import numpy as np
import pytest

from photofinish.data.augment import DRAWS, Augmentation, augmentation_draws
from photofinish.data.augment.draws import CUTMIX_WEIGHT, MIXUP_WEIGHT, SLOTS
from photofinish.errors import SettingsError

Array = np.ndarray[Any, Any]
WEIGHTS = (MIXUP_WEIGHT, CUTMIX_WEIGHT)
UNIFORM = [column for column in range(DRAWS) if column not in WEIGHTS]


def test_draws_are_uniform_and_independent_of_one_another() -> None:
    draws = augmentation_draws(50_000, seed=0, epoch=1, augmentation=Augmentation(mixup=1, cutmix=1))
    assert draws.dtype == np.float32
    assert draws[:, UNIFORM].min() >= 0
    assert draws[:, UNIFORM].max() < 1
    # Beta(1, 1) is uniform too.
    for column in draws.T:
        shares = np.histogram(column, 20, (0, 1))[0] / len(column)
        assert np.abs(shares - 0.05).max() < 5 * np.sqrt(0.05 * 0.95 / len(column))
    correlations = np.corrcoef(np.vstack([draws.T, np.roll(draws, 1, axis=0).T])) - np.eye(2 * DRAWS)
    assert np.abs(correlations).max() < 5 / np.sqrt(len(draws))


def test_a_pictures_draws_depend_on_seed_epoch_and_its_place_alone() -> None:
    augmentation = Augmentation(mixup=0.3, cutmix=2)

    def draw(examples: int, seed: int, epoch: int) -> Array:
        return augmentation_draws(examples, seed, epoch, augmentation)

    draws = draw(100, 4, 2)
    np.testing.assert_array_equal(draw(30, 4, 2), draws[:30])
    for seed, epoch in ((5, 2), (4, 3), (2, 4)):
        assert (draw(100, seed, epoch) != draws).mean() > 0.99


def test_draws_are_the_same_on_every_machine() -> None:
    draws = augmentation_draws(1000, 0, 1, Augmentation(mixup=0.2, cutmix=1))
    golden = [
        [0.943409, 0.786393, 0.162642, 0.607500, 0.016270, 0.302641, 0.178002, 0.354296, 0.919048, 0.771221, 0.184892],
        [0.025241, 0.864735, 0.767957, 0.424636, 0.805491, 0.616212, 0.995587, 0.917168, 0.094933, 0.714651, 0.295587],
    ]
    np.testing.assert_allclose(draws[0], np.ravel(golden), atol=1e-6)
    np.testing.assert_allclose(draws[1, :3], [0.152529, 0.526656, 0.53404], atol=1e-6)
    # Only the Beta variates are computed with more than a shift and a product.
    digest = hashlib.sha256(draws[:, UNIFORM].astype("<f4").tobytes()).hexdigest()
    assert digest == "a6f60b4b4212e753e092769e4763aac1e3bb68682221a69aabed108d5215b3ec"


def test_switching_something_on_changes_no_other_column() -> None:
    off, on = (augmentation_draws(50, 1, 1, chosen) for chosen in (Augmentation(), Augmentation(mixup=0.2, crop=0.5)))
    np.testing.assert_array_equal(off[:, UNIFORM], on[:, UNIFORM])


def test_the_columns_follow_one_another_without_a_gap() -> None:
    from photofinish.data.augment import draws

    numbers = [name for name, value in vars(draws).items() if name.isupper() and isinstance(value, int)]
    names = [name for name in numbers if name != "DRAWS" and not name.startswith("_")]
    columns = [vars(draws)[name] for name in names] + [column for slot in SLOTS for column in slot]
    assert sorted(columns) == list(range(DRAWS))
    assert sum(draws._STREAMS.values()) == DRAWS


@pytest.mark.parametrize("parameter", [0.1, 0.5, 1.0, 3.0])
def test_weights_follow_their_beta_distribution(parameter: float) -> None:
    count = 40_000
    draws = augmentation_draws(count, 2, 1, Augmentation(mixup=parameter))
    weights = draws[:, MIXUP_WEIGHT].astype(np.float64)
    assert ((weights >= 0) & (weights <= 1)).all()
    variance = 1 / (4 * (2 * parameter + 1))
    assert abs(weights.mean() - 0.5) < 5 * np.sqrt(variance / count)
    # The squared deviation has a variance of its own, at most its mean times a quarter.
    assert abs(((weights - 0.5) ** 2).mean() - variance) < 5 * np.sqrt(variance / 4 / count)
    assert (draws[:, CUTMIX_WEIGHT] == 1).all()


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"shift": 0.6}, r"augmentation shift = 0.6: must be from 0 to 0.5"),
        ({"crop": 0.0}, r"crop = 0.0: must be from 0.01 to 1"),
        ({"randaugment": -1.0}, r"randaugment = -1.0: must be a number of at least 0"),
        ({"cutout": float("nan")}, r"cutout = nan: must be from 0 to 1"),
        ({"mixup": float("inf")}, r"mixup = inf: must be a number of at least 0"),
        ({"cutmix": -0.1}, r"cutmix = -0.1"),
    ],
)
def test_impossible_values_are_refused_by_name(wrong: dict[str, float], message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        Augmentation(**wrong)  # type: ignore[arg-type]


def test_policy_and_draws_do_without_keras() -> None:
    program = (
        "import sys, photofinish.data, photofinish.data.augment as augment;"
        "augment.augmentation_draws(2, 0, 1, augment.Augmentation(mixup=1));"
        "assert 'keras' not in sys.modules; assert callable(augment.resize); assert 'keras' in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr


def test_everything_public_can_be_had() -> None:
    from photofinish.data import augment

    assert all(getattr(augment, name) is not None for name in augment.__all__)
    with pytest.raises(AttributeError, match="no attribute 'blur'"):
        augment.blur  # noqa: B018
