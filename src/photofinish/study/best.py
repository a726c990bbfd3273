"""The weights of a run's best epoch, kept beside those it ended with."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

from photofinish.runs import EpochRecord, RunFolder, best_epoch


class BestWeights:
    """Copies a network after an epoch that was the best so far; what is kept plays no part in a comparison.

    Args:
        folder: Of the run.
        saving: Copies the network and returns what writes the copy to a folder.
    """

    def __init__(self, folder: RunFolder, saving: Callable[[Path], Callable[[], None]]) -> None:
        self._folder, self._saving = folder, saving

    def __call__(self, epoch: int) -> Callable[[], None]:
        """Copy the network, and return what writes the copy in place of what was best before."""
        write = self._saving(self._folder.best(epoch))

        def replace() -> None:
            write()
            self._keep_only(epoch)

        return replace

    def end(self, epochs: Sequence[EpochRecord]) -> None:
        """Keep the best of some epochs, none where that is the last: those weights are the run's own."""
        best = best_epoch(epochs) if epochs else 0
        self._keep_only(best if best < len(epochs) else None)

    def _keep_only(self, epoch: int | None) -> None:
        for kept in self._folder.kept_best:
            if epoch is None or kept != self._folder.best(epoch):
                shutil.rmtree(kept, ignore_errors=True)
