from __future__ import annotations

import io
import struct
import warnings
import zlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from photofinish.data.decode import UnreadablePictureError, decode, decode_with_encoding, fit, quiet, read_encoding


def encoded(image: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def one_colour(mode: str, colour: Any, kind: str = "PNG", **options: Any) -> tuple[int, ...]:
    """Return the pixel that a picture of one colour decodes to."""
    pixels = decode(encoded(Image.new(mode, (9, 7), colour), kind, **options))
    assert pixels.shape == (7, 9, 3)
    assert pixels.dtype == np.uint8
    assert (pixels == pixels[0, 0]).all()
    return tuple(pixels[0, 0].tolist())


@pytest.mark.parametrize(
    ("mode", "colour", "kind", "expected"),
    [
        ("RGB", (10, 200, 30), "PNG", (10, 200, 30)),
        ("L", 77, "PNG", (77, 77, 77)),
        ("1", 1, "PNG", (255, 255, 255)),
        ("LA", (0, 0), "PNG", (255, 255, 255)),
        ("LA", (100, 255), "PNG", (100, 100, 100)),
        ("RGBA", (255, 0, 0, 0), "PNG", (255, 255, 255)),
        ("RGBA", (255, 0, 0, 255), "PNG", (255, 0, 0)),
        ("RGBA", (0, 0, 0, 51), "PNG", (204, 204, 204)),
        ("I;16", 0, "PNG", (0, 0, 0)),
        ("I;16", 65535, "PNG", (255, 255, 255)),
        ("I;16", 257 * 128, "PNG", (128, 128, 128)),
        ("I;16", 300, "TIFF", (1, 1, 1)),
        ("I", 257 * 200, "TIFF", (200, 200, 200)),
        ("I", 257 * 99, "PPM", (99, 99, 99)),
        ("F", 0.5, "TIFF", (128, 128, 128)),
        ("F", 200.0, "TIFF", (200, 200, 200)),
        ("CMYK", (0, 255, 255, 0), "TIFF", (255, 0, 0)),
        ("RGB", (1, 2, 3), "BMP", (1, 2, 3)),
        ("RGB", (1, 2, 3), "PPM", (1, 2, 3)),
    ],
)
def test_every_mode_becomes_the_right_rgb(mode: str, colour: Any, kind: str, expected: tuple[int, ...]) -> None:
    assert one_colour(mode, colour, kind) == expected


def test_a_cmyk_jpeg_is_not_inverted() -> None:
    pixel = np.array(one_colour("CMYK", (0, 255, 255, 0), "JPEG", quality=95), dtype=int)
    assert np.abs(pixel - (255, 0, 0)).max() <= 3


def test_a_palette_with_a_transparent_colour_lies_on_white() -> None:
    image = Image.new("P", (2, 1))
    image.putpalette([255, 0, 0, 0, 0, 255])
    image.putdata([0, 1])
    pixels = decode(encoded(image, transparency=1))
    assert pixels.tolist() == [[[255, 0, 0], [255, 255, 255]]]


def test_a_palette_with_graded_transparency_is_blended() -> None:
    image = Image.new("P", (2, 1))
    image.putpalette([0, 0, 0, 0, 0, 255])
    image.putdata([0, 1])
    pixels = decode(encoded(image, transparency=bytes([51, 255])))
    assert pixels.tolist() == [[[204, 204, 204], [0, 0, 255]]]


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG", "TIFF"])
def test_an_animation_gives_its_first_frame(kind: str) -> None:
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "lime")]
    options = {"lossless": True} if kind == "WEBP" else {}
    content = encoded(frames[0], kind, save_all=True, append_images=frames[1:], **options)
    assert (decode(content) == (255, 0, 0)).all()


def corners(pixels: NDArray[np.uint8]) -> list[int]:
    """Return the red value at the four corners, clockwise from the upper left."""
    return [int(pixels[y, x, 0]) for y, x in ((0, 0), (0, -1), (-1, -1), (-1, 0))]


@pytest.mark.parametrize(
    ("orientation", "expected"),
    [
        (1, [0, 80, 160, 240]),
        (2, [80, 0, 240, 160]),
        (3, [160, 240, 0, 80]),
        (4, [240, 160, 80, 0]),
        (5, [0, 240, 160, 80]),
        (6, [240, 0, 80, 160]),
        (7, [160, 80, 0, 240]),
        (8, [80, 160, 240, 0]),
    ],
)
def test_the_exif_orientation_is_applied(orientation: int, expected: list[int]) -> None:
    values = np.zeros((2, 3, 3), dtype=np.uint8)
    values[0, 0], values[0, -1], values[-1, -1], values[-1, 0] = 0, 80, 160, 240
    exif = Image.Exif()
    exif[0x0112] = orientation
    pixels = decode(encoded(Image.fromarray(values), exif=exif))
    assert corners(pixels) == expected
    assert pixels.shape[:2] == ((2, 3) if orientation < 5 else (3, 2))


def test_damaged_exif_does_not_cost_the_picture() -> None:
    content = encoded(Image.new("RGB", (8, 8), "white"), "JPEG", exif=b"Exif\0\0MM\0*garbage" + b"\xff" * 40)
    with warnings.catch_warnings(), quiet():
        assert decode(content).shape == (8, 8, 3)


