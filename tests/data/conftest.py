"""Small sets of pictures, made anew for each test."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

MakePictures = Callable[..., Path]


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    """A cache of the test's own."""
    folder = tmp_path / "cache"
    folder.mkdir()
    return folder


@pytest.fixture
def make_pictures() -> MakePictures:
    """Write PNG pictures of noise: `{"train/cat": 5}` gives `train/cat/0.png` to `4.png`, no two alike."""

    def make(root: Path, counts: Mapping[str, int], size: tuple[int, int] = (12, 12), seed: int = 0) -> Path:
        generator = np.random.default_rng(seed)
        for folder, count in counts.items():
            (root / folder).mkdir(parents=True)
            for number in range(count):
                pixels = generator.integers(0, 256, (*size, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(root / folder / f"{number}.png")
        return root

    return make
