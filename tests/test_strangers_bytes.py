"""Whatever bytes a stranger sends, our readers give values or a `PhotofinishError`, and touch nothing else.

Each test starts from a sound file and damages it as Hypothesis likes: flips, cuts, repeated and foreign parts. A reader
may accept what came out; what it may not do is to fail in another way, to write elsewhere, or to take long.
"""

from __future__ import annotations

import contextlib
import io
import json
import pickle
import tarfile
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree as ET

import h5py
import numpy as np
import pytest
import safetensors.numpy
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from photofinish.catalog.keras_files import open_keras_archive, open_keras_h5
from photofinish.catalog.tensor_files import open_tensors
from photofinish.config import TrainingSettings, read_settings_file
from photofinish.data.decode import UnreadablePictureError, decode, quiet
from photofinish.data.pickles import read_pickle
from photofinish.errors import PhotofinishError
from photofinish.report.figures.svg import label
from photofinish.report.names import printable, shortened
from photofinish.runs import EpochRecord, Predictions, RunRecord, StudyFolder, append_epoch, read_epochs
from photofinish.runs.pictures import Pictures
from photofinish.storage import read_json
from photofinish.storage.archives import Limits, extract
from photofinish.study.cells import read_plan

FUZZED = settings(deadline=None, max_examples=30, suppress_health_check=list(HealthCheck), derandomize=True)
# Python and HDF5 allocate what a header claims; an archive of a test is refused long before.
SMALL = Limits(total_bytes=10**6, members=1000, ratio=1000, ratio_from_bytes=10**5)

Edit = tuple[str, int, bytes]
EDITS = st.lists(
    st.tuples(
        st.sampled_from(["flip", "cut", "insert", "overwrite", "repeat"]),
        st.integers(0, 1 << 20),
        st.one_of(
            st.binary(min_size=1, max_size=12), st.sampled_from([b"\xff" * 8, b"\0" * 8, b"../", b"\x7f\xff\xff\xff"])
        ),
    ),
    max_size=6,
)


def damaged(content: bytes, edits: list[Edit]) -> bytes:
    """Apply edits to a sound file."""
    changed = bytearray(content)
    for kind, where, what in edits:
        place = where % (len(changed) + 1)
        if kind == "flip" and place < len(changed):
            changed[place] ^= 1 << (what[0] % 8)
        elif kind == "cut":
            del changed[place:]
        elif kind == "insert":
            changed[place:place] = what
        elif kind == "overwrite":
            changed[place : place + len(what)] = what
        elif kind == "repeat":
            changed[place:place] = changed[place : place + 64]
    return bytes(changed)


def tar_of(mode: str) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode=mode) as archive:  # type: ignore[call-overload]  # one of two modes below
        for name in ("cats/1.jpg", "cats/2.jpg", "a/" * 60 + "long.jpg"):
            member = tarfile.TarInfo(name)
            member.size = 40
            archive.addfile(member, io.BytesIO(b"x" * 40))
    return stream.getvalue()


def zip_of() -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("cats/1.jpg", b"x" * 400)
        archive.writestr("dogs/1.jpg", b"y" * 40)
    return stream.getvalue()


ARCHIVES = {"a.tar": tar_of("w"), "a.tar.gz": tar_of("w:gz"), "a.tar.xz": tar_of("w:xz"), "a.zip": zip_of()}


@pytest.mark.parametrize("name", ARCHIVES)
def test_a_damaged_archive_is_refused_or_stays_below_its_target(name: str) -> None:
    @FUZZED
    @given(edits=EDITS)
    def check(edits: list[Edit]) -> None:
        with tempfile.TemporaryDirectory() as folder:
            root = Path(folder)
            archive, target = root / name, root / "deep" / "target"
            target.mkdir(parents=True)
            archive.write_bytes(damaged(ARCHIVES[name], edits))
            try:
                extract(archive, target, lambda _: True, limits=SMALL)
            except (PhotofinishError, OSError) as error:
                # A system refuses names that are too long for it; decompressors have no numbers.
                if isinstance(error, OSError) and error.errno is None:
                    raise
            outside = {path for path in root.rglob("*") if not path.is_relative_to(target)}
            assert outside == {archive, root / "deep"}
            assert all(path.is_dir() or (path.is_file() and not path.is_symlink()) for path in target.rglob("*"))

    check()


