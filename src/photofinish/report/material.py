"""Everything a report is made of, read from the study's folder."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import quote

import numpy as np
from numpy.typing import NDArray

from photofinish.evaluation.metrics import confusion_matrix
from photofinish.report.names import called, short_names, shortened, with_short_names
from photofinish.runs import AuditRecord, EpochRecord, RunFolder, StudyFolder, read_epochs
from photofinish.study.cells import Cell, FinishedCell, read_audit, read_cells, read_plan
from photofinish.study.collect import collect
from photofinish.study.differences import not_equal
from photofinish.study.plan import Plan
from photofinish.study.results import ModelResult, Results


@dataclass(frozen=True)
class Entrant:
    """A model of the comparison with all that its finished seeds left behind.

    Attributes:
        index: Its place in the plan's order among the compared models; decides its colour, dash and marker.
        result: Its figures.
        cells: Its finished cells.
        epochs: The training history of each of these cells.
    """

    index: int
    result: ModelResult
    cells: tuple[FinishedCell, ...]
    epochs: tuple[tuple[EpochRecord, ...], ...]

    @property
    def timed(self) -> tuple[FinishedCell, ...]:
        """Its finished cells on the machine whose times stand for it."""
        return tuple(one for one in self.cells if one.cell.seed in (self.result.timed_seeds or self.result.seeds))

    @property
    def timed_epochs(self) -> tuple[tuple[EpochRecord, ...], ...]:
        """The training history of each of those."""
        pairs = zip(self.cells, self.epochs, strict=True)
        return tuple(history for one, history in pairs if one in self.timed)

    @property
    def name(self) -> str:
        """The model's name, of a path only the file and the function."""
        return self.result.name

    @property
    def confusions(self) -> NDArray[np.int64]:
        """How often each true class (row) was predicted as each class (column), over all seeds."""
        counts: NDArray[np.int64] = np.sum([confusion_matrix(one.test) for one in self.cells], axis=0)
        return counts


@dataclass(frozen=True)
class Material:
    """A study as read from its folder.

    Attributes:
        folder: The study's folder.
        plan: What was planned.
        results: The figures.
        cells: Every planned cell.
        entrants: The compared models, in the order of the plan.
        audit: What was found odd about the pictures, or None: studies of earlier versions have no audit.
    """

    folder: StudyFolder
    plan: Plan
    results: Results
    cells: tuple[Cell, ...]
    entrants: tuple[Entrant, ...]
    audit: AuditRecord | None = None

    @classmethod
    def read(cls, folder: StudyFolder) -> Material:
        """Read a study; where `results.json` is missing, compute and write it first.

        Raises:
            StudyError: The folder is not a study, is damaged, or its cells do not belong together.
        """
        plan = read_plan(folder)
        if not folder.results.exists():
            collect(folder).write(folder.results)
        results = Results.read(folder.results)
        cells, finished = read_cells(folder, plan)
        shown = with_short_names(results)
        entrants = []
        for index, (result, named) in enumerate(zip(results.models, shown.models, strict=True)):
            own = tuple(one for one in finished if one.cell.model == result.name and one.cell.seed in result.seeds)
            histories = tuple(tuple(read_epochs(one.cell.folder.metrics)) for one in own)
            entrants.append(Entrant(index, named, own, histories))
        return cls(folder, plan, shown, tuple(cells), tuple(entrants), read_audit(folder, plan))

    @property
    def classes(self) -> tuple[str, ...]:
        """Class names in label order."""
        return self.results.data.classes

    @property
    def failed(self) -> list[Cell]:
        """Cells that did not finish."""
        return [cell for cell in self.cells if cell.failure is not None]

    @property
    def differences(self) -> list[str]:
        """What was not equal between the models, as sentences."""
        short = short_names(self.plan.models)
        runs = [one.record for entrant in self.entrants for one in entrant.cells]
        return [called(sentence, short) for sentence in not_equal(runs)]

    def sources(self, entrant: Entrant, file: str) -> list[tuple[str, str]]:
        """Return name and address of a file of every cell of a model."""
        return [
            (f"{shortened(one.cell.model, 24)}, seed {one.cell.seed}", self.link(one.cell.folder, file))
            for one in entrant.cells
        ]

    @property
    def is_timed_alike(self) -> bool:
        """Whether all models were timed on the same machine, so that their times may be compared."""
        return len({model.machine for model in self.results.models}) < 2

    def link(self, run: RunFolder, file: str) -> str:
        """Return the address of a cell's file relative to the report."""
        return quote(f"{run.path.relative_to(self.folder.path).as_posix()}/{file}")
