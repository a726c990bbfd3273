"""From a command to the end of the first and second epoch on a folder of JPEG files, beside what others would run.

Command: `python benchmarks/epoch_from_disk.py --data FOLDER [--pictures 5000] [--torch-python FILE] [--rounds 1]
[--contestants NAME ...]`

FOLDER holds CIFAR-10 as pictures (`train/<class>/`); so many of them are copied, the same for all. Each contestant
runs in processes of its own, one after the other, never two at once; EfficientNetV2-B0 from random values, 32 pixels,
batches of 32, Adam, no augmentation, two epochs.

    photofinish, cold   `compare` with an empty cache: pictures are hashed, decoded and audited, programs compiled
    photofinish, warm   the same again, as another study of the same pictures
    keras-jax           `image_dataset_from_directory` (TensorFlow reads), keras.applications and `fit` on JAX
    keras-tensorflow    the same on TensorFlow
    timm                a Dataset with Pillow, a DataLoader with two workers, timm's network, torch eager

photofinish sets a fifth of the pictures aside and validates on them after every epoch; the others are given the four
fifths and do not validate, which favours them. Prints seconds and writes
`benchmarks/results/<date>-epoch-from-disk.json`.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import types
from pathlib import Path
from typing import Any

MODEL, SIZE, BATCH, EPOCHS, CLASSES = "efficientnetv2-b0", 32, 32, 2, 10
OTHERS = ("keras-jax", "keras-tensorflow", "timm")
NAMES = ("photofinish", *OTHERS)


def _keras(folder: str, backend: str, say: Any) -> None:
    os.environ["KERAS_BACKEND"] = backend
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    import keras

    pictures = keras.utils.image_dataset_from_directory(
        folder, image_size=(SIZE, SIZE), batch_size=BATCH, shuffle=True, seed=0, verbose=False
    ).prefetch(2)
    model = keras.applications.EfficientNetV2B0(
        weights=None, classes=CLASSES, input_shape=(SIZE, SIZE, 3), classifier_activation=None
    )
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer=keras.optimizers.Adam(1e-3), loss=loss, metrics=["accuracy"])
    model.fit(pictures, epochs=EPOCHS, verbose=0, callbacks=[keras.callbacks.LambdaCallback(on_epoch_end=say)])


def _timm(folder: str, say: Any) -> None:
    # Registers operators that the CPU build of torch lacks.
    sys.modules["torchvision._meta_registrations"] = types.ModuleType("torchvision._meta_registrations")
    import numpy as np
    import timm
    import torch
    from PIL import Image

    class Pictures(torch.utils.data.Dataset):  # type: ignore[misc, name-defined]  # without torch's types
        def __init__(self) -> None:
            names = sorted(path.name for path in Path(folder).iterdir())
            self.files = [(str(path), names.index(path.parent.name)) for path in sorted(Path(folder).glob("*/*"))]

        def __len__(self) -> int:
            return len(self.files)

        def __getitem__(self, place: int) -> Any:
            path, label = self.files[place]
            with Image.open(path) as image:
                picture = np.asarray(image.convert("RGB").resize((SIZE, SIZE), Image.Resampling.BICUBIC))
            return torch.from_numpy(picture.copy()).permute(2, 0, 1).float().div_(255).sub_(0.5).div_(0.5), label

    loader = torch.utils.data.DataLoader(
        Pictures(), batch_size=BATCH, shuffle=True, num_workers=2, persistent_workers=True
    )
    model = timm.create_model("tf_efficientnetv2_b0", num_classes=CLASSES)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    loss = torch.nn.CrossEntropyLoss()
    model.train()
    for epoch in range(EPOCHS):
        for images, labels in loader:
            value = loss(model(images), labels)
            optimizer.zero_grad(set_to_none=True)
            value.backward()
            optimizer.step()
        say(epoch, None)


def inside(name: str, folder: str, started: float) -> None:
    """Train as others would and tell when each epoch has ended."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    ends: list[float] = []

    def say(_epoch: int, _logs: object) -> None:
        ends.append(time.perf_counter() - started)

    if name == "timm":
        _timm(folder, say)
    else:
        _keras(folder, name.removeprefix("keras-"), say)
    print(json.dumps(ends), file=answers, flush=True)