def pickled() -> bytes:
    return pickle.dumps({b"data": np.arange(60, dtype=np.uint8).reshape(5, 12), b"labels": [1, 2, 3], b"x": "y"}, 2)


READERS: dict[str, tuple[bytes, Callable[[Path], object]]] = {}


def reader(name: str, content: bytes) -> Callable[[Callable[[Path], object]], Callable[[Path], object]]:
    def register(function: Callable[[Path], object]) -> Callable[[Path], object]:
        READERS[name] = content, function
        return function

    return register


@reader("data_batch_1", pickled())
def _pickle(path: Path) -> object:
    return read_pickle(path)


def npz(**arrays: np.ndarray) -> bytes:  # type: ignore[type-arg]  # of any type
    stream = io.BytesIO()
    np.savez_compressed(stream, **arrays)  # type: ignore[arg-type]  # typeshed takes one for a flag
    return stream.getvalue()


@reader(
    "test.npz",
    npz(ids=np.array(["a", "bc"]), labels=np.array([0, 1], np.int32), logits=np.ones((2, 3), np.float32)),
)
def _predictions(path: Path) -> object:
    return Predictions.read(path).correct.mean()


@reader("pictures.npz", npz(ids=np.array(["a", "bc"]), images=np.ones((2, 4, 4, 3), np.uint8)))
def _pictures(path: Path) -> object:
    return Pictures.read(path)


@reader("weights.safetensors", safetensors.numpy.save({"a/kernel": np.ones((3, 4), np.float32)}))
def _safetensors(path: Path) -> object:
    with open_tensors(path) as arrays:
        return [stored.read() for stored in arrays.values() if np.prod(stored.shape) < 10**6]


def keras_archive() -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("model.weights.h5", hdf5())
        archive.writestr("config.json", "{}")
    return stream.getvalue()


def hdf5() -> bytes:
    stream = io.BytesIO()
    with h5py.File(stream, "w") as file:
        file["stem/stem/kernel:0"] = np.ones((3, 4), np.float32)
        file["stem/stem/bias:0"] = np.ones(4, np.float32)
    return stream.getvalue()


@reader("weights.h5", hdf5())
def _h5(path: Path) -> object:
    with open_keras_h5(path) as arrays:
        return [stored.shape for stored in arrays.values()]


@reader("model.keras", keras_archive())
def _keras(path: Path) -> object:
    with open_keras_archive(path) as arrays:
        return [stored.shape for stored in arrays.values()]


@reader("settings.toml", b'epochs = 3\nlearning_rate = 0.1\ntraining_size = "16:32"\nflip = true\nstages = 2\n')
def _toml(path: Path) -> object:
    return TrainingSettings.of(read_settings_file(path))


@reader("run.json", b'{"status": "failed", "settings": {"model": "resnet50", "seed": 1}, "error": "no"}')
def _record(path: Path) -> object:
    return RunRecord.read(path)


@reader("study.json", b'{"schema": 1, "models": ["resnet50"], "seeds": [0, 1], "recipe": "custom"}')
def _plan(path: Path) -> object:
    return read_plan(StudyFolder(path.parent))


def epochs() -> bytes:
    record = EpochRecord(
        epoch=1,
        train_loss=1.5,
        train_accuracy=0.5,
        validation_loss=1.4,
        validation_accuracy=0.5,
        learning_rate=0.1,
        train_seconds=1.0,
        elapsed_seconds=1.0,
    )
    with tempfile.TemporaryDirectory() as folder:
        append_epoch(Path(folder) / "metrics.jsonl", record)
        return (Path(folder) / "metrics.jsonl").read_bytes()


