"""All that is to be known of an accelerator in one call, with a bound on its time, saved part by part.

Command: `python benchmarks/accelerator.py --data FOLDER [--torch-python FILE] [--seconds 520] [--only PART ...]
[--rehearse]`

FOLDER holds CIFAR-10 as pictures, in an archive or not; FILE is an interpreter with torch and timm, without which timm
is left out. The parts, in this order, each a command of its own that is ended when its share of the time is over:

    numeric      the tests of layers, normalisation, depthwise convolutions and augmentation
    matrix       the rate of bfloat16 matrix products that the device reaches
    s-training   EfficientNetV2-S at 224 pixels beside timm through torch.compile, in channels-last and bfloat16
    race         seconds to 90.5% on CIFAR-10 with EfficientNetV2-L from random values
    l-training, s-inference, l-inference, resnet-training     as s-training
    side         EfficientNetV2-S and ResNet-50 trained alike on CIFAR-10
    kernels      what takes the time in a step of EfficientNetV2-S
    depthwise    depthwise convolutions shape by shape

Writes `benchmarks/results/<date>-accelerator.json` anew after every part, with what the parts wrote, their output's end
and the share of the matrix rate that training reaches. --rehearse runs everything small, to try it on a processor.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from descendants import kill_all

HERE = Path(__file__).parent
MODELS = {"s": "efficientnetv2-s", "l": "efficientnetv2-l", "resnet": "resnet50"}
TESTS = ("models/test_layers.py", "models/test_normalization.py", "models/test_depthwise.py", "data/augment")
SAID = 3000
"""Characters of a part's output that are kept."""

# A training step computes each product three times: forward, and for two gradients.
OPERATIONS_A_MAC = {"train": 6, "predict": 2}


@dataclass(frozen=True)
class Part:
    """A command and its share of the time.

    Attributes:
        command: Of this interpreter.
        seconds: After which it is ended.
    """

    command: list[str]
    seconds: float


def speed(task: str, model: str, batch: int, seconds: float, arguments: argparse.Namespace) -> Part:
    """Return a comparison with timm."""
    size = 224
    if arguments.rehearse:
        model, size, batch = "efficientnetv2-b0", 32, 8
    command = [
        "speed.py", task, "--model", model, "--image-size", str(size), "--batch-size", str(batch), "--rounds", "5",
        "--turn-seconds", "2", "--precision", "bfloat16", "--together", "--ready-within", str(0.8 * seconds),
        "--contestants", "photofinish", "timm-compiled",
    ]  # fmt: skip
    return Part([*command, *(["--torch-python", arguments.torch_python] if arguments.torch_python else [])], seconds)


def parts_of(arguments: argparse.Namespace) -> dict[str, Part]:
    """Return all parts in the order in which they are run."""
    tests = [str(HERE.parent / "tests" / name) for name in TESTS]
    few = ["--limit-train", "400", "--limit-test", "100"] if arguments.rehearse else []
    small = ["--model", "efficientnetv2-b0", "--image-size", "32", "--batch-size", "8"] if arguments.rehearse else []
    race = ["--model", "efficientnetv2-b0", "--image-size", "32"] if arguments.rehearse else []
    side = ["--models", "efficientnetv2-b0"] if arguments.rehearse else []
    # Four stages take four epochs.
    epochs = "4" if arguments.rehearse else "16"
    return {
        "numeric": Part(["-m", "pytest", "-q", "-p", "no:cacheprovider", *tests], 60),
        "matrix": Part(["accelerator.py", "--matrix", "512" if arguments.rehearse else "8192"], 40),
        "s-training": speed("train", MODELS["s"], 128, 150, arguments),
        "race": Part(["race_to_accuracy.py", "--data", arguments.data, "--epochs", epochs, *race, *few], 240),
        "l-training": speed("train", MODELS["l"], 64, 240, arguments),
        "s-inference": speed("predict", MODELS["s"], 256, 100, arguments),
        "resnet-training": speed("train", MODELS["resnet"], 128, 100, arguments),
        "l-inference": speed("predict", MODELS["l"], 128, 150, arguments),
        "side": Part(["accelerator_training.py", "--data", arguments.data, "--epochs", epochs, *side, *few], 300),
        "kernels": Part(["kernels.py", "--precision", "bfloat16", "--steps", "5", *small], 120),
        "depthwise": Part(["depthwise.py", "--precision", "bfloat16"], 90),
    }


