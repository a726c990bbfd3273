"""Row 9 of the table: one byte of the pictures changed under an interrupted run, and under an unfinished study."""

from __future__ import annotations

import io
import random
import tarfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from interruptions import AT_ONCE
from PIL import Image

from runs import NETWORK, Outcome, Place, result

FLIPS = 2
CLASSES, A_CLASS = 10, 12
IN_A_STEP = "photofinish.training.loop:learning_rate:9"
TRAINING = ("--epochs", "2", "--batch-size", "8")


@dataclass(frozen=True)
class Source:
    """Pictures of which bytes are changed.

    Attributes:
        kind: How they are kept.
        data: What is named as data.
        places: For some pictures: the file, the place of the byte in it, and what must be named.
    """

    kind: str
    data: Path
    places: list[tuple[Path, int, str]]


def _pictures(draw: np.random.Generator) -> dict[str, bytes]:
    """Return uncompressed pictures by name: with a changed byte they decode as well as before."""
    pictures = {}
    for label in range(CLASSES):
        for number in range(A_CLASS):
            stream = io.BytesIO()
            Image.fromarray(draw.integers(0, 256, (32, 32, 3), np.uint8)).save(stream, "BMP")
            pictures[f"class{label}/{number}.bmp"] = stream.getvalue()
    return pictures


def _folder(root: Path, draw: random.Random) -> Source:
    places = []
    for name, content in _pictures(np.random.default_rng(0)).items():
        path = root / "folder" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        places.append((path, draw.randrange(60, len(content)), name))
    return Source("folder", root / "folder", draw.sample(places, FLIPS))


def _archive(root: Path, draw: random.Random) -> Source:
    path = root / "pictures.tar"
    pictures = _pictures(np.random.default_rng(1))
    with tarfile.open(path, "w") as archive:
        for name, content in pictures.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    whole = path.read_bytes()
    chosen = draw.sample(sorted(pictures), FLIPS)
    places = [(path, whole.index(pictures[name]) + draw.randrange(60, 3000), name) for name in chosen]
    return Source("archive", path, places)


def _packed(root: Path, draw: random.Random) -> Source:
    path = root / "pictures.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        archive.add(root / "folder", "pictures")
    length = path.stat().st_size
    return Source("packed archive", path, [(path, draw.randrange(100, length), str(path)) for _ in range(FLIPS)])


def _arrays(root: Path, draw: random.Random) -> Source:
    """CIFAR-10 in its binary version, of which each file is one array: a byte is a pixel or a label."""
    folder = root / "cifar"
    folder.mkdir()
    generator = np.random.default_rng(2)
    for name in (*(f"data_batch_{number}.bin" for number in range(1, 6)), "test_batch.bin"):
        records = generator.integers(0, 256, (40, 3073), np.uint8)
        records[:, 0] = np.arange(40) % 10  # a bit that is flipped gives another class
        (folder / name).write_bytes(records.tobytes())
    places = []
    for number in range(FLIPS):
        file, record = draw.randint(1, 5), draw.randrange(40)
        byte = 0 if number == 0 else draw.randrange(1, 3073)
        path = folder / f"data_batch_{file}.bin"
        places.append((path, 3073 * record + byte, f"train/{40 * (file - 1) + record:05d}"))
    return Source("arrays", folder, places)


SOURCES: tuple[Callable[[Path, random.Random], Source], ...] = (_folder, _archive, _packed, _arrays)


def _flip(path: Path, at: int) -> None:
    content = bytearray(path.read_bytes())
    content[at] ^= 1
    path.write_bytes(content)


def changed_bytes(place: Place) -> list[Outcome]:
    """Change one byte of the pictures; neither may go on, both name the difference, and both go on when it is back."""
    root = place.folder / "pictures"
    root.mkdir()
    draw = random.Random(2)  # no secret
    refused = Outcome(9, "one byte of the pictures changed: train --resume and compare refuse, and name the picture")
    whole = Outcome(9, "the byte put back: both go on to the same bits")
    sources = [make(root, draw) for make in SOURCES]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        found = pool.map(lambda source: (list(_of_source(place, source)), list(_goes_on(place, source))), sources)
        for problems, problems_when_back in found:
            for problem in problems:
                refused.count(problem)
            for problem in problems_when_back:
                whole.count(problem)
    refused.notes.append(f"{len(SOURCES)} kinds of sources, {FLIPS} bytes each")
    return [refused, whole]


def _verbs(place: Place, source: Source) -> tuple[tuple[str, ...], tuple[str, ...]]:
    run, study = (str(place.folder / f"{what}-{source.kind}") for what in ("run", "study"))
    compare = ("compare", f"{NETWORK}:tiny", "--data", str(source.data), "--output", study, *TRAINING)
    return ("train", "--resume", run), compare


def _of_source(place: Place, source: Source) -> Iterator[str | None]:
    resume, compare = _verbs(place, source)
    begin = ("train", f"{NETWORK}:tiny", "--data", str(source.data), "--output", resume[-1], *TRAINING)
    for verb in (begin, compare):
        code, printed = place.photofinish(*verb, "--checkpoint-every", "2steps", FAULT=IN_A_STEP)
        if code == 0 or "SIGKILL" not in printed:
            raise RuntimeError(f"{verb[0]} was not interrupted: {printed[-300:]}")
    for path, at, named in source.places:
        _flip(path, at)
        for verb in (resume, compare):
            code, printed = place.photofinish(*verb)
            is_right = code == 1 and named in "".join(printed.split("\n")) and "going on" not in printed
            yield None if is_right else f"{verb[0]}, {source.kind}, byte {at}: code {code}, {printed[-300:]}"
        _flip(path, at)


def _goes_on(place: Place, source: Source) -> Iterator[str | None]:
    resume, compare = _verbs(place, source)
    cell = Path(compare[compare.index("--output") + 1]) / "cells" / f"{NETWORK.name}-tiny" / "seed-0"
    for verb in (resume, compare):
        code, printed = place.photofinish(*verb)
        yield None if code == 0 and "going on from the checkpoint" in printed else f"{verb[0]}: {printed[-300:]}"
    yield None if result(Path(resume[-1])) == result(cell) else "they ended with other bits than each other"
