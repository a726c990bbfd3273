"""Rows 6, 11, 12 and 14 of the fault campaign: explosions, hostile weight files, two runs in one folder, hostile names.

Command: `python benchmarks/faults/strangers.py`
"""

from __future__ import annotations

import itertools
import json
import os
import pickle
import re
import shutil
import socketserver
import subprocess
import sys
import tempfile
import threading
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import safetensors.numpy
from PIL import Image
from row import Row, refused_in_words, show

OWN = """
import keras
from keras import ops


class InfiniteForWhite(keras.layers.Layer):
    def call(self, pictures):
        is_white = ops.cast(ops.min(pictures, axis=(1, 2, 3), keepdims=True) > 254, "float32")
        return pictures / (1 - is_white)


def build(classes, image_size):
    inputs = keras.Input((image_size, image_size, 3))
    x = keras.layers.Flatten()(keras.layers.Rescaling(1 / 255)(InfiniteForWhite()(inputs)))
    return keras.Model(inputs, keras.layers.Dense(classes, name="scores")(x), name="own")
"""


def photofinish(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command(*arguments), cwd=folder, capture_output=True, text=True, check=False)


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "photofinish", *arguments]


def not_a_number() -> Row:
    """Row 6: a picture for which a network gives infinity stops the run, or halves its learning rate, as asked."""
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        (root / "own.py").write_text(OWN)
        generator = np.random.default_rng(0)
        for part, label in itertools.product(("train", "validation", "test"), ("a", "b")):
            (root / "pictures" / part / label).mkdir(parents=True)
            for index in range(40):
                pixels = generator.integers(0, 250, (16, 16, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(root / "pictures" / part / label / f"{index}.png")
        Image.new("RGB", (16, 16), "white").save(root / "pictures" / "train" / "a" / "white.png")
        arguments = ("train", "own.py:build", "--data", "pictures", "--image-size", "16", "--epochs", "2",
                     "--batch-size", "8")  # fmt: skip
        stopped = photofinish(root, *arguments, "--output", "stop")
        log = (root / "stop" / "log.txt").read_text()
        goes_on = photofinish(root, *arguments, "--on-nonfinite", "lower-rate", "--output", "on")
    named = re.search(r"the loss is (nan|inf) at step (\d+)", stopped.stderr)
    passed = stopped.returncode == 1 and named is not None and "a/white.png" in log and goes_on.returncode == 0
    figure = f"stopped: {named.group(0) if named else stopped.stderr[-200:]}; went on: {goes_on.returncode == 0}"
    return Row(6, "a picture for which the loss is not a number", figure, passed)


class Touch:
    """Pickles to a call that leaves a trace."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return os.mkdir, (str(self.trace),)


def hostile_weights() -> Row:
    """Row 11: nothing in a weight file is executed, nothing elsewhere is read, every one is refused in words."""
    from photofinish.models import Head, build

    names = list(_HOSTILE)
    refused = 0
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        trace, secret = root / "trace", root / "secret.h5"
        with h5py.File(secret, "w") as file:
            file["kernel:0"] = np.ones((3, 3, 3, 32), np.float32)
        for name in names:
            path = _HOSTILE[name](root, trace, secret)
            refused += refused_in_words(lambda path=path: build("mobilenetv2-0.35", Head(5), weights=str(path), seed=0))
        executed = trace.exists()
    figure = f"{refused} of {len(names)} refused, something executed: {executed}"
    return Row(11, f"weight files: {', '.join(names)}", figure, refused == len(names) and not executed)


def two_writers() -> Row:
    """Row 12: the second of two runs in one folder is refused; once the first is killed, the folder is free again."""
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        (root / "own.py").write_text(OWN)
        arguments = ("compare", "own.py:build", "--epochs", "500", "--output", "study")
        first = subprocess.Popen(command(*arguments), cwd=root, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        limit = time.monotonic() + 120
        while not (root / "study" / "cells").exists() and first.poll() is None and time.monotonic() < limit:
            time.sleep(0.1)
        second = photofinish(root, *arguments)
        first.kill()
        first.wait()
        third = photofinish(root, "compare", "own.py:build", "--epochs", "500", "--seeds", "2", "--output", "study",
                            "--batch-size", "16")  # fmt: skip
    is_free = "in use" not in third.stderr and "belongs to another plan" in third.stderr
    refused = second.returncode == 1 and "is in use by another photofinish process" in second.stderr
    figure = f"second refused: {refused}; free after kill -9 of the first: {is_free}"
    return Row(12, "two runs in one folder", figure, refused and is_free)


def _pickled(root: Path, trace: Path, _: Path) -> Path:
    path = root / "weights.pth"
    path.write_bytes(pickle.dumps(Touch(trace)))
    return path


def _renamed_pickle(root: Path, trace: Path, _: Path) -> Path:
    path = root / "pickle.safetensors"
    path.write_bytes(pickle.dumps(Touch(trace)))
    return path


def _lambda_in_keras(root: Path, trace: Path, _: Path) -> Path:
    """A network whose description runs code when Keras loads it."""
    path = root / "model.keras"
    code = f"__import__('os').mkdir('{trace}')"
    config = json.dumps({"class_name": "Lambda", "config": {"function": code}})
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("config.json", config)
        archive.writestr("metadata.json", '{"keras_version": "3.0.0"}')
    return path


def _path_in_keras(root: Path, _: Path, secret: Path) -> Path:
    path = root / "traversal.keras"
    with zipfile.ZipFile(path, "w") as archive:
        archive.write(secret, "../model.weights.h5")
    return path


def _external_link(root: Path, _: Path, secret: Path) -> Path:
    path = root / "link.h5"
    with h5py.File(path, "w") as file:
        file.create_group("Conv1")["Conv1"] = h5py.ExternalLink(str(secret), "/")
    return path


def _external_storage(root: Path, _: Path, __: Path) -> Path:
    path = root / "external.h5"
    with h5py.File(path, "w") as file:
        external = [("/etc/passwd", 0, 3456)]
        file.create_group("Conv1").create_dataset("kernel:0", (3, 3, 3, 32), np.float32, external=external)
    return path


def _virtual(root: Path, _: Path, secret: Path) -> Path:
    path = root / "virtual.h5"
    layout = h5py.VirtualLayout((3, 3, 3, 32), np.float32)
    layout[...] = h5py.VirtualSource(str(secret), "kernel:0", (3, 3, 3, 32))
    with h5py.File(path, "w") as file:
        file.create_group("Conv1").create_virtual_dataset("kernel:0", layout)
    return path


def _oversized(root: Path, _: Path, __: Path) -> Path:
    """An array of four terabytes that takes no room in the file."""
    path = root / "oversized.h5"
    with h5py.File(path, "w") as file:
        file.create_group("Conv1").create_dataset("kernel:0", (10**6, 10**6), np.float32, chunks=(1000, 1000))
    return path


def _oversized_tensor(root: Path, _: Path, __: Path) -> Path:
    path = root / "oversized.safetensors"
    content = safetensors.numpy.save({"Conv1/kernel": np.ones((3, 3), np.float32)})
    path.write_bytes(content.replace(b"[3,3]", b"[9,9]"))
    return path


_HOSTILE: dict[str, Callable[[Path, Path, Path], Path]] = {
    "pickle": _pickled,
    "pickle called .safetensors": _renamed_pickle,
    "code in .keras": _lambda_in_keras,
    "path out of .keras": _path_in_keras,
    "external link": _external_link,
    "external storage": _external_storage,
    "virtual array": _virtual,
    "4 TB array": _oversized,
    "tensor larger than its file": _oversized_tensor,
}
NAMES = (
    "<script>document.title='owned'",
    "'\"><img src=http:evil.test onerror=document.title='owned'>",
    "{{ 77777 * 99991 }}",
    "a\u202egnp.x",
    "<svg onload=document.title='owned'>]]>&lt;b&gt;",
)
BROWSER = next((found for name in ("chromium", "google-chrome") if (found := shutil.which(name))), None)


def hostile_names() -> Row:
    """Row 14: classes and files of hostile names in a real study, whose report a real browser opens."""
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        (root / "own.py").write_text(OWN)
        generator = np.random.default_rng(0)
        for label in NAMES:
            (root / "pictures" / label).mkdir(parents=True)
            for index in range(20):
                pixels = generator.integers(0, 250, (16, 16, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(root / "pictures" / label / f"{NAMES[index % 5]} {index}.png")
        done = photofinish(root, "compare", "own.py:build", "--data", "pictures", "--image-size", "16", "--epochs", "1",
                           "--output", "study")  # fmt: skip
        page = root / "study" / "report.html"
        if not page.exists():
            return Row(14, "hostile names", f"no report: {done.stderr[-300:]}", passed=False)
        html = page.read_text(encoding="utf-8")
        told = ("<script>document.title", "<img src=http", "<svg onload", "7777000007")
        escaped = not any(text in html for text in told)
        if BROWSER is None:
            return Row(14, "hostile names", f"escaped: {escaped}; no browser here", passed=False)
        title, requests = _open(page, root)
    figure = f"escaped: {escaped}; title of the page '{title}'; requests to the network: {requests}"
    return Row(14, "hostile class and file names", figure, escaped and requests == 0 and "owned" not in title)


def _open(page: Path, root: Path) -> tuple[str, int]:
    """Open a page with a proxy that counts who calls; return the title it ends with and the calls."""
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), _Counting) as proxy:
        proxy.calls = 0  # type: ignore[attr-defined]  # read by the handler
        threading.Thread(target=proxy.serve_forever, daemon=True).start()
        flags = ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
                 "--disable-component-update", "--disable-sync", "--virtual-time-budget=4000", "--dump-dom",
                 f"--proxy-server=127.0.0.1:{proxy.server_address[1]}", "--proxy-bypass-list=<-loopback>",
                 f"--user-data-dir={root / 'profile'}"]  # fmt: skip
        done = subprocess.run([str(BROWSER), *flags, page.as_uri()], capture_output=True, text=True, check=False)
        proxy.shutdown()
        found = re.search(r"<title>(.*?)</title>", done.stdout, re.DOTALL)
        return found.group(1) if found else "owned: the page has no title", proxy.calls  # type: ignore[attr-defined]


class _Counting(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        line = self.request.recv(4096).split(b"\r\n")[0]
        # The browser itself calls its maker, of an empty page too.
        own = any(host in line for host in (b".google.com", b".googleapis.com"))
        self.server.calls += not own  # type: ignore[attr-defined]  # set above


ROWS = (not_a_number, hostile_weights, two_writers, hostile_names)

if __name__ == "__main__":
    sys.exit(show(ROWS))
