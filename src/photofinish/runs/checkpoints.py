"""Checkpoints of a training in its run folder: written whole, verified when they are read, the last two kept.

```
resume/
    begin.json                    what is trained: settings, pictures, versions
    interruptions.json            how often it was resumed, and what was computed twice
    reached                       the last step that was seen: text that is overwritten
    step-000000120/               a checkpoint after 120 steps
        state.safetensors         every variable that training changes, and the clock
        manifest.json             how far training had come, and the SHA-256 of the other file
```
A checkpoint is built in a folder beside its own and moved there whole. `resume/` is removed when the run is finished.
"""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal

from numpy.typing import NDArray
from pydantic import Field, ValidationError

from photofinish.config import is_custom
from photofinish.config.base import Settings
from photofinish.config.checkpoints import CheckpointEvery
from photofinish.config.settings import CellSettings
from photofinish.errors import PhotofinishError
from photofinish.runs.memory import MemoryRecord
from photofinish.runs.records import DataRecord, EpochRecord, InterruptionRecord, NonFiniteStep
from photofinish.storage import write_json
from photofinish.storage.folders import UNFINISHED, building
from photofinish.storage.sealed import DamagedError, read_sealed, write_sealed
from photofinish.storage.tensors import Arrays, read_tensors, write_tensors

KEPT = 2
STATE, MANIFEST = "state.safetensors", "manifest.json"
PICTURES_IN_WORDS = {
    "train": "the number of training pictures",
    "validation": "the number of validation pictures",
    "test": "the number of test pictures",
    "fingerprint": "the fingerprint of the pictures",
}
# What decides the bits of a result, beside the libraries of the backend.
DECIDING = frozenset({"photofinish", "keras", "numpy"})
OF_BACKEND = {
    "jax": frozenset({"jax", "jaxlib"}),
    "tensorflow": frozenset({"tensorflow", "tensorflow-cpu"}),
    "torch": frozenset({"torch"}),
}


class Beginning(Settings):
    """What a training was begun with; only the very same may go on from its checkpoints.

    Attributes:
        schema_version: Version of the layout of `resume/`.
        settings: Model, seed, backend, data and training.
        data: The pictures.
        sources: SHA-256 of every file that decides what the model is: someone's own model, and weight files.
        versions: Versions of Python and the libraries.
        every: How often it is saved.
        folder: The working folder, to which relative paths in the settings refer.
        memory: What was found to fit into memory, where that was asked for; it decides nothing but the settings.
    """

    schema_version: Literal[1] = 1
    settings: CellSettings
    data: DataRecord
    sources: dict[str, str]
    versions: dict[str, str]
    every: CheckpointEvery
    folder: str
    memory: MemoryRecord | None = None

    def differences(self, now: Beginning) -> list[str]:
        """Name what differs now and decides the result.

        Where the pictures lie, and someone's own model, does not matter: the fingerprint and the digest of the file do.
        """
        pairs: list[tuple[str, Any, Any]] = [("model", _called(self.settings.model), _called(now.settings.model))]
        pairs += [(name, getattr(self.settings, name), getattr(now.settings, name)) for name in ("seed", "backend")]
        for before, after in (
            (self.settings.data, now.settings.data),
            (self.settings.training, now.settings.training),
            (
                self.data.but(fingerprint=self.data.fingerprint[:12]),
                now.data.but(fingerprint=now.data.fingerprint[:12]),
            ),
        ):
            old, new = before.model_dump(mode="json"), after.model_dump(mode="json")
            names = PICTURES_IN_WORDS if before is not self.settings.training else {}
            pairs += [(names.get(key, key), old[key], new[key]) for key in new if key not in {"source", "name"}]
        digests = [{_called(name): digest for name, digest in one.sources.items()} for one in (self, now)]
        for name in sorted(digests[0].keys() | digests[1].keys()):
            old_digest, new_digest = (one.get(name, "none") for one in digests)
            pairs.append((f"the file behind {name}", old_digest, new_digest))
        for name in sorted(DECIDING | OF_BACKEND[now.settings.backend]):
            old_version, new_version = (one.versions.get(name, "not installed") for one in (self, now))
            pairs.append((f"the version of {name}", old_version, new_version))
        return [f"{name} was {_brief(old)} and is now {_brief(new)}" for name, old, new in pairs if old != new]


class CheckpointRecord(Settings):
    """`manifest.json`: how far a training had come.

    Attributes:
        begun: What is trained.
        epoch: The epoch in progress, 1 for the first.
        step: Steps taken in it.
        steps: Steps taken in all.
        learning_rate: Of the last step.
        sums: Over the pictures of the epoch so far: of losses, number right, number of pictures.
        epochs: The figures of the epochs that ended.
        seconds: Wall time of the run so far: of its processes up to the checkpoints that were gone on from.
        data_seconds: Part of them in which batches were made.
        epoch_start_seconds: Training seconds before this epoch.
        validation_seconds: Seconds of validation.
        validation_compile_seconds: Part of them that was compilation.
        elapsed_seconds: Training seconds up to the end of the last epoch.
        checkpoint_seconds: Seconds for which training stood still to be copied.
        step_from_cache: Whether a training step was found compiled in the persistent cache.
        nonfinite_steps: Steps that were not applied.
        sha256: Of each other file, by name.
    """

    begun: Beginning
    epoch: int
    step: int
    steps: int
    learning_rate: float
    sums: tuple[float, float, float]
    epochs: tuple[EpochRecord, ...]
    seconds: float
    data_seconds: float
    epoch_start_seconds: float
    validation_seconds: float
    validation_compile_seconds: float
    elapsed_seconds: float
    checkpoint_seconds: float
    step_from_cache: bool
    nonfinite_steps: tuple[NonFiniteStep, ...] = ()
    sha256: dict[str, str] = Field(default_factory=dict)

    @property
    def place(self) -> str:
        """How far it is, in words."""
        epochs = self.begun.settings.training.for_pictures(self.begun.data.train).epochs
        return "every step taken" if self.epoch > epochs else f"epoch {self.epoch}, {self.step} of its steps taken"


