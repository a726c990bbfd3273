"""Small data for whole training runs."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import pytest

from photofinish.config import DataSettings
from photofinish.data import PreparedData, prepare


@pytest.fixture(scope="session")
def digits(tmp_path_factory: pytest.TempPathFactory) -> PreparedData:
    """scikit-learn's digits, 8x8, prepared as a user would."""
    return prepare(DataSettings(source="digits", image_size=8), cache=tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="session")
def few(digits: PreparedData) -> Callable[[int], PreparedData]:
    """The digits with only so many of them for training, and fifteen to validate."""

    def choose(train: int) -> PreparedData:
        splits = {
            **digits.splits,
            "train": digits.splits["train"][:train],
            "validation": digits.splits["validation"][:15],
        }
        return dataclasses.replace(digits, splits=splits)

    return choose
