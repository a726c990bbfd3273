"""Break trainings in every way that a machine does, and see what comes of it.

Command: `python benchmarks/faults/campaign.py [--kills 50] [--stops 10] [--only interruptions disks changes inputs]`

Every fault is real: processes are killed at the command line's worker, signals are sent, a small disk in memory runs
full (that needs root and is skipped otherwise), bytes are changed, hostile files are handed over. What a training ends
with (weights, predictions, figures) is compared, to the last bit, with one that nothing happened to. Prints a table;
writes `benchmarks/results/<date>-faults.json`.
"""

from __future__ import annotations

import argparse
import dataclasses
import sys
import tempfile
import time
from pathlib import Path

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
    arguments = parser.parse_args()
    start = time.perf_counter()
    outcomes: list[Outcome] = []
    with tempfile.TemporaryDirectory(prefix="photofinish-faults-") as folder:
        place = Place(Path(folder))
        code, printed = place.run(place.folder / "whole")
        if code:
            raise SystemExit(printed)
        expected = result(place.folder / "whole")
        data = RunRecord.read(RunFolder(place.folder / "whole").record).data
        if "interruptions" in arguments.only:
            outcomes += kills(place, expected, arguments.kills, data.train if data else 0)
            outcomes += stops(place, expected, arguments.stops)
        if "disks" in arguments.only:
            interrupted = interrupted_run(place)
            outcomes += full_disk(place, expected, interrupted)
            outcomes += damage(place, expected, interrupted)
        if "changes" in arguments.only:
            outcomes += changed_bytes(place)
    rows: list[Row] = [outcome.row for outcome in outcomes]
    if "inputs" in arguments.only:
        rows += [make() for make in (*memory.ROWS, *pictures.ROWS, *strangers.ROWS)]
    rows.sort(key=lambda row: row.number)
    seconds = time.perf_counter() - start
    for row in rows:
        print(f"{row.number:>3}  {'pass' if row.passed else 'FAIL'}  {row.fault}: {row.figure}")
    print(f"{seconds:.0f} s")
    print(save("faults", {"seconds": seconds, "rows": [dataclasses.asdict(one) for one in rows]}))
    sys.exit(not all(row.passed for row in rows))


if __name__ == "__main__":
    main()