class CheckpointStore:
    """The checkpoints of one run.

    Args:
        folder: `resume/` of the run folder.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._good: list[Path] = []

    @property
    def checkpoints(self) -> list[Path]:
        """The folders of all checkpoints, damaged ones too, the latest first."""
        return sorted(self.folder.glob("step-*"), reverse=True)

    def write(self, record: CheckpointRecord, arrays: Arrays) -> Path:
        """Write a checkpoint, and remove what is older than the one before it.

        Args:
            record: How far training has come.
            arrays: Its state.

        Returns:
            The checkpoint's folder.

        Raises:
            PhotofinishError: The disk is full, or the folder cannot be written to. What was there before still is.
        """
        self.clear_unfinished()
        target = self.folder / f"step-{record.steps:09d}"
        with building(target, lambda _: False) as temporary:
            manifest = record.but(sha256={STATE: write_tensors(temporary / STATE, arrays)})
            write_sealed(temporary / MANIFEST, manifest.model_dump(mode="json"))
        self._keep(target)
        for path in self.checkpoints:
            if path not in self._good:
                shutil.rmtree(path, ignore_errors=True)
        return target

    def read(self, path: Path) -> tuple[CheckpointRecord, dict[str, NDArray[Any]]]:
        """Read a checkpoint.

        Raises:
            DamagedError: A file is missing or is not the one that was written.
        """
        record = self.read_record(path)
        arrays = read_tensors(path / STATE, record.sha256.get(STATE, ""))
        self._keep(path)
        return record, arrays

    def read_record(self, path: Path) -> CheckpointRecord:
        """Read a checkpoint's manifest alone.

        Raises:
            DamagedError: It is missing or is not the one that was written.
        """
        try:
            return CheckpointRecord.model_validate(read_sealed(path / MANIFEST))
        except ValidationError as error:
            raise DamagedError(f"{path / MANIFEST} is of another version of photofinish") from error

    def latest_record(self) -> CheckpointRecord | None:
        """Return the manifest of the latest checkpoint that has a whole one, or None where there is none."""
        for path in self.checkpoints:
            with contextlib.suppress(DamagedError):
                return self.read_record(path)
        return None

    def write_beginning(self, beginning: Beginning) -> None:
        """Write `begin.json`."""
        write_sealed(self.folder / "begin.json", beginning.model_dump(mode="json"))

    def read_beginning(self) -> Beginning:
        """Read `begin.json`, or what the latest checkpoint says of it.

        Raises:
            DamagedError: There is neither.
        """
        try:
            return Beginning.model_validate(read_sealed(self.folder / "begin.json"))
        except (DamagedError, ValidationError) as error:
            latest = self.latest_record()
            if latest is None:
                raise DamagedError(str(error)) from error
            return latest.begun

    def mark(self, steps: int, seconds: float) -> None:
        """Note how far training is, for the case that it never comes to another checkpoint."""
        # A disk that is full must not stop a training.
        with contextlib.suppress(OSError):
            (self.folder / "reached").write_text(f"{steps} {seconds:.3f}\n", encoding="ascii")

    def count_resumption(self, record: CheckpointRecord) -> InterruptionRecord:
        """Note that training goes on from a checkpoint; return how often it did, and what is computed twice."""
        before = self.interruptions()
        steps, seconds = record.steps, record.seconds
        with contextlib.suppress(OSError, ValueError, IndexError):
            reached = (self.folder / "reached").read_text(encoding="ascii").split()
            steps, seconds = max(steps, int(reached[0])), max(seconds, float(reached[1]))
        now = InterruptionRecord(
            resumed=before.resumed + 1,
            repeated_steps=before.repeated_steps + steps - record.steps,
            repeated_seconds=before.repeated_seconds + seconds - record.seconds,
            places=(*before.places, record.place),
        )
        with contextlib.suppress(PhotofinishError):
            write_json(self.folder / "interruptions.json", now.model_dump(mode="json"))
            self.mark(record.steps, record.seconds)
        return now

    def interruptions(self) -> InterruptionRecord:
        """Return how often the run was resumed so far."""
        try:
            return InterruptionRecord.model_validate_json((self.folder / "interruptions.json").read_bytes())
        except (OSError, ValidationError):
            return InterruptionRecord()

    def clear_unfinished(self) -> None:
        """Remove what a process left that was ended while it wrote."""
        for path in self.folder.glob(f"{UNFINISHED}*"):
            shutil.rmtree(path, ignore_errors=True)

    def remove(self) -> None:
        """Remove everything: nothing is to be resumed any more."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _keep(self, path: Path) -> None:
        self._good = [*(one for one in self._good if one != path), path][-KEPT:]


def whole_checkpoints(
    store: CheckpointStore, complain: Callable[[str], None]
) -> Iterator[tuple[CheckpointRecord, dict[str, NDArray[Any]]]]:
    """Yield the checkpoints that are whole, the latest first; say which are not.

    Args:
        store: Where they lie.
        complain: Is given a sentence about each that is damaged.
    """
    for path in store.checkpoints:
        try:
            yield store.read(path)
        except DamagedError as error:
            complain(f"a checkpoint is damaged and is not used: {error}")


def _called(model: str) -> str:
    """Return what a model is called wherever its file lies; weight files keep their names."""
    return model.rsplit("/", 1)[-1] if is_custom(model) else model


def _brief(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 40 else f"{text[:37]}..."
