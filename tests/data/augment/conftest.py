"""Pictures and draws that the tests of augmentation share."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from photofinish.data.augment import Augmentation, augmentation_draws

Array = np.ndarray[Any, Any]


@pytest.fixture
def images() -> Array:
    return np.random.default_rng(0).integers(0, 256, (60, 10, 7, 3), dtype=np.uint8)


@pytest.fixture
def draws() -> Array:
    return augmentation_draws(60, seed=3, epoch=1, augmentation=Augmentation())
