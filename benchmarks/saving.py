"""Writing a dated results file with its command, versions and hardware."""

from __future__ import annotations

import datetime
import json
import os
import sys
from pathlib import Path
from typing import Any

from photofinish.runs import hardware, versions

# A machine that is lent for some minutes may want them elsewhere.
RESULTS = Path(os.environ.get("BENCHMARK_RESULTS", Path(__file__).with_name("results")))


def save(name: str, content: dict[str, Any], **more_versions: str) -> Path:
    """Write `results/<date>-<name>.json`; return its path.

    Args:
        name: What was measured.
        content: The figures.
        more_versions: Of libraries that we do not depend on.
    """
    path = RESULTS / f"{datetime.datetime.now(datetime.UTC):%Y-%m-%d}-{name}.json"
    # Where things lay on one machine is nobody's business.
    arguments = [Path(one).name if Path(one).exists() else one for one in sys.argv[1:]]
    command = " ".join(
        ["python", str(Path(sys.argv[0]).resolve().relative_to(Path(__file__).resolve().parents[1])), *arguments]
    )
    about = {"versions": {**versions(), **more_versions}, "hardware": hardware()}
    RESULTS.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"command": command, **content, **about}, indent=1) + "\n")
    return path
