"""A contact sheet: pictures as they are stored, and below each what the network saw."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from photofinish.storage import writing

TILE = 96
GAP = 4


def write_sheet(path: Path, stored: NDArray[np.uint8], seen: NDArray[np.float32]) -> None:
    """Write pictures in two rows, each stretched to tiles of 96 pixels so that single pixels show.

    Args:
        path: A `.png` file.
        stored: (pictures, height, width, 3), 0-255.
        seen: (pictures, size, size, 3), likewise, what became of them in training.
    """
    count = len(stored)
    sheet = Image.new("RGBA", (count * (TILE + GAP) - GAP, 2 * TILE + GAP), (0, 0, 0, 0))
    rows: tuple[NDArray[Any], NDArray[Any]] = (stored, seen)
    for row, pictures in enumerate(rows):
        for column, picture in enumerate(pictures):
            pixels = np.clip(np.rint(picture), 0, 255).astype(np.uint8)
            # Small pictures keep their pixels, large ones are averaged.
            method = Image.Resampling.NEAREST if max(pixels.shape[:2]) <= TILE else Image.Resampling.BOX
            tile = Image.fromarray(pixels).resize((TILE, TILE), method)
            sheet.paste(tile, (column * (TILE + GAP), row * (TILE + GAP)))
    with writing(path) as temporary:
        sheet.save(temporary, format="PNG", optimize=True)
