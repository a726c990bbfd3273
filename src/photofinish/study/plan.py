"""`study.json`: what is to be run. A study folder belongs to one plan; more models and seeds may join it."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from photofinish.config.base import Settings
from photofinish.config.settings import BackendName, CellSettings, DataSettings, TrainingSettings
from photofinish.runs import DataRecord


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

    @property
    def commands(self) -> tuple[str, ...]:
        """The command lines that made the study, in order."""
        return (self.command, *self.later_commands)

    def cells(self) -> list[CellSettings]:
        """Return the cells: every model of a seed before the next seed, so that an early stop leaves whole rounds."""
        return [
            CellSettings(model=model, seed=seed, backend=self.backend, data=self.data_settings, training=self.training)
            for seed in self.seeds
            for model in self.models
        ]
