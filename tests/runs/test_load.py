"""What others took of the machine is told apart from what we took ourselves."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from photofinish.runs import LoadRecord, LoadWatch, load

# One tick is a hundredth of a second.
STAT = """cpu  9999 0 0 0 0 0 0 0 0 0
cpu0 {zero} 0 0 500 7 0 0 0 0 0
cpu1 {one} 10 20 900 3 0 5 {stolen} 0 0
cpu2 888888 0 0 0 0 0 0 0 0 0
intr 1 2 3
"""


class Machine:
    """A machine of three cores, of which we may use two."""

    def __init__(self, file: Path) -> None:
        self.file, self.now, self.own = file, 0.0, 0.0

    def was(self, zero: int, one: int, stolen: int = 0) -> None:
        self.file.write_text(STAT.format(zero=zero, one=one, stolen=stolen))


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Machine:
    machine = Machine(tmp_path / "stat")
    monkeypatch.setattr(load, "_CORES_FILE", machine.file)
    monkeypatch.setattr(load, "_own_seconds", lambda: machine.own)
    monkeypatch.setattr(load, "usable_cores", lambda: 2)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1}, raising=False)
    monkeypatch.setattr(os, "sysconf", lambda _: 100)
    monkeypatch.setattr(os, "getloadavg", lambda: (1.25, 9.0, 9.0))
    monkeypatch.setattr(time, "perf_counter", lambda: machine.now)
    return machine


def test_what_we_took_ourselves_on_all_cores_is_nobody_elses_load(machine: Machine) -> None:
    machine.was(zero=1000, one=2000)
    watch = LoadWatch()
    machine.was(zero=2000, one=3000)
    machine.now, machine.own = 10.0, 19.5
    record = watch.record()
    assert (record.cores, record.start, record.end) == (2, 1.25, 1.25)
    assert record.others == pytest.approx(0.05)
    assert not record.is_heavy


def test_other_programs_and_a_virtual_machines_neighbours_are_counted_and_other_cores_are_not(machine: Machine) -> None:
    machine.was(zero=1000, one=2000)
    watch = LoadWatch()
    # Of twenty seconds on two cores eight were ours, six another's, and four a neighbour's.
    machine.was(zero=1800, one=2600, stolen=400)
    machine.now, machine.own = 10.0, 8.0
    record = watch.record()
    assert record.others == pytest.approx(1.0)
    assert record.is_heavy


def test_where_the_system_tells_nothing_of_its_cores_only_load_averages_are_known(machine: Machine) -> None:
    watch = LoadWatch()
    machine.now = 10.0
    assert watch.record() == LoadRecord(cores=2, start=1.25, end=1.25, others=None)


def test_where_the_system_tells_nothing_at_all_nothing_is_claimed(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse() -> None:
        raise OSError

    monkeypatch.setattr(os, "getloadavg", refuse)
    record = LoadWatch().record()
    assert record == LoadRecord(cores=2)
    assert not record.is_heavy


@pytest.mark.parametrize(
    ("others", "average", "heavy"),
    [
        # Our own threads, one for each core and some that wait, never count as another's.
        (0.0, 9.0, False),
        (0.19, 9.0, False),
        (0.21, 0.5, True),
        (None, 4.0, False),
        (None, 4.1, True),
    ],
)
def test_heavy_is_a_tenth_of_the_cores_or_a_load_average_beyond_what_we_make_ourselves(
    others: float | None, average: float, heavy: bool
) -> None:
    assert LoadRecord(cores=2, start=average, end=0.3, others=others).is_heavy is heavy
    assert LoadRecord(cores=2, start=0.3, end=average, others=others).is_heavy is heavy


@pytest.mark.skipif(not Path("/proc/stat").exists(), reason="the system does not tell what its cores do")
def test_a_process_at_work_is_another_until_it_was_ours_and_has_ended() -> None:
    work = "import time\nwhile time.process_time() < 0.5: pass\nprint(flush=True)\ninput()"
    watch, start, own = LoadWatch(), time.perf_counter(), load._own_seconds()
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen([sys.executable, "-c", work], **pipes) as process:
        assert process.stdout is not None
        process.stdout.readline()
        taken, elapsed = watch.record().others, time.perf_counter() - start
        assert load._own_seconds() - own < 0.4
        process.communicate(b"\n")
    # The system counts in ticks of a hundredth of a second.
    assert taken is not None
    assert taken * elapsed >= 0.4
    assert load._own_seconds() - own >= 0.4
