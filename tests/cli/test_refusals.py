"""Bad input ends in one clear line and an exit code, without a traceback and without loss."""

import io

import numpy as np
import pytest
from PIL import Image


def picture(seed: int) -> bytes:
    pixels = np.random.default_rng(seed).integers(0, 256, (16, 16, 3), dtype=np.uint8)
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG")
    return stream.getvalue()


def make_folder(root, classes, count=10):
    for number, name in enumerate(classes):
        (root / name).mkdir(parents=True)
        for index in range(count):
            (root / name / f"{index}.png").write_bytes(picture(100 * number + index))
    return root


def assert_one_line(result, *says):
    assert result.returncode not in {0, 70}
    assert "Traceback" not in result.stderr + result.stdout
    lines = result.stderr.strip().splitlines()
    assert len(lines) == 1, result.stderr
    for text in says:
        assert text in lines[0]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["compare", "efficientnetv2-b0", "resnet-50"], "did you mean 'resnet50'?"),
        (["compare", "efficientnetv2-b0", "--data", "nowhere"], "no folder here has that name"),
        (["compare", "efficientnetv2-b0", "--data", "cifar-10"], "did you mean 'cifar10'?"),
        (["compare", "efficientnetv2-b0", "--recipe", "quik"], "did you mean 'quick'?"),
        (["compare", "efficientnetv2-b0", "--epochs", "0"], "epochs=0"),
        (["compare", "efficientnetv2-b0", "--backend", "tensorflo"], "did you mean 'tensorflow'?"),
        (["compare", "efficientnetv2-xl", "--weights", "imagenet"], "no weights 'imagenet'"),
        (
            ["compare", "efficientnetv2-b0", "--weights", "timm:tf_efficientnetv2_s.in1k"],
            "which are of efficientnetv2-s",
        ),
        (["compare", "efficientnetv2-b0", "--weights", "weights.pth"], "does not exist"),
        (["compare", "efficientnetv2-b0", "--weights", "resnet50=imagenet"], "names no weights for efficientnetv2-b0"),
        (["compare", "resnet50", "--weights", "resnet50=none,resnet-51=imagenet"], "did you mean 'resnet50'?"),
        (["compare", "--data", "cifar10"], "no models"),
        (["compare", "resnet50", "resnet50"], "resnet50 is named more than once"),
        (["benchmark", "resnet50", "resnet50"], "resnet50 is named more than once"),
        (["train", "mine.py:build"], "mine.py does not exist"),
        (["describe", "efficientnetv2-b9"], "did you mean 'efficientnetv2-b"),
        (["evaluate", "."], "not a run folder"),
        (["report", "."], "not a study folder"),
        (["data", "fetch", "cifar11"], "did you mean 'cifar10'?"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_wrong_argument_is_refused_in_one_line(photofinish, arguments, says):
    assert_one_line(photofinish(*arguments), says)


def test_an_unknown_option_names_the_nearest(photofinish):
    result = photofinish("compare", "resnet50", "--epoch", "3")
    assert result.returncode == 2
    assert "--epochs" in result.stderr
    assert "Traceback" not in result.stderr


def test_an_option_that_a_verb_would_not_heed_is_refused(photofinish):
    result = photofinish("data", "check", "digits", "--epochs", "3")
    assert result.returncode == 2
    assert "--epochs" in result.stderr


def test_an_empty_class_is_named(photofinish):
    root = make_folder(photofinish.folder / "leaves", ["oak", "ash"])
    (root / "elm").mkdir()
    assert_one_line(photofinish("compare", "efficientnetv2-b0", "--data", "leaves"), "elm")


def test_one_class_alone_is_refused(photofinish):
    make_folder(photofinish.folder / "leaves", ["oak"])
    assert_one_line(photofinish("compare", "efficientnetv2-b0", "--data", "leaves"), "one class")


def test_an_unreadable_picture_is_named_with_the_remedy(photofinish):
    root = make_folder(photofinish.folder / "leaves", ["oak", "ash"], count=20)
    (root / "oak" / "broken.png").write_bytes(picture(7)[:100])
    assert_one_line(photofinish("data", "check", "leaves"), "oak/broken.png", "--skip-unreadable")
    result = photofinish("data", "check", "leaves", "--skip-unreadable")
    assert result.returncode == 0
    assert "left out: oak/broken.png" in result.stdout


def test_without_a_network_the_file_to_fetch_and_its_place_are_named(photofinish):
    result = photofinish("compare", "efficientnetv2-b0", "--recipe", "case-study")
    assert_one_line(result, "efficientnetv2-b0_notop.h5", "put it at", str(photofinish.cache))


def test_an_output_folder_that_is_something_else_is_left_alone(photofinish):
    precious = photofinish.folder / "precious"
    precious.mkdir()
    (precious / "thesis.txt").write_text("years of work")
    result = photofinish("compare", "efficientnetv2-b0", "--output", "precious")
    assert_one_line(result, "not empty and not a study")
    assert [path.name for path in precious.iterdir() if path.name != ".lock"] == ["thesis.txt"]


def test_an_output_that_cannot_be_written_to_is_named(photofinish):
    (photofinish.folder / "file").write_text("")
    assert_one_line(photofinish("compare", "efficientnetv2-b0", "--output", "file/study"), "file/study")
