"""Break trainings in every way that a machine does, and see what comes of it.

Command: `python benchmarks/faults/campaign.py [--kills 50] [--stops 10] [--only interruptions disks changes inputs]
[--document docs/faults.md]`

Every fault is real: processes are killed at the command line's worker, signals are sent, a small disk in memory runs
full (that needs root and is skipped otherwise), bytes are changed, hostile files are handed over. What a training ends
with (weights, predictions, figures) is compared, to the last bit, with one that nothing happened to. Prints a table;
writes `benchmarks/results/<date>-faults.json` and, where asked, the table as Markdown.
"""

from __future__ import annotations

import argparse
import dataclasses
import datetime
import json
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import memory
import pictures
import strangers
from changes import changed_bytes
from disks import damage, full_disk, interrupted_run
from interruptions import kills, stops
from row import Row
from saving import save

from photofinish.runs import RunFolder, RunRecord
from runs import Outcome, Place, result

PARTS = ("interruptions", "disks", "changes", "inputs")


def main() -> None:
    """Run the campaign and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--stops", type=int, default=10)
    parser.add_argument("--only", nargs="*", choices=PARTS, default=PARTS)
    parser.add_argument("--document", type=Path, help="A Markdown file for the table.")
    arguments = parser.parse_args()
    start = time.perf_counter()
    rows: list[Row] = []
    with tempfile.TemporaryDirectory(prefix="photofinish-faults-") as folder:
        place = Place(Path(folder))
        code, printed = place.run(place.folder / "whole")
        if code:
            raise SystemExit(printed)
        for name, make in parts(place, arguments.kills, arguments.stops).items():
            if name in arguments.only:
                began = time.perf_counter()
                rows += make()
                print(f"{name}: {time.perf_counter() - began:.0f} s", flush=True)
    rows.sort(key=lambda row: row.number)
    seconds = time.perf_counter() - start
    for row in rows:
        print(f"{row.number:>3}  {'pass' if row.passed else 'FAIL'}  {row.fault}: {row.figure}")
    print(f"{seconds:.0f} s")
    path = save("faults", {"seconds": seconds, "rows": [dataclasses.asdict(one) for one in rows]})
    print(path)
    if arguments.document:
        arguments.document.write_text(markdown(rows, json.loads(path.read_text())))
    sys.exit(not all(row.passed for row in rows))


def parts(place: Place, killed: int, stopped: int) -> dict[str, Callable[[], list[Row]]]:
    """Return what makes the faults of each part.

    Args:
        place: For the runs; holds one that nothing happened to.
        killed: How often to kill.
        stopped: How often to ask to stop.
    """
    expected = result(place.folder / "whole")
    data = RunRecord.read(RunFolder(place.folder / "whole").record).data

    def interruptions() -> list[Outcome]:
        return [*kills(place, expected, killed, data.train if data else 0), *stops(place, expected, stopped)]

    def disks() -> list[Outcome]:
        interrupted = interrupted_run(place)
        return [*full_disk(place, expected, interrupted), *damage(place, expected, interrupted)]

    def inputs() -> list[Row]:
        return [make() for make in (*memory.ROWS, *pictures.ROWS, *strangers.ROWS)]

    return {
        "interruptions": lambda: [one.row for one in interruptions()],
        "disks": lambda: [one.row for one in disks()],
        "changes": lambda: [one.row for one in changed_bytes(place)],
        "inputs": inputs,
    }


def markdown(rows: Sequence[Row], about: dict[str, Any]) -> str:
    """Return the table as a page.

    Args:
        rows: What became of the faults.
        about: The command, seconds, versions and hardware, as they were saved.
    """
    machine = f"{about['hardware']['processor']}, {about['hardware']['cores']} cores"
    when = f"{datetime.datetime.now(datetime.UTC):%Y-%m-%d} in {about['seconds'] / 60:.0f} minutes"
    lines = [
        "# Faults that were made, and what became of them",
        "",
        f"Made by `{about['command']}` on {when} on {machine}.",
        f"Versions: {', '.join(f'{name} {version}' for name, version in about['versions'].items())}.",
        "",
        "| # | fault | seen | |",
        "|---|---|---|---|",
    ]
    for row in rows:
        cells = [" ".join(text.split()).replace("|", "\\|") for text in (row.fault, row.figure)]
        lines.append(f"| {row.number} | {cells[0]} | {cells[1]} | {'pass' if row.passed else '**fail**'} |")
    return "\n".join([*lines, ""])


if __name__ == "__main__":
    main()
