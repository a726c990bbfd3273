"""How a race looks at the terminal: a live table, or plain lines where the output is no terminal."""

from __future__ import annotations

import time
from typing import Any, Self

from rich.console import Console
from rich.live import Live
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from photofinish.cli.board import Board, CellState, duration
from photofinish.config import CellSettings
from photofinish.report.names import printable
from photofinish.runs import EpochRecord, RunRecord, StageEvent

REFRESHES_PER_SECOND = 4
# Columns of the terminal, and letters of a failure, which may take several lines.
LONGEST_BAR = 24
LONGEST_FAILURE = 160
# A log is told at least this often that something goes on.
SECONDS_OF_SILENCE = 15.0


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

    def note(self, cell: CellSettings, text: str) -> None:
        """Say it above the table."""
        self.live.console.print(
            f"{self.state(cell).name} seed {cell.seed}: {printable(text)}", markup=False, highlight=False
        )

    def render(self) -> Table:
        """Return the table as it is now."""
        table = Table(box=None, pad_edge=False, caption=self._caption(), caption_justify="left")
        for title, justify in (("model", "left"), ("seed", "right"), ("", "left"), ("epoch", "right"),
                               ("train", "right"), ("validation", "right"), ("time", "right")):  # fmt: skip
            # On a narrow screen the bars give way, not the figures.
            is_activity = not title
            table.add_column(title, justify=justify, no_wrap=not is_activity, style="")  # type: ignore[arg-type]  # literals above
        for state in self.states.values():
            table.add_row(*self._row(state))
        return table

    def _row(self, state: CellState) -> list[Any]:
        event = state.event
        training = event and event.epochs and state.status in {"training", "validating"}
        activity = ProgressBar(total=1.0, completed=state.share, width=LONGEST_BAR) if training else _status(state)
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
        self.last_said = time.perf_counter()

    def __enter__(self) -> Self:
        """Begin."""
        return self

    def __exit__(self, *_: object) -> None:
        """End."""

    def _say(self, cell: CellSettings, text: str) -> None:
        self.last_said = time.perf_counter()
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
        elif event.total and time.perf_counter() - self.last_said > SECONDS_OF_SILENCE:
            epoch = f"epoch {event.epoch}/{event.epochs} " if event.epochs else ""
            self._say(cell, f"{epoch}{event.stage} {event.done}/{event.total}{self._left()}")

    def _left(self) -> str:
        left = self.seconds_left()
        return "" if left is None else f"  (about {duration(left)} left)"

    def epoch(self, cell: CellSettings, record: EpochRecord) -> None:
        """Say how the epoch ended."""
        super().epoch(cell, record)
        event = self.state(cell).event
        # Where steps are given, only the cell's own process knows how many epochs they make.
        epochs = event.epochs if event and event.epochs else cell.training.epochs
        self._say(
            cell,
            f"epoch {record.epoch}/{epochs}  loss {record.train_loss:.3f}  train "
            f"{_percent(record.train_accuracy)}  validation {_percent(record.validation_accuracy)}  "
            f"{duration(record.train_seconds)}{self._left() if record.epoch < epochs else ''}",
        )

    def note(self, cell: CellSettings, text: str) -> None:
        """Say it."""
        self._say(cell, printable(text))

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
    if state.event and state.event.total and state.status == state.event.stage:
        text += f" {state.event.done / state.event.total:.0%}"
    return Text(
        text[:LONGEST_FAILURE],
        style=styles.get(state.status, "cyan"),
        no_wrap=state.status != "failed",
        overflow="ellipsis" if state.status != "failed" else "fold",
    )


def _percent(share: float | None) -> str:
    return "" if share is None else f"{100 * share:.1f}%"
