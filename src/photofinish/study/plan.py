"""`study.json`: what is to be run. A study folder belongs to one plan; more models and seeds may join it."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from photofinish.config.base import Settings
from photofinish.config.settings import BackendName, CellSettings, DataSettings, TrainingSettings
from photofinish.runs import DataRecord
from photofinish.runs.memory import MemoryRecord


class JoinedStudy(Settings):
    """A study whose cells were copied into a joined one.

    Attributes:
        name: What it is called in the joined report, the name of its folder where that is unique.
        folder: Where it lay.
        commands: The command lines that made it.
        backend: The library that Keras computed with.
        versions: Versions of Python and the libraries when it was planned.
        hardware: Processor, cores, memory, accelerator likewise.
        cells: Models and seeds that were taken from it.
        left_out: Models and seeds that it had finished too, with the same settings, and that were taken from another.
    """

    name: str
    folder: str
    commands: tuple[str, ...]
    backend: BackendName
    versions: dict[str, str]
    hardware: dict[str, str]
    cells: tuple[tuple[str, int], ...]
    left_out: tuple[tuple[str, int], ...] = ()


class Plan(Settings):
    """Models x seeds under one recipe on one set of pictures.

    Attributes:
        schema_version: Version of this layout.
        models: Models in the order in which they were asked for.
        seeds: Seeds of every model.
        recipe: Name of the recipe the settings came from, or `custom`.
        backend: The library that Keras computes with.
        data_settings: Which pictures were asked for.
        training: How every model is trained.
        data: The pictures that were found.
        versions: Versions of Python and the libraries.
        hardware: Processor, cores, memory, accelerator.
        command: The command line that made the plan, for whoever wants to repeat it.
        later_commands: The command lines by which models and seeds joined.
        seeds_joined: Whether seeds joined after results had been seen.
        sources: SHA-256 of every file that decides what a model is: people's own models, and weight files.
        memory: What was found to fit into memory, where that was asked for.
        joined: The studies behind a joined one, whose cells need not be all of models x seeds; otherwise none.
    """

    schema_version: Literal[1] = Field(1, alias="schema")
    models: tuple[str, ...]
    seeds: tuple[int, ...]
    recipe: str
    backend: BackendName
    data_settings: DataSettings
    training: TrainingSettings
    data: DataRecord
    versions: dict[str, str]
    hardware: dict[str, str]
    command: str
    later_commands: tuple[str, ...] = ()
    seeds_joined: bool = False
    sources: dict[str, str] = Field(default_factory=dict)
    memory: MemoryRecord | None = None
    joined: tuple[JoinedStudy, ...] = ()

    @property
    def commands(self) -> tuple[str, ...]:
        """The command lines that made the study, in order."""
        return (self.command, *self.later_commands)

    @property
    def members(self) -> list[tuple[str, int]]:
        """The model and seed of every cell, in the order of the models and of the seeds within them."""
        everything = [(model, seed) for model in self.models for seed in self.seeds]
        taken = {member for study in self.joined for member in study.cells}
        return [member for member in everything if member in taken] if self.joined else everything

    def cells(self) -> list[CellSettings]:
        """Return the cells: every model of a seed before the next seed, so that an early stop leaves whole rounds."""
        return [
            CellSettings(model=model, seed=seed, backend=self.backend, data=self.data_settings, training=self.training)
            for seed in self.seeds
            for model in self.models
        ]
