"""Training and prediction beside what people would run instead, on the same machine in the same run.

Command: `python benchmarks/speed.py train|predict [--model efficientnetv2-b0] [--image-size 32] [--batch-size 32]
[--rounds 7] [--torch-python FILE] [--contestants NAME ...] [--precision bfloat16] [--together]`

The contestants are described in `contestants.py`; those of timm run under the interpreter named by --torch-python and
are left out without it. All are in memory at once and take turns of some seconds, in which the others are stopped.
With --together they get ready at the same time, where there are cores enough and time on a device is dear; seconds to
the first step then compare nothing. One that is not ready, or fails, is named and left out.
Prints a table of images per second (medians) and of ratios (median of the rounds' ratios, with quartiles), and writes
`benchmarks/results/<date>-speed-<task>-<model>-<size>-<batch>.json`.
"""

from __future__ import annotations

import argparse
import contextlib
import statistics
from concurrent.futures import ThreadPoolExecutor

from contestants import KERAS, NAMES, Settings
from saving import save
from turns import Contestant, ratios, take_turns


def main() -> None:
    """Race them and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("task", choices=("train", "predict"))
    parser.add_argument("--model", choices=KERAS, default="efficientnetv2-b0")
    parser.add_argument("--image-size", type=int, default=32)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--classes", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--turn-seconds", type=float, default=4.0)
    parser.add_argument("--torch-python", help="an interpreter with torch and timm")
    parser.add_argument("--contestants", nargs="+", choices=NAMES, default=NAMES[:-1])
    parser.add_argument("--precision", choices=("float32", "bfloat16"), default="float32")
    parser.add_argument("--together", action="store_true", help="let them get ready at the same time")
    parser.add_argument("--ready-within", type=float, default=3600.0, help="seconds")
    arguments = parser.parse_args()
    settings = Settings(
        arguments.task, arguments.model, arguments.image_size, arguments.batch_size, arguments.classes,
        arguments.turn_seconds, arguments.precision,
    )  # fmt: skip
    names = [name for name in arguments.contestants if arguments.torch_python or not name.startswith("timm")]
    failed: dict[str, str] = {}

    def start(name: str) -> Contestant | None:
        python = {"python": arguments.torch_python} if name.startswith("timm") else {}
        try:
            contestant = Contestant(name, settings, ready_within=arguments.ready_within, **python)
        except RuntimeError as error:
            failed[name] = str(error)
            print(error, flush=True)
            return None
        print(name, "first step after", round(contestant.facts["seconds_to_first_step"], 1), "s", flush=True)
        return contestant

    with contextlib.ExitStack() as stack:
        with ThreadPoolExecutor(len(names) if arguments.together else 1) as pool:
            started = list(pool.map(start, names))
        running = [stack.enter_context(one) for one in started if one]
        speeds = take_turns(running, arguments.rounds)
        memory = {one.name: one.end() for one in running}
    compared = ratios(speeds)
    print(f"\n{settings.task}, {settings.model}, {settings.image_size} pixels, batch {settings.batch_size}")
    for name, values in speeds.items():
        ratio = compared.get(name)
        beside = f"  {ratio['median']:.2f} ({ratio['low']:.2f} to {ratio['high']:.2f})" if ratio else ""
        print(f"{name:18}{statistics.median(values):9.1f} img/s {memory[name] / 1e9:6.1f} GB{beside}")
    content = {
        "settings": vars(settings), "rounds": speeds, "photofinish_is_faster_by": compared,
        "peak_memory_bytes": memory, "failed": failed,
        "seconds_to_first_step": {one.name: one.facts["seconds_to_first_step"] for one in running},
        "contestants": {one.name: one.facts["versions"] for one in running},
    }  # fmt: skip
    name = f"speed-{settings.task}-{settings.model}-{settings.image_size}-{settings.batch_size}"
    if settings.precision != "float32":
        name += f"-{settings.precision}"
    print(save(name, content))


if __name__ == "__main__":
    main()
