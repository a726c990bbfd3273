"""A race of one seed, as `compare` runs it, with the time of every event and the memory of every process.

Started as `python benchmarks/racing.py SETTINGS`, SETTINGS being JSON with `model`, `data`, `image_size`,
`batch_size`, `epochs`, `output` and `started` (on the clock of `time.perf_counter`). The user's cache is the one in
`PHOTOFINISH_CACHE`. It prints one line of JSON. Other benchmarks call `race`.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

KINDS = ("VmRSS", "RssAnon", "RssFile")
SECONDS_BETWEEN_LOOKS = 0.1


def race(model: str, data: Path, cache: Path, *, image_size: int, batch_size: int, epochs: int) -> dict[str, Any]:
    """Run a race of one seed in a process of its own.

    Returns:
        `marks`: seconds from the start of the process to events. `run`: the cell's own record. `memory`: for the
        process that prepares and the one that trains the largest resident memory in bytes, and the parts of it that
        are its own (anonymous) and of files (pages of mapped pictures, which the system takes back at need).
    """
    with tempfile.TemporaryDirectory() as output:
        settings = {
            "model": model, "data": str(data), "image_size": image_size, "batch_size": batch_size, "epochs": epochs,
            "output": output, "started": time.perf_counter(),
        }  # fmt: skip
        done = subprocess.run(  # noqa: S603  # ourselves
            [sys.executable, __file__, json.dumps(settings)],
            env={**os.environ, "PHOTOFINISH_CACHE": str(cache)}, capture_output=True, text=True, check=False,
        )  # fmt: skip
        if done.returncode:
            raise RuntimeError(done.stderr[-2000:])
        heard: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
        return heard


class MemoryWatch(threading.Thread):
    """Looks at the memory of this process and of its children now and then."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.peaks: dict[str, dict[str, int]] = {"prepares": {}, "trains": {}, "decoders": {}}

    def run(self) -> None:
        """Look until the process ends."""
        while True:
            self._note("prepares", os.getpid())
            children = Path(f"/proc/{os.getpid()}/task/{os.getpid()}/children").read_text().split()
            together: dict[str, int] = {}
            for child in map(int, children):
                try:
                    trains = b"study.worker" in Path(f"/proc/{child}/cmdline").read_bytes()
                    for kind, size in self._note("trains" if trains else "", child).items():
                        together[kind] = together.get(kind, 0) + (0 if trains else size)
                except OSError:
                    continue  # it ended
            self._raise("decoders", together)
            time.sleep(SECONDS_BETWEEN_LOOKS)

    def _note(self, role: str, process: int) -> dict[str, int]:
        lines = Path(f"/proc/{process}/status").read_text().splitlines()
        found = {line.partition(":")[0]: int(line.split()[1]) * 1024 for line in lines if line.startswith(KINDS)}
        if role:
            self._raise(role, found)
        return found

    def _raise(self, role: str, found: dict[str, int]) -> None:
        for kind, size in found.items():
            self.peaks[role][kind] = max(self.peaks[role].get(kind, 0), size)


def main() -> None:
    """Run the race and say what it took."""
    settings = json.loads(sys.argv[1])
    watch = MemoryWatch()
    watch.start()
    from photofinish.config import DataSettings, TrainingSettings
    from photofinish.study.execute import Observer
    from photofinish.study.race import Race, run_race

    marks: dict[str, float] = {}

    def mark(name: str, *, first: bool = False) -> None:
        if not first or name not in marks:
            marks[name] = time.perf_counter() - settings["started"]

    class Marks(Observer):
        def event(self, cell: Any, event: Any) -> None:
            mark(f"first {event.stage}", first=True)

        def epoch(self, cell: Any, record: Any) -> None:
            mark(f"end of epoch {record.epoch}")

    def progress(stage: str, _done: int, _total: int | None) -> None:
        mark(f"first {stage}", first=True)
        mark(f"last {stage}")

    mark("imported")
    data = DataSettings.of({"source": settings["data"], "image_size": settings["image_size"]})
    training = TrainingSettings(epochs=settings["epochs"], batch_size=settings["batch_size"])
    contest = Race((settings["model"],), (0,), data, training)
    _, _, records = run_race(contest, Path(settings["output"], "study"), lambda *_: Marks(), progress)
    mark("end")
    if records[0].status == "failed":
        sys.exit(records[0].error)
    print(json.dumps({"marks": marks, "run": records[0].model_dump(mode="json"), "memory": watch.peaks}))


if __name__ == "__main__":
    main()
