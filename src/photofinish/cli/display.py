"""How a race looks at the terminal: a live table, or plain lines where the output is no terminal."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any, Self

from rich.console import Console
from rich.live import Live
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from photofinish.config import CellSettings
from photofinish.runs import EpochRecord, RunRecord, StageEvent
from photofinish.study.quiet import QuietObserver

REFRESHES_PER_SECOND = 4


@dataclass
class CellState:
    """What is known of a cell."""

    cell: CellSettings
    status: str = "waiting"
    event: StageEvent | None = None
    validation_accuracy: float | None = None
    began: float | None = None
    training_began: float | None = None
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
        if self.training_began is None or self.began is None or self.share <= 0:
            return None
        training = time.perf_counter() - self.training_began
        return (self.training_began - self.began) + training / self.share


@dataclass
class Board(QuietObserver):
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
        state.status, state.event = event.stage, event
        if event.stage == "training" and state.training_began is None:
            state.training_began = time.perf_counter()

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


class LiveBoard(Board):
    """A table that is drawn anew four times a second."""

    def __init__(self, cells: list[CellSettings], console: Console) -> None:
        super().__init__(cells)
        self.live = Live(get_renderable=self.render, console=console, refresh_per_second=REFRESHES_PER_SECOND)

    def __enter__(self) -> Self:
        """Start drawing."""
        self.live.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop drawing; the last state stays on the screen."""
        self.live.stop()

    def render(self) -> Table:
        """Return the table as it is now."""
        table = Table(box=None, pad_edge=False, caption=self._caption(), caption_justify="left")
        for title, justify in (("model", "left"), ("seed", "right"), ("", "left"), ("epoch", "right"),
                               ("train", "right"), ("validation", "right"), ("time", "right")):  # fmt: skip
            table.add_column(title, justify=justify, no_wrap=True, style="")  # type: ignore[arg-type]  # literals above
        for state in self.states.values():
            table.add_row(*self._row(state))
        return table

    def _row(self, state: CellState) -> list[Any]:
        event = state.event
        training = event and event.epochs and state.status in {"training", "validating"}
        activity = ProgressBar(total=1.0, completed=state.share, width=24) if training else _status(state)
        return [
            state.name,
            str(state.cell.seed),
            activity,
            f"{event.epoch}/{event.epochs}" if event and event.epochs else "",
            _percent(event.accuracy) if event and event.stage == "training" else "",
            _percent(state.validation_accuracy),
            duration(state.elapsed) if state.elapsed else "",
        ]

    def _caption(self) -> Text:
        left = self.seconds_left()
        if all(state.seconds is not None for state in self.states.values()):
            return Text("")
        return Text("estimating the time left" if left is None else f"about {duration(left)} left", style="dim")


class LineBoard(Board):
    """One line for each thing that happens, for logs and pipes."""

    def __init__(self, cells: list[CellSettings], console: Console) -> None:
        super().__init__(cells)
        self.console = console

    def __enter__(self) -> Self:
        """Begin."""
        return self

    def __exit__(self, *_: object) -> None:
        """End."""

    def _say(self, cell: CellSettings, text: str) -> None:
        self.console.print(
            f"{self.state(cell).name} seed {cell.seed}: {text}", markup=False, highlight=False, soft_wrap=True
        )

    def skipped(self, cell: CellSettings, record: RunRecord) -> None:
        """Say so."""
        super().skipped(cell, record)
        self._say(cell, "done before")

    def event(self, cell: CellSettings, event: StageEvent) -> None:
        """Say when a new stage begins; epochs have lines of their own."""
        before = self.state(cell).status
        super().event(cell, event)
        if event.stage != before and event.stage not in {"training", "validating", "finished"}:
            self._say(cell, event.stage)

    def epoch(self, cell: CellSettings, record: EpochRecord) -> None:
        """Say how the epoch ended."""
        super().epoch(cell, record)
        left = self.seconds_left()
        self._say(
            cell,
            f"epoch {record.epoch}/{cell.training.epochs}  loss {record.train_loss:.3f}  train "
            f"{_percent(record.train_accuracy)}  validation {_percent(record.validation_accuracy)}  "
            f"{duration(record.train_seconds)}" + (f"  (about {duration(left)} left)" if left is not None else ""),
        )

    def finished(self, cell: CellSettings, record: RunRecord) -> None:
        """Say how long it took."""
        super().finished(cell, record)
        self._say(cell, f"done in {duration(self.state(cell).elapsed)}")

    def failed(self, cell: CellSettings, error: str) -> None:
        """Say why."""
        super().failed(cell, error)
        self._say(cell, f"failed: {error}")


class PreparationProgress:
    """Bars for downloads and the preparation of pictures, or a line a stage where the output is no terminal."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.progress = Progress(
            TextColumn("{task.description}"), BarColumn(), TextColumn("{task.percentage:>3.0f}%"),
            TimeRemainingColumn(), console=console, transient=True,
        )  # fmt: skip
        self.tasks: dict[str, Any] = {}

    def __call__(self, stage: str, done: int, total: int | None, /) -> None:
        """Show how far a stage is."""
        if not self.console.is_terminal:
            if stage not in self.tasks:
                self.tasks[stage] = None
                self.console.print(stage, markup=False, highlight=False)
            return
        if stage not in self.tasks:
            self.progress.start()
            self.tasks[stage] = self.progress.add_task(stage, total=total)
        self.progress.update(self.tasks[stage], completed=done, total=total)
        if all(task.finished for task in self.progress.tasks):
            self.close()

    def close(self) -> None:
        """Take the bars away."""
        self.progress.stop()


def _status(state: CellState) -> Text:
    styles = {"done": "green", "done before": "green", "failed": "red", "waiting": "dim"}
    text = f"failed: {state.error}" if state.status == "failed" else state.status
    return Text(text[:60], style=styles.get(state.status, "cyan"))


def _percent(share: float | None) -> str:
    return "" if share is None else f"{100 * share:.1f}%"


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
