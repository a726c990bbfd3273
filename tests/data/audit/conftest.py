"""Pictures that look like photographs to whoever compares structure: noise whose power falls with the frequency."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

Photograph = Callable[..., NDArray[np.uint8]]


@pytest.fixture(scope="session")
def photograph() -> Photograph:
    """Return a picture of this number, (height, width, 3)."""

    def make(number: int, size: int = 96) -> NDArray[np.uint8]:
        generator = np.random.default_rng([7, number])
        noise = np.fft.fft2(generator.normal(size=(size, size, 3)), axes=(0, 1))
        down, right = np.meshgrid(np.fft.fftfreq(size), np.fft.fftfreq(size), indexing="ij")
        # In photographs amplitudes fall with the frequency, so that most of what one sees is coarse.
        shade = np.fft.ifft2(noise / np.maximum(np.hypot(down, right), 1 / size)[..., None] ** 1.2, axes=(0, 1)).real
        shade = (shade - shade.mean()) / shade.std()
        return np.clip(128 + 45 * shade, 0, 255).astype(np.uint8)

    return make


@pytest.fixture(scope="session")
def recompressed() -> Callable[..., NDArray[np.uint8]]:
    """Return a picture that was saved as JPEG and opened again."""

    def make(picture: NDArray[np.uint8], **options: Any) -> NDArray[np.uint8]:
        file = io.BytesIO()
        Image.fromarray(picture).save(file, "JPEG", **options)
        return np.asarray(Image.open(file))

    return make
