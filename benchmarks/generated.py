"""Folders of generated JPEG files: smooth noise, no two alike, ten classes with a division into train and test."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

CLASSES, TEST_EVERY = 10, 6


def write_jpegs(folder: Path, count: int, size: int = 32, *, seed: int = 0) -> None:
    """Write pictures of `size` x `size` pixels, every sixth of them into `test/`.

    Args:
        folder: Where `train/<class>/` and `test/<class>/` are made.
        count: How many pictures.
        size: Height and width in pixels.
        seed: Decides what is on them.
    """
    random = np.random.default_rng(seed)
    for label in range(CLASSES):
        for part in ("train", "test"):
            (folder / part / f"class-{label}").mkdir(parents=True, exist_ok=True)
    for number in range(count):
        # A coarse pattern, enlarged: about as compressible as a photograph.
        coarse = Image.fromarray(random.integers(0, 256, (max(4, size // 4), max(4, size // 4), 3), np.uint8))
        part = "test" if number % TEST_EVERY == 0 else "train"
        path = folder / part / f"class-{number // TEST_EVERY % CLASSES}" / f"{number}.jpg"
        coarse.resize((size, size), Image.Resampling.BICUBIC).save(path, "JPEG", quality=90)
