"""A 64-bit hash of what a picture looks like, and thumbnails to make it from.

The hash is the one known as pHash: which of the 63 lowest frequencies of the cosine transform, the mean aside, lie
above their median. It does not change with brightness or contrast and little with compression, size or small
retouches, but moving a picture by 3% of its side already changes a quarter of the pairs beyond recognition (CIFAR-10).
So a picture is looked up by its hash at nine positions, one pixel of the thumbnail apart, and each of them mirrored.

References:
    Zauner, "Implementation and benchmarking of perceptual image hash functions", thesis, Upper Austria University of
    Applied Sciences, Hagenberg (2010), section 3.2, on hashes of the cosine transform.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from photofinish.data.audit.neighbours import Hashes

THUMBNAIL = 32
"""Height and width of a thumbnail in pixels."""

MARGIN = 1
_FREQUENCIES = 8
_SIDE = THUMBNAIL - 2 * MARGIN
POSITIONS: Final = tuple((down, right) for down in range(2 * MARGIN + 1) for right in range(2 * MARGIN + 1))
CENTRE: Final = (MARGIN, MARGIN)

Thumbnails = NDArray[np.uint8]


def thumbnail(picture: NDArray[np.uint8]) -> Thumbnails:
    """Return a picture in 32x32 greys, whatever its size and proportions.

    Args:
        picture: RGB of shape (height, width, 3).

    Returns:
        (32, 32), Rec. 601 luma.
    """
    if picture.shape[:2] == (THUMBNAIL, THUMBNAIL):
        return grey(picture)
    image = Image.fromarray(picture)
    # Large pictures are first averaged over whole blocks, which is quick and close to the same.
    small = image.resize((THUMBNAIL, THUMBNAIL), Image.Resampling.BILINEAR, reducing_gap=3.0)
    return grey(np.asarray(small))


def grey(pictures: NDArray[np.uint8]) -> Thumbnails:
    """Return Rec. 601 luma, rounded as Pillow does.

    Args:
        pictures: RGB of shape (..., 3).

    Examples:
        >>> grey(np.array([[255, 0, 0], [10, 10, 10]], np.uint8))
        array([76, 10], dtype=uint8)
    """
    weighted = pictures @ np.array([19595, 38470, 7471], np.uint32)
    return ((weighted + (1 << 15)) >> 16).astype(np.uint8)


def hashes(thumbnails: Thumbnails, position: tuple[int, int] = CENTRE, *, mirrored: bool = False) -> Hashes:
    """Return the hash of each thumbnail.

    Args:
        thumbnails: (pictures, 32, 32).
        position: Where the square of 30x30 pixels that is hashed begins, from the top and from the left.
        mirrored: Hash it mirrored left to right.

    Returns:
        (pictures,). Two hashes of pictures that have nothing to do with one another differ in about 32 bits.
    """
    down, right = position
    cut = thumbnails[:, down : down + _SIDE, right : right + _SIDE].astype(np.float32)
    low = (_BASIS @ cut @ _BASIS.T).reshape(-1, _FREQUENCIES**2)[:, _ORDER]
    if mirrored:
        low = low * _MIRROR[_ORDER]
    # The median of 63 values is the 32nd.
    median = np.partition(low, 31, axis=1)[:, 31:32]
    bits = np.zeros((len(low), 64), bool)
    bits[:, :63] = low > median
    return np.packbits(bits, axis=1).view(">u8")[:, 0].astype(np.uint64)


def nearest_distances(first: Thumbnails, second: Thumbnails) -> NDArray[np.uint8]:
    """Return the least distance over all positions of either picture of a pair.

    Args:
        first: (pairs, 32, 32).
        second: Likewise.
    """
    least = np.full(len(first), 64, np.uint8)
    for one, other in ((first, second), (second, first)):
        fixed = hashes(other)
        for position in POSITIONS:
            least = np.minimum(least, np.bitwise_count(hashes(one, position) ^ fixed))
    return least


def _basis() -> NDArray[np.float32]:
    """Return the lowest frequencies of the orthonormal DCT-II: (frequencies, pixels)."""
    places = (np.arange(_SIDE) + 0.5) / _SIDE
    waves = np.sqrt(2 / _SIDE) * np.cos(np.pi * np.outer(np.arange(_FREQUENCIES), places))
    waves[0] /= np.sqrt(2)
    basis: NDArray[np.float32] = waves.astype(np.float32)
    return basis


def _order() -> NDArray[np.int64]:
    """Return the frequencies, the mean left out, so that each band of neighbouring bits has low and high ones.

    Low frequencies tell pictures apart least; a band of them alone would put too many into one bucket of an index.
    """
    vertical, horizontal = np.divmod(np.arange(1, _FREQUENCIES**2), _FREQUENCIES)
    ascending = 1 + np.argsort(vertical + horizontal, kind="stable")
    return np.concatenate([ascending[start::4] for start in range(4)])


_BASIS: Final = _basis()
_ORDER: Final = _order()
_MIRROR: Final = np.tile(np.where(np.arange(_FREQUENCIES) % 2, -1, 1), _FREQUENCIES).astype(np.float32)
