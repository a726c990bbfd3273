"""From the bytes of a picture file to RGB, alike on every machine and for every model.

A picture is decoded wholly (a check of its structure passes truncated files), turned as its EXIF orientation
says, laid on white where it is transparent, and scaled so that its shorter side fits, with the centre kept.
Scaling is bicubic with antialiasing: the filter the published EfficientNetV2 figures were evaluated with.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from photofinish.errors import DataError

PICTURE_SUFFIXES = frozenset(
    {
        ".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".ppm", ".pgm", ".pbm",
        ".pnm",
    }
)  # fmt: skip
DECODER_VERSION = 2  # raised whenever the same bytes would decode to other pixels

_FORMATS = ("JPEG", "PNG", "BMP", "GIF", "WEBP", "TIFF", "PPM")
_PIXEL_LIMIT = 64_000_000
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_ORIENTATION_TAG = 0x0112
_ON_THEIR_SIDE = (5, 6, 7, 8)


class UnreadablePictureError(DataError):
    """A picture that does not decode; the message is the reason alone."""


def decode(
    content: bytes, target: tuple[int, int] | None = None, *, pixel_limit: int = _PIXEL_LIMIT
) -> NDArray[np.uint8]:
    """Decode a picture.

    Animations give their first frame. 16-bit greys are divided by 257; floating-point greys are read as 0-1
    where no value exceeds 1, else as 0-255.

    Args:
        content: The file's bytes; what they are decides, not the file's name.
        target: Height and width in pixels to fit the picture to (shorter side scaled, centre kept), or None.
        pixel_limit: Pictures that claim more pixels are refused before any of them is decoded.

    Returns:
        RGB of shape (height, width, 3).

    Raises:
        UnreadablePictureError: The bytes are no picture, are incomplete, or claim too many pixels.

    Examples:
        >>> file = io.BytesIO()
        >>> Image.new("L", (3, 2), 128).save(file, "PNG")
        >>> decode(file.getvalue()).shape
        (2, 3, 3)
    """
    with _opened(content, pixel_limit) as image:
        return _decode_opened(image, target)


@dataclass(frozen=True)
class Encoding:
    """How a picture is stored.

    Attributes:
        kind: What its bytes are, as in `JPEG`, whatever the file is called.
        mode: Pillow's name of what a pixel is, as in `RGB`, `L`, `CMYK`.
        orientation: As its EXIF data says, 1 (upright) to 8.
        is_transparent: Whether it has pixels or an alpha channel that let the background show.
        is_animated: Whether there are frames or pages after the first, which alone is used.
    """

    kind: str
    mode: str
    orientation: int
    is_transparent: bool
    is_animated: bool


def decode_with_encoding(content: bytes) -> tuple[NDArray[np.uint8], Encoding]:
    """Decode a picture at its own size, and say how it was stored.

    Args:
        content: The file's bytes.

    Returns:
        RGB of shape (height, width, 3), and the encoding.

    Raises:
        UnreadablePictureError: As by `decode`.
    """
    with _opened(content, _PIXEL_LIMIT) as image:
        encoding = _encoding(image)
        picture = _decode_opened(image, None)
        # Only now: looking for a later frame may spoil the first.
        return picture, replace(encoding, is_animated=_is_animated(image))


def read_encoding(content: bytes) -> tuple[tuple[int, int], Encoding]:
    """Say how large a picture is and how it is stored, without decoding it.

    Args:
        content: The file's bytes.

    Returns:
        Height and width as it is shown, in pixels, and the encoding.

    Raises:
        UnreadablePictureError: It has no header of a picture that `decode` takes.
    """
    with _opened(content, _PIXEL_LIMIT) as image:
        encoding = _encoding(image)
        size = (image.width, image.height) if encoding.orientation in _ON_THEIR_SIDE else (image.height, image.width)
        return size, replace(encoding, is_animated=_is_animated(image))


def _encoding(image: Image.Image) -> Encoding:
    """Return what the header says; decoding changes some of it."""
    return Encoding(image.format or "unknown", image.mode, _orientation(image), image.has_transparency_data, False)


@contextmanager
def _opened(content: bytes, pixel_limit: int) -> Iterator[Image.Image]:
    """Open a picture; whatever is wrong with it, then or while it is decoded, is an `UnreadablePictureError`."""
    if not content:
        raise UnreadablePictureError("the file is empty")
    try:
        with Image.open(io.BytesIO(content), formats=_FORMATS) as image:
            _require_size(image, pixel_limit)
            yield image
    except (UnreadablePictureError, MemoryError):
        raise
    except UnidentifiedImageError as error:
        raise UnreadablePictureError("not a picture") from error
    except Image.DecompressionBombError as error:
        raise UnreadablePictureError(f"it claims more than {pixel_limit / 1e6:g} megapixels") from error
    except Exception as error:
        # On damaged bytes Pillow's plugins raise whatever comes to hand.
        raise UnreadablePictureError(" ".join(str(error).split()) or type(error).__name__) from error


def _require_size(image: Image.Image, pixel_limit: int) -> None:
    if image.width * image.height > pixel_limit:
        megapixels = image.width * image.height / 1e6
        raise UnreadablePictureError(f"it claims {megapixels:.0f} megapixels, more than {pixel_limit / 1e6:g}")


def fit(picture: NDArray[np.uint8], target: tuple[int, int]) -> NDArray[np.uint8]:
    """Scale and crop RGB of shape (height, width, 3) to `target` (height, width)."""
    if picture.shape[:2] == target:
        return picture
    return np.asarray(_fit(Image.fromarray(picture), target))


@contextmanager
def quiet() -> Iterator[None]:
    """Silence Pillow's warnings (odd EXIF, large pictures) for all threads while pictures are decoded."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module=r"PIL\..*")
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        yield