def test_the_content_decides_and_not_the_name() -> None:
    assert decode(encoded(Image.new("RGB", (4, 4)), "WEBP")).shape == (4, 4, 3)


def test_the_shorter_side_is_scaled_and_the_centre_kept() -> None:
    values = np.zeros((40, 80, 3), dtype=np.uint8)
    values[:, 20:60] = 200
    pixels = decode(encoded(Image.fromarray(values)), (20, 20))
    assert pixels.shape == (20, 20, 3)
    assert (pixels[:, 3:-3] == 200).all()


def test_small_pictures_are_enlarged() -> None:
    assert decode(encoded(Image.new("RGB", (4, 6), (9, 9, 9))), (16, 16)).tolist() == [[[9, 9, 9]] * 16] * 16


def test_a_jpeg_decoded_at_a_fraction_looks_like_one_decoded_whole() -> None:
    y, x = np.mgrid[0:512, 0:512]
    waves = (127 + 60 * np.sin(x / 23) + 60 * np.cos(y / 31)).astype(np.uint8)
    image = Image.fromarray(np.stack([waves, 255 - waves, waves], axis=-1))
    fast = decode(encoded(image, "JPEG", quality=95), (64, 64)).astype(int)
    slow = fit(np.asarray(image), (64, 64)).astype(int)
    assert np.abs(fast - slow).mean() < 1.5


def png_of_claimed_size(width: int, height: int) -> bytes:
    """Write a PNG that claims a size and holds nearly nothing."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(bytes(100))) + chunk(b"IEND", b"")


@pytest.mark.parametrize("size", [(8100, 8000), (13_000, 13_000), (60_000, 60_000)])
def test_a_bomb_is_refused_from_its_header(size: tuple[int, int]) -> None:
    with quiet(), pytest.raises(UnreadablePictureError, match="megapixels"):
        decode(png_of_claimed_size(*size))


BROKEN: dict[str, Callable[[], bytes]] = {
    "empty": lambda: b"",
    "text": lambda: b"<html>404</html>",
    "truncated JPEG": lambda: encoded(Image.effect_noise((64, 64), 50).convert("RGB"), "JPEG")[:-600],
    "truncated PNG": lambda: encoded(Image.effect_noise((64, 64), 50), "PNG")[:-600],
    "header alone": lambda: encoded(Image.new("RGB", (64, 64)), "JPEG")[:100],
    "PostScript": lambda: b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\nshowpage\n",
    "integers beyond 16 bits": lambda: encoded(Image.new("I", (4, 4), 1 << 20), "TIFF"),
    "floating point beyond 255": lambda: encoded(Image.new("F", (4, 4), 1e6), "TIFF"),
    "floating point not a number": lambda: encoded(Image.new("F", (4, 4), float("nan")), "TIFF"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_what_does_not_decode_wholly_is_unreadable_with_a_reason_in_one_line(name: str) -> None:
    with quiet(), pytest.raises(UnreadablePictureError) as caught:
        decode(BROKEN[name]())
    assert str(caught.value)
    assert "\n" not in str(caught.value)


def test_random_damage_is_either_decoded_or_unreadable_and_never_anything_else() -> None:
    generator = np.random.default_rng(0)
    image = Image.effect_noise((32, 32), 80).convert("RGB")
    with quiet():
        for kind in ("JPEG", "PNG", "GIF", "WEBP", "TIFF", "BMP"):
            whole = encoded(image, kind)
            for _ in range(60):
                content = bytearray(whole)
                for place in generator.integers(0, len(content), 4):
                    content[place] = generator.integers(0, 256)
                try:
                    assert decode(bytes(content), (16, 16)).shape == (16, 16, 3)
                except UnreadablePictureError:
                    continue


def test_a_header_says_what_decoding_says() -> None:
    generator = np.random.default_rng(0)
    image = Image.fromarray(generator.integers(0, 256, (9, 14, 3), dtype=np.uint8))
    turned = Image.Exif()
    turned[0x0112] = 6
    files = [
        encoded(image, "JPEG"), encoded(image, "JPEG", exif=turned), encoded(image.convert("L")),
        encoded(image.convert("RGBA")), encoded(image.convert("P"), "GIF"),
        encoded(image, "GIF", save_all=True, append_images=[image.rotate(90)]),
        encoded(image, "TIFF", save_all=True, append_images=[image.rotate(90)]),
        encoded(image, "MPO", save_all=True, append_images=[image.rotate(90)]),
    ]  # fmt: skip
    found = [read_encoding(content) for content in files]
    for content, (size, encoding) in zip(files, found, strict=True):
        picture, expected = decode_with_encoding(content)
        assert (size, encoding) == (picture.shape[:2], expected)
    assert [encoding.orientation for _, encoding in found] == [1, 6, 1, 1, 1, 1, 1, 1]
    assert [encoding.is_animated for _, encoding in found] == [False] * 5 + [True, True, False]


def test_what_has_no_header_has_no_encoding() -> None:
    with pytest.raises(UnreadablePictureError):
        read_encoding(b"not a picture")
