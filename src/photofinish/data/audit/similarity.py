"""How alike two pictures are in their structure: the second, stricter comparison of near duplicates.

Around each pixel of two thumbnails, laid on one another as well as moving by two pixels allows, the 7x7 greys are
correlated, after the slope that fits them best has been taken out of each. Where nothing is left in both there is
nothing to compare, so that such places do not count; where it is in one only, they differ. So two blue skies are not
alike, however alike their colours and shades, and a picture stays itself when it becomes brighter, paler, smaller, or
is compressed again.

References:
    Wang, Bovik, Sheikh and Simoncelli, "Image quality assessment: from error visibility to structural similarity", IEEE
    Transactions on Image Processing 13 (2004), 600-612: the third factor of equation 8, without the first two, which
    compare brightness and contrast. That slopes are taken out and flat places left out is ours.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import scipy
from numpy.typing import NDArray

from photofinish.data.audit.perceptual import THUMBNAIL, Thumbnails

MOVES = 2
"""Pixels of the thumbnail by which one picture may be moved upon the other, in each direction."""

WINDOW = 7
FLAT = 20.0
"""Variance in squared greys at which a window counts half: that of visible noise and of traces of compression."""

LEAST_STRUCTURE = 0.1
"""Share of windows with structure below which a picture is too bare to be like another."""

_AT_ONCE = 2048


def similarity(first: Thumbnails, second: Thumbnails) -> NDArray[np.float32]:
    """Return how alike the structure of pictures is.

    Args:
        first: (pairs, 32, 32) greys.
        second: Likewise.

    Returns:
        (pairs,) at most 1, about 0 for pictures that have nothing to do with one another.
    """
    parts = [
        _similarity(first[start : start + _AT_ONCE], second[start : start + _AT_ONCE])
        for start in range(0, len(first), _AT_ONCE)
    ]
    return np.concatenate(parts) if parts else np.zeros(0, np.float32)


def structure(thumbnails: Thumbnails) -> NDArray[np.float32]:
    """Return which share of each picture has structure: 0 for one colour.

    Args:
        thumbnails: (pictures, 32, 32) greys.

    Examples:
        >>> structure(np.full((1, 32, 32), 200, np.uint8))
        array([0.], dtype=float32)
    """
    parts = []
    for start in range(0, len(thumbnails), _AT_ONCE):
        variance = _Windows.of(thumbnails[start : start + _AT_ONCE].astype(np.float32)).variance
        parts.append(_share(variance).mean(axis=(1, 2)))
    return np.concatenate(parts) if parts else np.zeros(0, np.float32)


def _similarity(first: Thumbnails, second: Thumbnails) -> NDArray[np.float32]:
    one, other = (_Windows.of(part) for part in _aligned(first.astype(np.float32), second.astype(np.float32)))
    alike = one.covariance(other) / np.sqrt((one.variance + FLAT) * (other.variance + FLAT))
    counting = _share(np.maximum(one.variance, other.variance)).mean(axis=(1, 2))
    return np.where(counting < LEAST_STRUCTURE, 0, alike.mean(axis=(1, 2)) / np.maximum(counting, LEAST_STRUCTURE))


def _share(variance: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return how much a window counts, between 0 and 1."""
    return variance / (variance + FLAT)


@dataclass(frozen=True)
class _Windows:
    """All windows that lie wholly in pictures.

    Attributes:
        pictures: (pictures, height, width).
        mean: (pictures, rows, columns) of each window.
        slopes: Likewise, for both directions: covariance with a ramp of variance 1.
        variance: Likewise, of what the slopes leave.
    """

    pictures: NDArray[np.float32]
    mean: NDArray[np.float32]
    slopes: tuple[NDArray[np.float32], ...]
    variance: NDArray[np.float32]

    @classmethod
    def of(cls, pictures: NDArray[np.float32]) -> _Windows:
        mean, slopes = _mean(pictures), (_slope(pictures, 1), _slope(pictures, 2))
        variance = _mean(pictures * pictures) - mean * mean - slopes[0] ** 2 - slopes[1] ** 2
        return cls(pictures, mean, slopes, np.maximum(variance, 0))

    def covariance(self, other: _Windows) -> NDArray[np.float32]:
        """Return the covariance with the same windows of other pictures, of what the slopes leave."""
        sloping = sum(ours * theirs for ours, theirs in zip(self.slopes, other.slopes, strict=True))
        return _mean(self.pictures * other.pictures) - self.mean * other.mean - sloping


def _aligned(
    first: NDArray[np.float32], second: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return the middle of each first picture, and what lies there of the second when it is moved to fit best."""
    inner = slice(MOVES, THUMBNAIL - MOVES)
    middle = np.zeros_like(first)
    middle[:, inner, inner] = _details(first)[:, inner, inner]
    # The border of zeros is as wide as the moves, so that the transform's wrapping around reaches nothing.
    products = scipy.fft.irfft2(
        np.conj(scipy.fft.rfft2(middle)) * scipy.fft.rfft2(_details(second)), s=(THUMBNAIL, THUMBNAIL)
    )
    moves = np.arange(-MOVES, MOVES + 1)
    best = products[:, moves[:, None], moves].reshape(len(first), -1).argmax(axis=1)
    down, right = (moves[part][:, None, None] for part in np.divmod(best, len(moves)))
    places = np.arange(MOVES, THUMBNAIL - MOVES)
    rows = np.arange(len(second))[:, None, None]
    return first[:, inner, inner], second[rows, down + places[None, :, None], right + places[None, None, :]]


def _details(pictures: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return pictures without their coarse light and shade, by which nothing can be aligned."""
    fine: NDArray[np.float32] = pictures - scipy.ndimage.gaussian_filter(pictures, (0, _COARSE, _COARSE))
    return fine


def _mean(pictures: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the mean of each window."""
    means: NDArray[np.float32] = scipy.ndimage.uniform_filter(pictures, (0, WINDOW, WINDOW))[
        :, _BORDER:-_BORDER, _BORDER:-_BORDER
    ]
    return means


def _slope(pictures: NDArray[np.float32], axis: int) -> NDArray[np.float32]:
    """Return the covariance of each window with a ramp of mean 0 and variance 1 along an axis."""
    sizes = [0, WINDOW, WINDOW]
    sizes[axis] = 0
    across = scipy.ndimage.uniform_filter(pictures, sizes)
    slopes: NDArray[np.float32] = scipy.ndimage.correlate1d(across, _RAMP / WINDOW, axis)[
        :, _BORDER:-_BORDER, _BORDER:-_BORDER
    ]
    return slopes


def _ramp() -> NDArray[np.float32]:
    ramp = np.arange(WINDOW, dtype=np.float32) - WINDOW // 2
    scaled: NDArray[np.float32] = ramp / ramp.std()
    return scaled


_COARSE: Final = 2.0
_BORDER: Final = WINDOW // 2
_RAMP: Final = _ramp()
