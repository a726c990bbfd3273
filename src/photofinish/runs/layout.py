"""Every path in a study folder and in a run folder, named once."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

LISTING = "listing.npz"
BEST = "best-epoch-"


def cell_name(model: str) -> str:
    """Return the folder name of a model: its own name, or a path made harmless.

    Args:
        model: A catalog name, or `path/to/model.py:function`.

    Examples:
        >>> cell_name("efficientnetv2-b0")
        'efficientnetv2-b0'
        >>> cell_name("../nets/tiny.py:build")
        'tiny.py-build'
    """
    return re.sub(r"[^A-Za-z0-9._-]+", "-", model.rsplit("/", 1)[-1]).strip("-.") or "model"


@dataclass(frozen=True)
class RunFolder:
    """The folder of one trained model.

    Attributes:
        path: The folder; it need not exist yet.
    """

    path: Path

    @property
    def record(self) -> Path:
        """`run.json`: what was run, on what, and how long it took."""
        return self.path / "run.json"

    @property
    def metrics(self) -> Path:
        """`metrics.jsonl`: one line an epoch."""
        return self.path / "metrics.jsonl"

    @property
    def log(self) -> Path:
        """`log.txt`: what the process printed."""
        return self.path / "log.txt"

    @property
    def checkpoints(self) -> Path:
        """The folder of saved weights."""
        return self.path / "checkpoints"

    def best(self, epoch: int) -> Path:
        """Return the folder of the weights of an epoch that was the best."""
        return self.checkpoints / f"{BEST}{epoch}"

    @property
    def kept_best(self) -> list[Path]:
        """The folders of weights of the best epoch; more than one only while a later one is written."""
        return sorted(self.checkpoints.glob(f"{BEST}*"))

    @property
    def resume(self) -> Path:
        """The folder of checkpoints of a training under way, see `photofinish.runs.checkpoints`."""
        return self.path / "resume"

    @property
    def listing(self) -> Path:
        """Every picture by name, as long as the training is under way."""
        return self.resume / LISTING

    def sheet(self, stage: int) -> Path:
        """Return the picture of what the network saw in a stage, 1 for the first."""
        return self.path / "stages" / f"stage-{stage}.png"

    def predictions(self, split: str) -> Path:
        """Return the file of predictions for `train`, `validation` or `test`."""
        return self.path / "predictions" / f"{split}.npz"


@dataclass(frozen=True)
class StudyFolder:
    """The folder of a comparison.

    Attributes:
        path: The folder; it need not exist yet.
    """

    path: Path

    @property
    def plan(self) -> Path:
        """`study.json`: what was planned."""
        return self.path / "study.json"

    @property
    def audit(self) -> Path:
        """`audit.json`: what is odd about the pictures."""
        return self.path / "audit.json"

    @property
    def listing(self) -> Path:
        """`listing.npz`: every picture by name, so that one that changed can be named."""
        return self.path / LISTING

    @property
    def results(self) -> Path:
        """`results.json`: figures only."""
        return self.path / "results.json"

    @property
    def pictures(self) -> Path:
        """`pictures.npz`: small copies of the pictures that the report shows."""
        return self.path / "pictures.npz"

    @property
    def report_html(self) -> Path:
        """The report as a page."""
        return self.path / "report.html"

    @property
    def report_markdown(self) -> Path:
        """The report as text."""
        return self.path / "report.md"

    @property
    def figures(self) -> Path:
        """The folder of plots and the LaTeX table for papers."""
        return self.path / "figures"

    def cell(self, model: str, seed: int) -> RunFolder:
        """Return the run folder of one model and seed."""
        return RunFolder(self.path / "cells" / cell_name(model) / f"seed-{seed}")
