"""Row 13 of the fault campaign: memory really runs out.

Command: `python benchmarks/faults/memory.py`
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from row import Row, show

from photofinish.config.memory import AUTO

# Each picture takes 8 MB in every one of a few arrays.
HUNGRY = """
import keras


def build(classes, image_size):
    inputs = keras.Input((image_size, image_size, 3))
    x = keras.layers.Dense(8)(keras.layers.Flatten()(keras.layers.Rescaling(1 / 255)(inputs)))
    x = keras.layers.RepeatVector(32_000)(keras.layers.BatchNormalization()(x))
    x = keras.layers.Dense(8)(keras.layers.Dense(64, activation="relu")(x))
    return keras.Model(inputs, keras.layers.Dense(classes)(keras.layers.GlobalAveragePooling1D()(x)))
"""
MOST_BYTES = 2_600_000_000
"""Of data segments and private memory, for every process of the command: allocations beyond it fail."""
BATCH = 128
OPTIONS = ("--image-size", "8", "--limit-train", "320", "--limit-test", "40", "--epochs", "1")


def out_of_memory() -> Row:
    """Row 13: a whole batch fails for memory, `auto` finds what fits, the run trains with it under the same limit."""
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        (root / "own.py").write_text(HUNGRY)
        race = ("compare", "own.py:build", "--data", "digits", *OPTIONS, "--batch-size", str(BATCH))
        whole = _limited(root, [*race, "--output", "whole"])
        parts = _limited(root, [*race, "--micro-batch-size", AUTO, "--output", "parts"])
        if parts.returncode:
            return Row(13, "out of memory", f"did not train: {parts.stderr[-400:]}", passed=False)
        record = json.loads(next((root / "parts" / "cells").rglob("run.json")).read_text())
        found = record["settings"]["training"]["micro_batch_size"]
        killed = [one for one in record["memory"]["trials"] if one["problem"]]
        other = 4 if found == 8 else 8
        _limited(root, [*race, "--micro-batch-size", str(other), "--output", "other"])
        unequal = _limited(root, ["report", "parts", "other", "--output", "joined"])
    refused = unequal.returncode != 0 and "Micro batch size" in unequal.stderr
    trained = bool(found) and BATCH % found == 0 and record["status"] == "finished"
    figure = (
        f"whole batch of {BATCH} failed: {whole.returncode != 0}; {found} at once found, "
        f"{killed[0]['pictures'] if killed else 'none'} failed ({killed[0]['problem'][:90] if killed else ''}); "
        f"trained with it and recorded: {trained}; comparison with {other} at once refused: {refused}"
    )
    return Row(13, "out of memory", figure, whole.returncode != 0 and bool(killed) and trained and refused)


def _limited(folder: Path, arguments: Sequence[str]) -> subprocess.CompletedProcess[str]:
    """Run a command in which allocations beyond the limit fail, in every process it starts."""

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_DATA, (MOST_BYTES, MOST_BYTES))

    return subprocess.run(
        [sys.executable, "-m", "photofinish", *arguments],
        cwd=folder, env=os.environ, capture_output=True, text=True, check=False, preexec_fn=limit,
    )  # fmt: skip


ROWS = (out_of_memory,)

if __name__ == "__main__":
    sys.exit(show(ROWS))
