"""Rows 7, 8 and 10 of the fault campaign: damaged pictures, bombs, hostile archives and folders.

Command: `python benchmarks/faults/pictures.py [FOLDER]`

FOLDER holds class folders of pictures; without it a thousand pictures are made. Nothing in it is changed.
"""

from __future__ import annotations

import io
import os
import resource
import shutil
import socket
import struct
import sys
import tarfile
import tempfile
import time
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image
from row import Row, refused_in_words, show

from photofinish.config import DataSettings
from photofinish.data import PreparedData, prepare
from photofinish.data.decode import UnreadablePictureError, decode, quiet
from photofinish.storage.archives import Limits, extract

CLASSES, A_CLASS = 5, 200
SEED = 20261123


def make_pictures(root: Path) -> Path:
    """Write JPEGs of noise into class folders."""
    generator = np.random.default_rng(SEED)
    for label in range(CLASSES):
        folder = root / f"class{label}"
        folder.mkdir(parents=True)
        for index in range(A_CLASS):
            pixels = generator.integers(0, 256, (6, 6, 3), dtype=np.uint8)
            Image.fromarray(pixels).resize((40, 40)).save(folder / f"{index:03}.jpg")
    return root


GIVEN: list[Path] = []
"""The folder of pictures that was named, if any."""


def source(folder: Path) -> Path:
    """Return a copy of the pictures to be spoilt: those that were named, or made ones."""
    if GIVEN:
        return Path(shutil.copytree(GIVEN[0], folder / "pictures"))
    return make_pictures(folder / "pictures")


def empty(path: Path) -> None:
    path.write_bytes(b"")


def truncate(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])


def noise(path: Path) -> None:
    path.write_bytes(np.random.default_rng(SEED).bytes(500))


def saved(path: Path, kind: str, change: Callable[[Image.Image], Image.Image], **options: object) -> None:
    """Write the picture in another way under its old name."""
    with Image.open(path) as image:
        changed = change(image.convert("RGB"))
    changed.save(path, kind, **options)


def animated(path: Path) -> None:
    with Image.open(path) as image:
        first = image.convert("RGB")
    first.save(path, "GIF", save_all=True, append_images=[Image.new("RGB", first.size, "red")])


def sixteen_bits(image: Image.Image) -> Image.Image:
    return Image.fromarray(np.asarray(image.convert("L")).astype(np.uint16) * 257)


def with_transparency(image: Image.Image) -> Image.Image:
    palette = image.convert("P")
    palette.info["transparency"] = 0
    return palette


UNREADABLE = {"zero bytes": empty, "truncated": truncate, "no picture": noise}
READABLE: dict[str, Callable[[Path], None]] = {
    "PNG called .jpg": lambda path: saved(path, "PNG", lambda image: image),
    "CMYK": lambda path: saved(path, "JPEG", lambda image: image.convert("CMYK")),
    "16-bit": lambda path: saved(path, "PNG", sixteen_bits),
    "animated": animated,
    "palette with transparency": lambda path: saved(path, "PNG", with_transparency),
}


def prepared(folder: Path, cache: Path, **settings: object) -> PreparedData:
    return prepare(DataSettings.of({"source": str(folder), "image_size": 32, **settings}), cache=cache)


def spoil(folder: Path, kinds: list[Callable[[Path], None]], share: float) -> list[str]:
    """Spoil a share of the pictures, each kind as often; return their names."""
    everything = sorted(path for path in folder.rglob("*.jpg"))
    chosen = np.random.default_rng(SEED).choice(len(everything), round(share * len(everything)), replace=False)
    for number, place in enumerate(chosen.tolist()):
        kinds[number % len(kinds)](everything[place])
    return sorted(str(everything[place].relative_to(folder)) for place in chosen.tolist())


def one_per_cent_unreadable() -> Row:
    """Row 7: what does not decode is listed and left out, and the rest is as it was."""
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        folder = source(root)
        bad = spoil(folder, list(UNREADABLE.values()), 0.01)
        data = prepared(folder, root / "cache", skip_unreadable=True)
        listed = sorted(text.partition(": ")[0] for text in data.record.skipped)
        refused = refused_in_words(lambda: prepared(folder, root / "cache"))
        again = prepared(folder, root / "other", skip_unreadable=True)
        alike = again.record == data.record and np.array_equal(again.images, data.images)
        figure = f"{len(listed)} of {len(bad)} left out and listed, alike elsewhere: {alike}; else refused: {refused}"
    return Row(7, "1% unreadable pictures", figure, listed == bad and alike and refused)


def odd_but_readable() -> Row:
    """Row 7: odd encodings are read, every time to the same pixels."""
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        folder = source(root)
        odd = spoil(folder, list(READABLE.values()), 0.01)
        data = prepared(folder, root / "cache")
        again = prepared(folder, root / "other")
        kept = set(data.ids.tolist()) >= set(odd)
        alike = np.array_equal(again.images, data.images)
    figure = f"{len(odd)} of {len(odd)} kept: {kept}, alike in a second cache: {alike}"
    return Row(7, f"1% of {', '.join(READABLE)}", figure, kept and alike)