def matrix_rate(size: int) -> None:
    """Print the rate of matrix products, operations a second."""
    import jax
    import jax.numpy as jnp

    matrix = jnp.ones((size, size), "bfloat16")
    multiply = jax.jit(lambda a, b: a @ b)
    multiply(matrix, matrix).block_until_ready()
    rates = []
    for _ in range(7):
        start, value = time.perf_counter(), matrix
        for _ in range(10):
            value = multiply(value, matrix)
        value.block_until_ready()
        rates.append(10 * 2 * size**3 / (time.perf_counter() - start))
    print(json.dumps({"operations_per_second": sorted(rates)[3], "device": jax.devices()[0].device_kind}))


def run(part: Part, seconds: float) -> dict[str, Any]:
    """Run a part; return how it ended, the end of what it said, and the results that it wrote."""
    script = part.command if part.command[0] == "-m" else [str(HERE / part.command[0]), *part.command[1:]]
    begin = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder, "log")
        with log.open("wb") as output:
            process = subprocess.Popen(  # noqa: S603  # ourselves
                [sys.executable, *script], stdout=output, stderr=subprocess.STDOUT, start_new_session=True,
                env={**os.environ, "BENCHMARK_RESULTS": f"{folder}/results"}, cwd=HERE.parent,
            )  # fmt: skip
            try:
                ended = f"exit code {process.wait(min(part.seconds, seconds))}"
            except subprocess.TimeoutExpired:
                ended = f"ended after {min(part.seconds, seconds):.0f} s"
            kill_all(process.pid)
            process.wait()
        results = {path.stem: json.loads(path.read_text()) for path in Path(folder).glob("results/*.json")}
        said = log.read_text(errors="replace")[-SAID:]
    return {
        "command": ["python", *part.command], "ended": ended, "seconds": time.perf_counter() - begin, "said": said,
        "results": results,
    }  # fmt: skip


def shares(done: dict[str, Any], rate: float) -> dict[str, float]:
    """Return the share of the matrix rate that each comparison's networks reach."""
    from photofinish import backend

    backend.select("jax")
    from photofinish.models import Head, build, count_macs

    found = {}
    for name, part in done.items():
        for result in part["results"].values():
            speeds, settings = result.get("rounds"), result.get("settings", {})
            if not isinstance(speeds, dict) or "task" not in settings:
                continue
            size = settings["image_size"]
            macs = count_macs(build(settings["model"], Head(10), image_size=size, seed=None).model, size)
            for contestant, values in speeds.items():
                median = sorted(values)[len(values) // 2]
                found[f"{name}, {contestant}"] = median * macs * OPERATIONS_A_MAC[settings["task"]] / rate
    return found


def main() -> None:
    """Run the parts while there is time."""
    begin = time.perf_counter()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="cifar10")
    parser.add_argument("--torch-python", help="an interpreter with torch and timm")
    parser.add_argument("--seconds", type=float, default=520.0)
    parser.add_argument("--only", nargs="+")
    parser.add_argument("--rehearse", action="store_true")
    parser.add_argument("--matrix", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.matrix:
        matrix_rate(arguments.matrix)
        return
    from saving import save

    parts = parts_of(arguments)
    done: dict[str, Any] = {}
    content: dict[str, Any] = {"arguments": {**vars(arguments), "data": True}, "parts": done}
    for name in arguments.only or parts:
        left = arguments.seconds - (time.perf_counter() - begin)
        if left < 20:
            done[name] = {"ended": "not begun: no time was left", "results": {}}
            continue
        done[name] = run(parts[name], left)
        print(f"{name}: {done[name]['ended']}, {done[name]['seconds']:.0f} s\n{done[name]['said'][-700:]}", flush=True)
        save("accelerator", content)
    if "matrix" in done and done["matrix"]["ended"] == "exit code 0":
        measured = json.loads(done["matrix"]["said"].splitlines()[-1])
        content["matrix"] = measured
        content["share_of_matrix_rate"] = shares(done, measured["operations_per_second"])
        for name, share in content["share_of_matrix_rate"].items():
            print(f"{name:34}{share:8.1%} of the matrix rate")
    print(save("accelerator", content))


if __name__ == "__main__":
    main()