def _decode_opened(image: Image.Image, target: tuple[int, int] | None) -> NDArray[np.uint8]:
    turn = _TURNS.get(_orientation(image))
    if target is not None:
        # A JPEG can be decoded at 1/2, 1/4 or 1/8; twice the target is kept so that the last step still
        # antialiases.
        side = 2 * max(target)
        image.draft(None, (side, side))
    image.load()
    picture = _to_rgb(image)
    if turn is not None:
        picture = picture.transpose(turn)
    if target is not None and (picture.height, picture.width) != target:
        picture = _fit(picture, target)
    return np.asarray(picture, dtype=np.uint8)


def _fit(image: Image.Image, target: tuple[int, int]) -> Image.Image:
    return ImageOps.fit(image, (target[1], target[0]), Image.Resampling.BICUBIC)


def _orientation(image: Image.Image) -> int:
    """Return the EXIF orientation, 1 (upright) where there is none that can be read."""
    try:
        return int(image.getexif().get(_ORIENTATION_TAG, 1))
    except Exception:  # noqa: BLE001 - a damaged EXIF block says nothing about the picture beside it
        return 1


def _is_animated(image: Image.Image) -> bool:
    # Telephones put a preview or a map of depths behind a JPEG, which nobody takes for the picture.
    if image.format == "MPO":
        return False
    try:
        return bool(getattr(image, "is_animated", False))
    except Exception:  # noqa: BLE001 - what is wrong with a later frame says nothing about the first
        return False


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I"):
        return _grey_to_rgb(_sixteen_bits(image))
    if image.mode == "F":
        return _grey_to_rgb(_floating_point(image))
    if image.has_transparency_data:
        layer = image.convert("RGBA")
        white = Image.new("RGBA", layer.size, "white")
        return Image.alpha_composite(white, layer).convert("RGB")
    return image.convert("RGB")


def _sixteen_bits(image: Image.Image) -> NDArray[np.uint8]:
    values = np.asarray(image).astype(np.int64)
    if values.min() < 0 or values.max() > 0xFFFF:
        raise UnreadablePictureError("it has integers beyond 16 bits, whose white is not known")
    return ((values + 128) // 257).astype(np.uint8)


def _floating_point(image: Image.Image) -> NDArray[np.uint8]:
    values = np.asarray(image, dtype=np.float64)
    if not np.isfinite(values).all() or values.min() < 0 or values.max() > 255:
        raise UnreadablePictureError("it has floating-point values outside 0-255, whose white is not known")
    scale = 255.0 if values.max() <= 1 else 1.0
    return np.floor(values * scale + 0.5).astype(np.uint8)


def _grey_to_rgb(grey: NDArray[np.uint8]) -> Image.Image:
    return Image.fromarray(grey).convert("RGB")
