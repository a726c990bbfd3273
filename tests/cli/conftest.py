"""Runs the command line as a user does: in its own process, in an empty folder."""

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

TINY = Path(__file__).with_name("tiny.py")
# Where the tests run in the background, their shell has them ignore Ctrl-C, and children inherit that. A `preexec_fn`
# would fork this process, which JAX, where another test has imported it, warns of.
HEEDS_INTERRUPTS = """
import os, signal, sys
signal.signal(signal.SIGINT, signal.SIG_DFL)
os.execv(sys.argv[1], sys.argv[1:])
"""


@dataclass(frozen=True)
class CommandLine:
    """A folder to work in and a cache that all tests of a session share."""

    folder: Path
    cache: Path

    @property
    def environment(self) -> dict[str, str]:
        """The environment of the commands."""
        return os.environ | {"PHOTOFINISH_CACHE": str(self.cache), "COLUMNS": "100"}

    def __call__(self, *arguments: str, timeout: float = 240) -> subprocess.CompletedProcess[str]:
        """Run `photofinish` with these arguments."""
        return subprocess.run(
            [sys.executable, "-m", "photofinish", *arguments],
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Start `photofinish` and return its process."""
        return subprocess.Popen(
            [sys.executable, "-c", HEEDS_INTERRUPTS, sys.executable, "-m", "photofinish", *arguments],
            cwd=self.folder,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )


@pytest.fixture(scope="session")
def cache(tmp_path_factory):
    """Return a cache that no other run has touched."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def photofinish(tmp_path, cache):
    """Return the command line in an empty folder."""
    return CommandLine(tmp_path, cache)
