"""What keeps training waiting in the first epoch on a folder of small JPEG files.

Command: `python benchmarks/first_epoch.py [--data FOLDER] [--pictures 50000] [--model efficientnetv2-b0]
[--image-size 32] [--batch-size 32]`

Runs a race of one seed and one epoch twice, with an empty cache (every file is hashed and decoded) and again (the
pictures are found prepared). FOLDER holds `train/<class>/` and `test/<class>/`; without it that many files are
generated. A stall is what the training clock records: time in which the device had nothing to compute. Preparing is
not overlapped with training, so it is shown beside it, as a share of preparing and training together. Writes
`benchmarks/results/<date>-first-epoch.json`.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import Any

from generated import write_jpegs
from racing import race
from saving import save

LIMIT = 0.05


def row(done: dict[str, Any]) -> dict[str, float]:
    """Return the figures of a race."""
    marks, seconds = done["marks"], done["run"]["seconds"]
    prepared = marks.get("last decoding pictures", marks.get("last hashing files", 0.0))
    preparing = max(0.0, prepared - marks["imported"])
    return {
        "hashing, s": marks.get("last hashing files", marks["imported"]) - marks["imported"],
        "preparing, s": preparing,
        "audit, s": marks.get("last looking at pictures", prepared) - prepared,
        "command to first step, s": marks["first training"],
        "training, s": seconds["train"],
        "stall, s": seconds["stall"],
        "stall, share of training": seconds["stall"] / seconds["train"],
        "preparing and stall, share of both": (preparing + seconds["stall"]) / (preparing + seconds["train"]),
        "end of first epoch, s": marks["end of epoch 1"],
    }


def main() -> None:
    """Race twice and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--pictures", type=int, default=50_000)
    parser.add_argument("--model", default="efficientnetv2-b0")
    parser.add_argument("--image-size", type=int, default=32)
    parser.add_argument("--batch-size", type=int, default=32)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        data = arguments.data or folder / "pictures"
        if not arguments.data:
            write_jpegs(data, arguments.pictures, arguments.image_size)
        how = {"image_size": arguments.image_size, "batch_size": arguments.batch_size, "epochs": 1}
        runs = {called: race(arguments.model, data, folder / "cache", **how) for called in ("cold", "warm")}
    rows = {called: row(done) for called, done in runs.items()}
    record = runs["cold"]["run"]["data"]
    print(f"\n{arguments.model}, {record['train']:,} training pictures, {arguments.image_size} pixels")
    print(f"{'':38}{'cold':>10}{'warm':>10}")
    for figure in rows["cold"]:
        print(f"{figure:38}{rows['cold'][figure]:10.3f}{rows['warm'][figure]:10.3f}")
    share = rows["cold"]["stall, share of training"]
    print(f"The clock's stall is {'below' if share < LIMIT else 'NOT below'} {LIMIT:.0%} of the first epoch.")
    content = {"arguments": {**vars(arguments), "data": bool(arguments.data)}, "rows": rows, "runs": runs}
    print(save("first-epoch", content))


if __name__ == "__main__":
    main()
