"""`photofinish data audit` on a folder in which something of everything is wrong."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from photofinish.models import Head, build
from photofinish.models.saved import saving

from .conftest import CommandLine

NETWORK = "mobilenetv2-0.35"
CLASSES = {"red": (220, 30, 30), "green": (30, 200, 40), "blue": (30, 50, 220)}
# A colour for the terminal, a bell, a change of direction, markup of rich and of HTML.
HOSTILE = "\x1b[31m\x07\u202egpj.[bold]<b>&.png"


def picture(colour: tuple[int, int, int], number: int) -> Image.Image:
    """A picture of smooth noise in shades of a colour."""
    generator = np.random.default_rng([5, number])
    coarse = Image.fromarray(generator.integers(40, 216, (12, 12), dtype=np.uint8)).resize((48, 48), Image.BICUBIC)
    fine = generator.integers(-12, 12, (48, 48))
    shade = np.clip(np.asarray(coarse) + fine, 0, 255)[..., None] / 255
    return Image.fromarray((shade * np.array(colour)).astype(np.uint8))


@pytest.fixture(scope="module")
def album(tmp_path_factory, cache) -> CommandLine:
    """Return a folder in which `album` is to be audited."""
    command = CommandLine(tmp_path_factory.mktemp("audit"), cache)
    root, number = command.folder / "album", 0
    for part, count in (("train", 20), ("test", 8)):
        for name, colour in CLASSES.items():
            (root / part / name).mkdir(parents=True)
            for index in range(count):
                picture(colour, number).save(root / part / name / f"{index}.png")
                number += 1
    shutil.copy(root / "train/red/1.png", root / "test/red/copy.png")
    Image.open(root / "train/green/1.png").save(root / "test/green/again.jpg", quality=60)
    frames = [picture(CLASSES["green"], number) for number in (901, 902)]
    frames[0].save(root / "train/green/moving.gif", save_all=True, append_images=frames[1:])
    picture(CLASSES["blue"], 903).save(root / "train/blue/cut.jpg", quality=95)
    content = (root / "train/blue/cut.jpg").read_bytes()
    (root / "train/blue/cut.jpg").write_bytes(content[: len(content) // 2])
    (root / "train/blue" / HOSTILE).write_bytes(b"")
    return command


@pytest.fixture(scope="module")
def weights(tmp_path_factory) -> Path:
    """Random weights."""
    folder = tmp_path_factory.mktemp("weights")
    head = Head(2)
    entrant = build(NETWORK, head, image_size=32, seed=0)
    saving(entrant, folder / "checkpoints", class_names=("a", "b"), image_size=32, head=head, name=NETWORK)()
    return folder


def test_what_was_planted_is_found_and_labels_are_judged(album, weights):
    result = album(
        "data", "audit", "album", "--image-size", "32", "--model", NETWORK, "--weights", str(weights), "--json",
        "--output", "out",
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    found = json.loads(result.stdout)
    assert json.loads((album.folder / "out" / "audit.json").read_text()) == found
    assert {one["id"]: one["reason"] for one in found["unreadable"]}[f"train/blue/{HOSTILE}"] == "the file is empty"
    assert "train/blue/cut.jpg" in {one["id"] for one in found["unreadable"]}
    assert "does not decode" in found["refused"]
    kinds = {frozenset(group["ids"]): group["kind"] for group in found["duplicates"]["groups"]}
    assert kinds == {
        frozenset({"train/red/1.png", "test/red/copy.png"}): "exact",
        frozenset({"train/green/1.png", "test/green/again.jpg"}): "near",
    }
    leaked = [*found["duplicates"]["leaked_test"], *found["duplicates"]["leaked_validation"]]
    assert {"test/red/copy.png", "test/green/again.jpg"} & set(leaked)
    odd = {one["name"]: one["ids"] for one in found["oddities"]}
    assert odd["animated"] == ["train/green/moving.gif"]
    # Random features judge badly, and are told so; what a real backbone finds is asserted in test_real_race.py.
    labels = found["labels"]
    assert (labels["judge"], labels["pictures"]) == (f"features of {NETWORK} at 32 pixels", 87)
    assert 0.2 < labels["accuracy"] < 0.5
    assert "of the labels only" in labels["unavailable"]
    assert labels["suspects"] == []


def test_the_terminal_shows_findings_and_writes_out_what_would_steer_it(album):
    result = album("data", "audit", "album", "--image-size", "32", "--output", "shown")
    assert result.returncode == 0, result.stderr
    for text in (
        "89 pictures, 3 classes",
        "2 of 89 pictures do not decode.",
        "Training would be refused:",
        "duplicate among the training pictures",
        "1 picture is animated",
        "train/red/1.png",
    ):
        assert text in result.stdout.replace("\n", " ")
    for shown in (result.stdout, (album.folder / "shown" / "audit.md").read_text()):
        assert not set(shown) & set("\x1b\x07\u202e")
    assert r"\x1b[31m\x07\u202egpj.[bold]<b>&.png" in result.stdout
    assert "&lt;b&gt;" in (album.folder / "shown" / "audit.md").read_text()


def test_an_audit_of_the_digits_needs_no_file(photofinish):
    result = photofinish("data", "audit", "digits")
    assert result.returncode == 0, result.stderr
    assert "digits: 1,797 pictures, 10 classes" in result.stdout
    assert "A search for near duplicates was not made" in result.stdout
