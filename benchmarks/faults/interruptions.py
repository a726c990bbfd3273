"""Rows 1 to 3 of the table: killed outright, asked to stop, and the order of pictures all the while."""

from __future__ import annotations

import random
import signal
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from photofinish.runs import RunFolder, RunRecord
from runs import EPOCHS, STEPS, Outcome, Place, ledger_problem, result

IN_A_SAVE = (
    "photofinish.storage.tensors:write_chunk",
    "photofinish.runs.checkpoints:write_tensors",
    "photofinish.storage.folders:_sync",
    "photofinish.storage.folders:_put_in_place",
    "photofinish.storage.folders:sync_folder",
    "photofinish.runs.checkpoints:write_sealed",
)
IN_GOING_ON = ("photofinish.training.checkpointing:put_back", "photofinish.runs.checkpoints:whole_checkpoints")
IN_A_STEP = "photofinish.training.loop:learning_rate"
KILLS_A_RUN = 5
AT_ONCE = 2
"""Runs beside each other: starting a process is most of the work, and keeps one core busy."""

MOST_SECONDS = 30.0
PACE = 0.02
"""Seconds that a step is made longer, so that a training lasts as long as a signal may wait."""


def _faults(count: int, draw: random.Random) -> list[str]:
    """Return so many kills: two fifths in a save, a tenth while going on, the others in steps."""
    places = [draw.choice(IN_A_SAVE) for _ in range(count * 2 // 5)]
    # A save writes some thirty chunks, and does everything else once.
    saves = [f"{place}:{draw.randint(1, 60 if place.endswith(':write_chunk') else 3)}" for place in places]
    restores = [f"{draw.choice(IN_GOING_ON)}:1" for _ in range(count // 10)]
    steps = [f"{IN_A_STEP}:{draw.randint(2, 12)}" for _ in range(count - len(saves) - len(restores))]
    faults = [*saves, *restores, *steps]
    draw.shuffle(faults)
    # A run that has no checkpoint yet goes on from nothing, and none can be killed in going on.
    return [
        f"{IN_A_STEP}:6" if place % KILLS_A_RUN == 0 and fault.startswith(IN_GOING_ON) else fault
        for place, fault in enumerate(faults)
    ]


def kills(place: Place, expected: list[object], count: int, examples: int) -> list[Outcome]:
    """Kill trainings with SIGKILL, several times each, and compare what they end with."""
    killed, ledger = Outcome(1, "killed with SIGKILL, resumed to the same bits"), Outcome(3, "order ledger")
    faults = _faults(count, random.Random(0))  # no secret
    in_saves = sum(fault.startswith(IN_A_SAVE) for fault in faults)
    numbers = range(0, count, KILLS_A_RUN)
    groups = [faults[number : number + KILLS_A_RUN] for number in numbers]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        found = pool.map(lambda number, group: _killed(place, expected, number, group), numbers, groups)
        for number, group, problems in zip(numbers, groups, found, strict=True):
            for fault in group:
                killed.count(f"{fault}: {problems}" if problems else None)
            ledger.count(ledger_problem(place.folder / f"kill-{number}.jsonl", examples))
    killed.notes.append(f"{in_saves} of them inside a save, {KILLS_A_RUN} in each run")
    return [killed, ledger]


def _killed(place: Place, expected: list[object], number: int, faults: Sequence[str]) -> list[str]:
    """Kill a training several times, let it end, and return what was wrong."""
    run, ledger = place.folder / f"kill-{number}", str(place.folder / f"kill-{number}.jsonl")
    problems = []
    for fault in faults:
        code, printed = place.run(run, FAULT=fault, LEDGER=ledger)
        if code == 0 or "SIGKILL" not in printed:
            problems.append(f"{fault} killed nothing: {printed[-300:]}")
    code, printed = place.run(run, LEDGER=ledger)
    if code != 0:
        return [*problems, f"did not go on: {printed[-300:]}"]
    print(f"  {run.name}: {RunRecord.read(RunFolder(run).record).interruptions}", flush=True)
    return problems if result(run) == expected else [*problems, f"{run.name} ended with other bits"]


def stops(place: Place, expected: list[object], count: int) -> list[Outcome]:
    """Send SIGTERM and Ctrl-C at random moments of training."""
    stopped = Outcome(2, "SIGTERM and Ctrl-C: saved, says how to go on, ends the same")
    draw, longest = random.Random(1), 0.0  # no secret
    for number in range(count):
        run = place.folder / f"stop-{number}"
        process = place.start(run, "1", PACE=str(PACE))
        reached = run / "resume" / "reached"
        wait_for(reached, process)
        time.sleep(draw.random() * PACE * EPOCHS * STEPS)
        start = time.perf_counter()
        process.send_signal((signal.SIGTERM, signal.SIGINT)[number % 2])
        printed, _ = process.communicate(timeout=60)
        seconds = time.perf_counter() - start
        longest = max(longest, seconds)
        problem = None
        if process.returncode != 130 or seconds > MOST_SECONDS or "photofinish train --resume" not in printed:
            problem = f"code {process.returncode} after {seconds:.1f} s: {printed[-300:]}"
        elif not list((run / "resume").glob("step-*")):
            problem = "nothing was saved"
        elif place.run(run)[0] != 0 or result(run) != expected:
            problem = "did not end the same"
        stopped.count(problem)
    stopped.notes.append(f"the longest took {longest:.1f} s to end")
    return [stopped]


def wait_for(path: Path, process: object, seconds: float = 120) -> None:
    """Wait until a file is there, or the process has ended."""
    end = time.perf_counter() + seconds
    while not path.exists() and process.poll() is None and time.perf_counter() < end:  # type: ignore[attr-defined]
        time.sleep(0.01)