@reader("metrics.jsonl", epochs())
def _metrics(path: Path) -> object:
    return read_epochs(path)


@pytest.mark.parametrize("name", READERS)
def test_a_damaged_file_is_read_or_refused_in_words(name: str) -> None:
    content, read = READERS[name]
    with tempfile.TemporaryDirectory() as folder:
        sound = Path(folder) / name
        sound.write_bytes(content)
        if name != "study.json":  # whose rest would be as long as a study
            read(sound)

    @FUZZED
    @given(edits=EDITS)
    def check(edits: list[Edit]) -> None:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / name
            path.write_bytes(damaged(content, edits))
            with contextlib.suppress(PhotofinishError):
                read(path)
            assert list(Path(folder).rglob("*")) == [path]

    check()


@pytest.mark.parametrize("name", ["run.json", "metrics.jsonl", "settings.toml", "study.json"])
@pytest.mark.parametrize(
    "content",
    [
        b"[" * 200_000, b"\xff\xfe\0", b"9" * 10_000, b'{"a": ' * 100_000,
        b"epochs = " + b"9" * 10_000, b"flip = 0x" + b"f" * 10_000, b"a = " + b"[" * 9999,
    ],
    ids=["nested", "no UTF-8", "a long number", "objects", "a long setting", "a hexadecimal", "a nested setting"],
)  # fmt: skip
def test_text_that_would_break_a_parser_is_refused_in_words(name: str, content: bytes, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(PhotofinishError):
        READERS[name][1](path)


def test_an_array_file_that_claims_more_than_memory_is_refused_before_it_is_unpacked(tmp_path: Path) -> None:
    header = b"\x93NUMPY\x01\x00"
    text = b"{'descr': '<f4', 'fortran_order': False, 'shape': (1000000000000, 10), }".ljust(117) + b"\n"
    path = tmp_path / "test.npz"
    with zipfile.ZipFile(path, "w") as archive:
        for name in ("ids", "labels", "logits"):
            archive.writestr(f"{name}.npy", header + len(text).to_bytes(2, "little") + text)
    with pytest.raises(PhotofinishError, match="not a readable predictions file"):
        Predictions.read(path)


@FUZZED
@given(edits=EDITS, kind=st.sampled_from(["PNG", "JPEG", "GIF", "WEBP", "TIFF", "BMP", "PPM"]))
def test_a_damaged_picture_is_decoded_or_refused_in_words(edits: list[Edit], kind: str) -> None:
    from PIL import Image

    stream = io.BytesIO()
    Image.new("RGB", (12, 9), "teal").save(stream, kind)
    with quiet():
        try:
            picture = decode(damaged(stream.getvalue(), edits), (8, 8), pixel_limit=10**6)
        except UnreadablePictureError:
            return
    assert picture.shape == (8, 8, 3)


@FUZZED
@given(name=st.text(max_size=60))
def test_any_name_can_be_shown_without_changing_what_stands_around_it(name: str) -> None:
    shown = printable(name)
    assert not set(shown) & {"\n", "\r", "\x1b", "\u202e", "\u2028", "\0"}
    assert len(shortened(name, 20)) <= 20
    assert ET.fromstring(str(label(0, 0, name))).text == (shown or None)  # noqa: S314 - our own drawing
    json.dumps(shown).encode("utf-8")


@FUZZED
@given(content=st.recursive(st.none() | st.floats() | st.text() | st.integers(), st.lists))
def test_json_that_is_none_of_ours_is_refused_in_words(content: object) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "run.json"
        path.write_text(json.dumps(content), encoding="utf-8")
        read_json(path)
        with pytest.raises(PhotofinishError):
            RunRecord.read(path)
