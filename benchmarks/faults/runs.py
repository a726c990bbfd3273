"""What every fault is injected into: trainings of a tiny network at the command line, and what they ended with."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

from row import Row

import photofinish
from photofinish.runs import Predictions, RunFolder, read_epochs

NETWORK = Path(__file__).with_name("network.py")
# 240 training pictures in 30 steps of 8, three times.
OPTIONS = ("--limit-train", "300", "--limit-test", "60", "--epochs", "3", "--batch-size", "8", "--ema-decay", "0.9",
           "--flip", "--schedule", "cosine")  # fmt: skip
EPOCHS, STEPS = 3, 30


@dataclass
class Outcome:
    """What became of a fault that was made several times.

    Attributes:
        number: Of the fault in the campaign.
        name: What was done, and what must come of it.
        done: How often the fault was injected.
        right: How often the right thing came of it.
        notes: What went wrong, and figures.
    """

    number: int
    name: str
    done: int = 0
    right: int = 0
    notes: list[str] = field(default_factory=list)

    def count(self, problem: str | None) -> None:
        """Count one injection; `problem` says what was wrong, if anything."""
        self.done += 1
        if problem is None:
            self.right += 1
        else:
            self.notes.append(problem)

    @property
    def row(self) -> Row:
        """The line of the table."""
        figure = "; ".join([f"{self.right} of {self.done}", *self.notes])
        return Row(self.number, self.name, figure, 0 < self.done == self.right)


@dataclass(frozen=True)
class Place:
    """A folder for runs, and a cache they share."""

    folder: Path

    @property
    def environment(self) -> dict[str, str]:
        """Of the commands."""
        ours = str(Path(photofinish.__file__).parents[1])  # what is tested is what was imported here
        return {
            **os.environ, "PHOTOFINISH_CACHE": str(self.folder / "cache"), "COLUMNS": "120", "PYTHONPATH": ours,
        }  # fmt: skip

    def start(self, run: Path, every: str = "4steps", *more: str, **environment: str) -> subprocess.Popen[str]:
        """Start a training, or go on with it."""
        resumable = (run / "resume" / "begin.json").exists()
        given = ("--resume", str(run)) if resumable else (f"{NETWORK}:tiny", "--output", str(run), *OPTIONS)
        return subprocess.Popen(  # ourselves
            [sys.executable, "-m", "photofinish", "train", *given, "--checkpoint-every", every, *more],
            cwd=self.folder,
            env=self.environment | environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def photofinish(self, *arguments: str, **environment: str) -> tuple[int, str]:
        """Run a command to its end; return the exit code and what was printed."""
        done = subprocess.run(  # ourselves
            [sys.executable, "-m", "photofinish", *arguments], cwd=self.folder, env=self.environment | environment,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False, timeout=900,
        )  # fmt: skip
        return done.returncode, done.stdout

    def run(self, run: Path, every: str = "4steps", *more: str, **environment: str) -> tuple[int, str]:
        """Run a training to its end; return the exit code and what was printed."""
        process = self.start(run, every, *more, **environment)
        printed, _ = process.communicate(timeout=900)
        return process.returncode, printed


def result(run: Path) -> list[object]:
    """Return everything a training decides, times aside: weights, predictions, figures."""
    folder = RunFolder(run)
    figures = [
        (one.train_loss, one.train_accuracy, one.validation_loss, one.validation_accuracy, one.learning_rate)
        for one in read_epochs(folder.metrics)
    ]
    predictions = [Predictions.read(folder.predictions(split)).logits.tobytes() for split in ("validation", "test")]
    return [figures, (folder.checkpoints / "final.safetensors").read_bytes(), *predictions]


def ledger_problem(path: Path, examples: int) -> str | None:
    """Return what is wrong with the order in which pictures were seen, if anything.

    A process that goes on begins where its checkpoint was; what came after that before was lost, and does not count.
    """
    steps: list[list[int]] = []
    for line in path.read_text().splitlines():
        epoch, step, indices = json.loads(line)
        place = (epoch - 1) * STEPS + step
        if place > len(steps):
            return f"step {place} follows step {len(steps) - 1}"
        steps[place:] = [indices]
    for epoch in range(EPOCHS):
        seen = sorted(index for indices in steps[epoch * STEPS : (epoch + 1) * STEPS] for index in indices)
        if seen != list(range(examples)):
            return f"epoch {epoch + 1} did not see every picture once"
    return None
