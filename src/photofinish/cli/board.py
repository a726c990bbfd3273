"""What is known of the cells of a race while it runs, and how long it will still take."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from photofinish.config import CellSettings
from photofinish.runs import EpochRecord, RunRecord, StageEvent
from photofinish.study.execute import Observer


@dataclass
class CellState:
    """What is known of a cell."""

    cell: CellSettings
    status: str = "waiting"
    event: StageEvent | None = None
    validation_accuracy: float | None = None
    began: float | None = None
    last_heard: float | None = None
    compiles: bool = False
    has_validated: bool = False
    paced_share: float = 0.0
    paced_seconds: float = 0.0
    predicting_began: float | None = None
    seconds: float | None = None
    error: str = ""

    @property
    def name(self) -> str:
        """The model as a person would call it: of a path, only the file and the function."""
        return self.cell.model.rsplit("/", 1)[-1]

    @property
    def share(self) -> float:
        """Share of the training steps done, between 0 and 1."""
        event = self.event
        if event is None or not event.epochs:
            return 1.0 if event and event.stage in {"re-estimating", "predicting", "finished"} else 0.0
        within = event.done / event.total if event.stage == "training" and event.total else 0.0
        if event.stage == "validating":
            within = 1.0
        return (event.epoch - 1 + within) / event.epochs

    @property
    def elapsed(self) -> float:
        """Seconds since the cell began, or that it took."""
        if self.seconds is not None:
            return self.seconds
        return time.perf_counter() - self.began if self.began is not None else 0.0

    def expected(self) -> float | None:
        """Return the seconds that the cell is expected to take in all, or None before its training is under way."""
        if self.seconds is not None:
            return self.seconds
        event = self.event
        if self.predicting_began is not None and event and event.stage == "predicting" and event.done:
            predicting = time.perf_counter() - self.predicting_began
            return self.elapsed + predicting * (event.total - event.done) / event.done
        if self.last_heard is None or self.began is None or self.paced_share <= 0:
            return None
        pace = self.paced_seconds / self.paced_share
        # What came after the last sign of life, for example the saving of a training that is stopped, is no step.
        return (self.last_heard - self.began) + pace * (1 - self.share)

    def hear(self, event: StageEvent) -> None:
        """Take note where the cell is, and how fast it came there: compilation apart, which says nothing of steps."""
        before, now = self.share, time.perf_counter()
        self.status, self.event = event.stage, event
        if event.stage == "compiling":
            self.compiles = True
        if event.stage not in {"training", "validating"}:
            return
        # The first batch that is predicted compiles, too. What an earlier process did took this one no time.
        first_prediction = event.stage == "validating" and not self.has_validated
        if self.last_heard is not None and not self.compiles and not first_prediction:
            self.paced_share += self.share - before
            self.paced_seconds += now - self.last_heard
        self.has_validated |= event.stage == "validating"
        self.compiles, self.last_heard = False, now


@dataclass
class Board(Observer):
    """Keeps the state of all cells; the base of both displays."""

    cells: list[CellSettings]
    states: dict[tuple[str, int], CellState] = field(init=False)

    def __post_init__(self) -> None:
        """Begin with every cell waiting."""
        self.states = {(cell.model, cell.seed): CellState(cell) for cell in self.cells}

    def state(self, cell: CellSettings) -> CellState:
        """Return what is known of a cell."""
        return self.states[cell.model, cell.seed]

    def started(self, cell: CellSettings) -> None:
        """Note the time."""
        state = self.state(cell)
        state.status, state.began = "starting", time.perf_counter()

    def skipped(self, cell: CellSettings, record: RunRecord) -> None:
        """Note that nothing needs to be done."""
        state = self.state(cell)
        state.status = "done before"
        state.seconds = record.seconds.total if record.seconds else 0.0

    def event(self, cell: CellSettings, event: StageEvent) -> None:
        """Note where the cell is."""
        state = self.state(cell)
        state.hear(event)
        if event.stage == "predicting" and state.predicting_began is None:
            state.predicting_began = time.perf_counter()

    def epoch(self, cell: CellSettings, record: EpochRecord) -> None:
        """Note the validation accuracy."""
        self.state(cell).validation_accuracy = record.validation_accuracy

    def finished(self, cell: CellSettings, record: RunRecord) -> None:  # noqa: ARG002  # the observer's signature
        """Note the end."""
        state = self.state(cell)
        state.status, state.seconds = "done", state.elapsed

    def failed(self, cell: CellSettings, error: str) -> None:
        """Note the failure."""
        state = self.state(cell)
        state.status, state.seconds, state.error = "failed", state.elapsed, error

    def seconds_left(self) -> float | None:
        """Estimate the seconds until all cells are done, or None while nothing is known.

        A cell that has not begun is expected to take as long as the others of its model, or as the mean of all.
        """
        known: dict[str, list[float]] = {}
        for state in self.states.values():
            expected = state.expected()
            if expected is not None and state.status not in {"failed", "done before"}:
                known.setdefault(state.cell.model, []).append(expected)
        if not known:
            return None
        means = {model: sum(values) / len(values) for model, values in known.items()}
        overall = sum(means.values()) / len(means)
        left = 0.0
        for state in self.states.values():
            if state.seconds is None:
                left += max(0.0, (state.expected() or means.get(state.cell.model, overall)) - state.elapsed)
        return left


def duration(seconds: float) -> str:
    """Return a duration as a person would say it.

    Examples:
        >>> duration(4.2), duration(83), duration(7265)
        ('4.2 s', '1 min 23 s', '2 h 1 min')
    """
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60} h {minutes % 60} min"