def other(name: str, folder: Path, python: str) -> list[float]:
    """Run one of the others; return seconds to the end of each epoch."""
    command = [python, __file__, "--inside", name, str(folder), repr(time.perf_counter())]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603  # ourselves
    if done.returncode:
        raise RuntimeError(f"{name}: {done.stderr[-2000:]}")
    ends: list[float] = json.loads(done.stdout.splitlines()[-1])
    return ends


def photofinish(folder: Path) -> dict[str, list[float]]:
    """Run the product with an empty cache, and again."""
    from racing import race

    found = {}
    with tempfile.TemporaryDirectory() as cache:
        for called in ("photofinish, cold", "photofinish, warm"):
            marks = race(MODEL, folder, Path(cache), image_size=SIZE, batch_size=BATCH, epochs=EPOCHS)["marks"]
            found[called] = [marks[f"end of epoch {epoch}"] for epoch in range(1, EPOCHS + 1)]
    return found


def copied(data: Path, folder: Path, count: int) -> tuple[Path, Path]:
    """Copy so many pictures, and four fifths of them for those who set nothing aside; return both folders."""
    all_of_them, most = folder / "all", folder / "most"
    for label in sorted(path for path in (data / "train").iterdir() if path.is_dir()):
        chosen = sorted(label.iterdir())[: count // CLASSES]
        for place, path in enumerate(chosen):
            # Without a test part a fifth would be set aside for that too.
            targets = [all_of_them / "train"] + ([most] if place % 5 else [])
            for target in targets:
                (target / label.name).mkdir(parents=True, exist_ok=True)
                shutil.copyfile(path, target / label.name / path.name)
        (all_of_them / "test" / label.name).mkdir(parents=True)
        for path in sorted((data / "test" / label.name).iterdir())[:10]:
            shutil.copyfile(path, all_of_them / "test" / label.name / path.name)
    return all_of_them, most


def main() -> None:
    """Run them one after the other and write the table."""
    if sys.argv[1:2] == ["--inside"]:
        inside(sys.argv[2], sys.argv[3], float(sys.argv[4]))
        return
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--pictures", type=int, default=5000)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--torch-python", help="an interpreter with torch and timm")
    parser.add_argument("--contestants", nargs="+", choices=NAMES, default=NAMES)
    arguments = parser.parse_args()
    from saving import save

    rounds: list[dict[str, list[float]]] = []
    with tempfile.TemporaryDirectory() as name:
        all_of_them, most = copied(arguments.data, Path(name), arguments.pictures)
        for _ in range(arguments.rounds):
            found = {}
            for contestant in arguments.contestants:
                if contestant == "photofinish":
                    found |= photofinish(all_of_them)
                elif contestant != "timm" or arguments.torch_python:
                    python = arguments.torch_python if contestant == "timm" else sys.executable
                    found[contestant] = other(contestant, most, python)
                print({name: [round(one, 1) for one in ends] for name, ends in found.items()}, flush=True)
            rounds.append(found)
    medians = {
        name: [statistics.median(one[name][epoch] for one in rounds) for epoch in range(EPOCHS)] for name in rounds[0]
    }
    print(f"\n{'seconds from the command':26}{'first epoch':>12}{'second epoch':>14}{'epoch alone':>13}")
    for name, (first, second) in medians.items():
        print(f"{name:26}{first:12.1f}{second:14.1f}{second - first:13.1f}")
    content = {"arguments": {**vars(arguments), "data": True}, "rounds": rounds, "medians": medians}
    print(save("epoch-from-disk", content))


if __name__ == "__main__":
    main()
