"""An observer that says nothing."""

from __future__ import annotations

from photofinish.config import CellSettings
from photofinish.runs import EpochRecord, RunRecord, StageEvent


class QuietObserver:
    """Does nothing with what it is told; the base for observers that need some of it."""

    def started(self, cell: CellSettings) -> None:
        """Say nothing."""

    def skipped(self, cell: CellSettings, record: RunRecord) -> None:
        """Say nothing."""

    def event(self, cell: CellSettings, event: StageEvent) -> None:
        """Say nothing."""

    def epoch(self, cell: CellSettings, record: EpochRecord) -> None:
        """Say nothing."""

    def finished(self, cell: CellSettings, record: RunRecord) -> None:
        """Say nothing."""

    def failed(self, cell: CellSettings, error: str) -> None:
        """Say nothing."""
