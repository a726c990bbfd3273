"""The features of a frozen network: every picture goes through it once, whatever the number of epochs and seeds."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import filelock
import keras
import numpy as np
from keras import ops
from pydantic import ValidationError

from photofinish import backend
from photofinish.config import Settings, is_custom
from photofinish.data import PreparedData
from photofinish.data.augment import resize
from photofinish.errors import PhotofinishError
from photofinish.models import all_layers
from photofinish.models.facts import layer_facts
from photofinish.models.inference import Predictor
from photofinish.runs import Notify, StageEvent, hardware, versions
from photofinish.storage import cache_folder, read_json, require_free_space, write_json
from photofinish.storage.download import checksum

_SCHEMA = 1
_ARRAY, _NOTE, _LOCK = "features.npy", "features.json", ".lock"


class SplitTime(Settings):
    """What the features of a split cost when they were computed.

    Attributes:
        seconds: Wall time, compilation aside.
        images_per_second: Pictures in a batch over the median time of one, or None where there was one batch only.
    """

    seconds: float
    images_per_second: float | None


class Features:
    """Pooled features of prepared pictures, kept under the user's cache folder.

    They are found again by everything that decides them: the network's layers and weights, someone's own file, the
    pictures as they were decoded, the image size, the precision, the backend, the device and our version. A later seed,
    or a later run with another head, does not pass a single picture through the network.

    Args:
        network: Pictures of 0-255 to features.
        name: The model as it was asked for.
        data: The pictures and their division.
        image_size: Height and width the network sees.
        notify: Is told of progress.
        kept_as: What decides the network's programs besides shapes, in words, as for `backend.compiled`.
    """

    def __init__(
        self,
        network: keras.Model,
        name: str,
        data: PreparedData,
        image_size: int,
        notify: Notify,
        kept_as: str | None = None,
    ) -> None:
        self.network, self.data, self.image_size, self.notify = network, data, image_size, notify
        self._kept_as = kept_as
        self.folder = cache_folder("features") / _key(network, name, data, image_size)
        self.from_cache = True
        self._predictor: Predictor | None = None

    @property
    def compile_seconds(self) -> float:
        """Seconds that compiling the network took, 0 where every feature was found."""
        return self._predictor.compile_seconds if self._predictor else 0.0

    def of(self, splits: Sequence[str]) -> tuple[PreparedData, dict[str, SplitTime]]:
        """Return the data with features in place of pictures, and what the features of each split cost.

        Args:
            splits: Whose features are to be there; those of others may be zeros.
        """
        try:
            return self._found_or_computed(splits)
        except OSError as error:
            raise PhotofinishError(
                f"cannot keep features in {self.folder}: {error.strerror or error}; free some space, or name another "
                "folder in PHOTOFINISH_CACHE"
            ) from error

    def kept(self, splits: Sequence[str]) -> bool:
        """Return whether the features of these splits lie in the cache already."""
        return set(splits) <= self._times().keys()

    def _found_or_computed(self, splits: Sequence[str]) -> tuple[PreparedData, dict[str, SplitTime]]:
        self.folder.mkdir(parents=True, exist_ok=True)
        with filelock.FileLock(self.folder / _LOCK):
            times = self._times()
            array = self._array(create=not times)
            missing = [split for split in splits if split not in times]
            total = sum(len(self.data.splits[split]) for split in missing)
            done = 0
            for split in missing:
                times[split] = self._compute(split, array, done, total)
                done += len(self.data.splits[split])
                write_json(self.folder / _NOTE, {name: time.model_dump() for name, time in times.items()})
        features = np.load(self.folder / _ARRAY, mmap_mode="r", allow_pickle=False)
        return dataclasses.replace(self.data, images=features), {split: times[split] for split in splits}

    def _compute(self, split: str, array: np.memmap[Any, np.dtype[np.float32]], before: int, total: int) -> SplitTime:
        self.from_cache = False
        indices = self.data.splits[split]

        def notify(done: int, _: int) -> None:
            self.notify(StageEvent(stage="features", done=before + done, total=total))

        if self._predictor is None:
            largest = max(len(indices) for indices in self.data.splits.values())
            prepare = functools.partial(resize, size=self.image_size)
            self._predictor = Predictor(self.network, prepare, self.image_size, largest, kept_as=self._kept_as)
        predicted = self._predictor(self.data.images, indices, notify)
        array[indices] = predicted.logits
        array.flush()
        size = self._predictor.batch_size
        seconds = predicted.batch_seconds
        if not seconds:
            return SplitTime(seconds=predicted.seconds, images_per_second=None)
        median = float(np.median(seconds))
        # The first batch of all compiles; it counts as an ordinary one.
        compiling = -(-len(indices) // size) - len(seconds)
        return SplitTime(seconds=sum(seconds) + compiling * median, images_per_second=size / median)

    def _times(self) -> dict[str, SplitTime]:
        """Return what lies in the cache already; nothing where it cannot be read."""
        try:
            content = read_json(self.folder / _NOTE)
            np.load(self.folder / _ARRAY, mmap_mode="r", allow_pickle=False)
            return {name: SplitTime.model_validate(time) for name, time in content.items()}
        except (PhotofinishError, ValidationError, OSError, ValueError, AttributeError):
            return {}

    def _array(self, *, create: bool) -> np.memmap[Any, np.dtype[np.float32]]:
        path = self.folder / _ARRAY
        if not create:
            array: np.memmap[Any, np.dtype[np.float32]] = np.load(path, mmap_mode="r+", allow_pickle=False)
            return array
        shape = (len(self.data.images), *self.network.output_shape[1:])
        require_free_space(self.folder, 4 * int(np.prod(shape)), "the features of the pictures")
        (self.folder / _NOTE).unlink(missing_ok=True)
        # Another process may still read the old file.
        temporary = path.with_suffix(".partial")
        array = np.lib.format.open_memmap(temporary, mode="w+", dtype=np.float32, shape=shape)
        if hasattr(os, "posix_fallocate"):
            # A file with holes, written through memory when the disk is full, would kill the process.
            with temporary.open("rb+") as file:
                os.posix_fallocate(file.fileno(), 0, temporary.stat().st_size)
        temporary.replace(path)
        return array


def _key(network: keras.Model, name: str, data: PreparedData, image_size: int) -> str:
    """Return a digest of everything that decides the features and what they cost."""
    facts = {
        "schema": _SCHEMA,
        "versions": versions(),
        # Of the folder of decoded pictures, which is named after what was decoded, and how.
        "pixels": data.folder.parent.name,
        "pictures": data.record.fingerprint,
        "image_size": image_size,
        "precision": keras.config.dtype_policy().name,
        "backend": backend.active(),
        "device": [backend.device_name(), *hardware().values()],
        "file": checksum(Path(name.rpartition(":")[0]), "SHA-256") if is_custom(name) else name,
        "layers": [layer_facts(layer) for layer in all_layers(network)],
    }
    digest = hashlib.sha256(json.dumps(facts, sort_keys=True).encode())
    digest.update(np.ascontiguousarray(data.ids).tobytes())
    for variable in network.weights:
        digest.update(f"{variable.path}{tuple(variable.shape)}".encode())
        digest.update(np.ascontiguousarray(ops.convert_to_numpy(variable.value)).tobytes())
    return digest.hexdigest()[:32]
