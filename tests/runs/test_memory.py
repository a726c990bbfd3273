"""How much memory there is, and a process that really ends when it takes more."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

from photofinish.runs.memory import available_bytes

GROWS = """
import numpy, time
from photofinish.runs.memory import MemoryWatch, resident_bytes
watch = MemoryWatch(resident_bytes() + 60_000_000)
kept = [numpy.ones(1_000_000)]
time.sleep(0.1)
print(watch.take_peak() > 8_000_000, flush=True)
for _ in range(40):
    kept.append(numpy.ones(1_000_000))
    time.sleep(0.03)
print("lived")
"""


def test_a_process_that_outgrows_its_limit_is_killed_and_says_why() -> None:
    done = subprocess.run([sys.executable, "-c", GROWS], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == -signal.SIGKILL
    assert done.stdout == "True\n"
    assert "bytes of memory are in use" in done.stderr


def system(root: Path, cgroup: str, files: dict[str, str]) -> Path:
    (root / "proc/self").mkdir(parents=True)
    (root / "proc/meminfo").write_text("MemTotal: 9000 kB\nMemAvailable: 5000 kB\n")
    (root / "proc/self/cgroup").write_text(cgroup)
    for name, text in files.items():
        path = root / "sys/fs/cgroup" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def test_the_smallest_room_of_machine_and_control_groups_counts(tmp_path: Path) -> None:
    assert available_bytes(system(tmp_path / "none", "0::/\n", {})) == 5000 * 1024
    second = {"a/memory.max": "3000000", "a/memory.current": "1000000", "a/b/memory.max": "max",
              "a/b/memory.current": "7"}  # fmt: skip
    assert available_bytes(system(tmp_path / "v2", "0::/a/b\n", second)) == 2_000_000
    first = {"memory/c/memory.limit_in_bytes": "900000", "memory/c/memory.usage_in_bytes": "100000"}
    assert available_bytes(system(tmp_path / "v1", "3:cpu:/x\n4:memory:/c\n", first)) == 800_000


def test_of_this_machine_it_is_a_number_that_can_be() -> None:
    assert 10_000_000 < available_bytes() < 1 << 50