def too_many_unreadable() -> Row:
    """Row 7: above five per cent the set is refused, whatever was asked for."""
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        folder = source(root)
        bad = spoil(folder, list(UNREADABLE.values()), 0.06)
        refused = refused_in_words(lambda: prepared(folder, root / "cache", skip_unreadable=True))
    return Row(7, "6% unreadable pictures", f"{len(bad)} spoilt; refused: {refused}", refused)


def what_is_no_file() -> Row:
    """Row 7: a pipe that never ends, a socket, a device, links in a circle and out of the folder: none is opened."""
    done = []
    for what in ("FIFO", "socket", "device", "link to itself", "link to its parent", "link outside"):
        with tempfile.TemporaryDirectory() as name:
            root = Path(name)
            folder = make_pictures(root / "pictures")
            _plant(what, folder / "class1" / "zz.jpg")
            start = time.perf_counter()
            refused = refused_in_words(lambda folder=folder, root=root: prepared(folder, root / "cache"))
            done.append(refused and time.perf_counter() - start < 20)
    return Row(
        7, "no ordinary file among the pictures", f"{sum(done)} of {len(done)} refused without waiting", all(done)
    )


def _plant(what: str, path: Path) -> None:
    if what == "FIFO":
        os.mkfifo(path)
    elif what == "socket":
        here = os.open(".", os.O_RDONLY)
        os.chdir(path.parent)  # the path of a socket must be short
        try:
            with socket.socket(socket.AF_UNIX) as one:
                one.bind(path.name)
        finally:
            os.fchdir(here)
            os.close(here)
    elif what == "device":
        path.symlink_to("/dev/zero")
    elif what == "link to itself":
        path.symlink_to(path)
    elif what == "link to its parent":
        path.with_suffix("").symlink_to(path.parent)
    else:
        path.symlink_to("/etc/passwd")


def decompression_bomb() -> Row:
    """Row 8: a small file that claims 169 megapixels is refused from its header."""
    side = 13_000
    header = struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)
    rows = zlib.compress(bytes((side // 8 + 2) * side), 9)

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    bomb = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")
    before, start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.perf_counter()
    try:
        with quiet():
            decode(bomb)
        refused = False
    except UnreadablePictureError:
        refused = True
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    seconds = time.perf_counter() - start
    figure = f"{len(bomb) / 1e3:.0f} kB, {side**2 / 1e6:.0f} megapixels: {1e3 * seconds:.1f} ms, {grown:.1f} MB"
    return Row(8, "a decompression bomb", figure, refused and grown < 20 and seconds < 1)


def hostile_archives() -> Row:
    """Row 10: nothing is written outside the target, and bombs are refused."""
    kinds = ["../out", "/tmp/out", "a/../../out", "..\\out", "link", "hard link", "device", "FIFO", "bomb", "zip bomb"]
    refused = 0
    for kind in kinds:
        with tempfile.TemporaryDirectory() as name:
            root = Path(name)
            target = root / "deep" / "target"
            target.mkdir(parents=True)
            archive = _hostile_archive(root, kind)
            limits = Limits(ratio_from_bytes=10**6)
            refused += refused_in_words(lambda archive=archive, target=target, limits=limits: extract(
                archive, target, lambda _: True, limits=limits
            ))  # fmt: skip
            outside = {path for path in root.rglob("*") if not path.is_relative_to(target)} - {archive, root / "deep"}
            refused -= bool(outside)
    figure = f"{refused} of {len(kinds)} refused, nothing outside the target"
    return Row(10, "hostile archives", figure, refused == len(kinds))


def _hostile_archive(root: Path, kind: str) -> Path:
    if kind == "zip bomb":
        path = root / "a.zip"
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as packed:
            packed.writestr("cats/1.jpg", bytes(200_000_000))
        return path
    types = {
        "link": tarfile.SYMTYPE,
        "hard link": tarfile.LNKTYPE,
        "device": tarfile.CHRTYPE,
        "FIFO": tarfile.FIFOTYPE,
    }
    path = root / ("a.tar.xz" if kind == "bomb" else "a.tar")
    with tarfile.open(path, "w:xz" if kind == "bomb" else "w") as archive:
        types = {
            "link": tarfile.SYMTYPE,
            "hard link": tarfile.LNKTYPE,
            "device": tarfile.CHRTYPE,
            "FIFO": tarfile.FIFOTYPE,
        }
        member = tarfile.TarInfo("cats/1.jpg" if kind in {*types, "bomb"} else kind)
        member.type = types.get(kind, tarfile.REGTYPE)
        member.linkname = "/etc/passwd"
        content = bytes(50_000_000) if kind == "bomb" else b"x"
        member.size = len(content) if member.isreg() else 0
        archive.addfile(member, io.BytesIO(content))
    return path


ROWS = (
    one_per_cent_unreadable, odd_but_readable, too_many_unreadable, what_is_no_file, decompression_bomb,
    hostile_archives,
)  # fmt: skip

if __name__ == "__main__":
    GIVEN += map(Path, sys.argv[1:2])
    sys.exit(show(ROWS))
