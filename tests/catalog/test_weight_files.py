"""`weights=...`: what is recognised, what scaling it brings, and whether the classifier is taken."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import keras
import numpy as np
import pytest
import safetensors.numpy

from photofinish.catalog import CATALOG, check_weights, deciding_file
from photofinish.catalog.manifest import MANIFEST, TENSORS
from photofinish.catalog.published import KERAS_FILES, KerasFile, WeightSet
from photofinish.catalog.scaling import BY_128, CAFFE, HALF, IMAGENET, Scaling
from photofinish.catalog.weight_files import PICKLES
from photofinish.errors import DownloadError, PhotofinishError, SettingsError, WeightsError
from photofinish.models import EfficientNetV2, Head, MobileNetV2, ResNet50, build
from photofinish.models.filling import named_variables
from photofinish.models.saved import saving

SMALL = "mobilenetv2-0.35"
CLASSES = 5


def write_h5(path: Path, model: keras.Model, classifier: str = "predictions") -> Path:
    """Write weights in the layout of Keras 2."""
    with h5py.File(path, "w") as file:
        for name, variable in named_variables(model).items():
            layer, _, own = name.partition("/")
            layer = classifier if layer == "predictions" else layer
            file[f"{layer}/{layer}/{own}:0"] = np.array(variable.value)
    return path


def equal(one: keras.Model, other: keras.Model, layer: str) -> bool:
    return bool((np.array(one.get_layer(layer).kernel.value) == np.array(other.get_layer(layer).kernel.value)).all())


@pytest.fixture(scope="module")
def source() -> keras.Model:
    return build(SMALL, Head(CLASSES), seed=7).model


@pytest.fixture
def run(source: keras.Model, tmp_path: Path) -> Path:
    """A run folder whose network scales pictures as no other of this kind does."""
    entrant = build(SMALL, Head(CLASSES), image_size=32, seed=7, input_scaling=CAFFE)
    names = tuple("abcde")
    folder = tmp_path / "run" / "checkpoints"
    saving(entrant, folder, class_names=names, image_size=32, head=Head(CLASSES), name=SMALL)()
    return tmp_path / "run"


def saved_as(kind: str, source: keras.Model, run: Path, tmp_path: Path) -> Path:
    if kind == "weights.h5":
        source.save_weights(tmp_path / "w.weights.h5")
        return tmp_path / "w.weights.h5"
    if kind == "keras":
        source.save(tmp_path / "w.keras")
        return tmp_path / "w.keras"
    if kind == "own safetensors":
        return (run / "checkpoints" / TENSORS).rename(tmp_path / "renamed.safetensors")
    own = {"run": run, "checkpoints": run / "checkpoints", "final.safetensors": run / "checkpoints" / TENSORS}
    return own[kind] if kind in own else write_h5(tmp_path / "w.h5", source)


KINDS: dict[str, Scaling] = {
    "h5": HALF,
    "weights.h5": HALF,
    "keras": HALF,
    "own safetensors": HALF,
    "final.safetensors": CAFFE,
    "checkpoints": CAFFE,
    "run": CAFFE,
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_file_fills_the_network_brings_its_scaling_and_gets_a_new_head(
    kind: str, source: keras.Model, run: Path, tmp_path: Path
) -> None:
    path = saved_as(kind, source, run, tmp_path)
    entrant = build(SMALL, Head(CLASSES), weights=path, seed=0)
    assert entrant.input_scaling == KINDS[kind]
    assert entrant.weights == str(path)
    for layer in ("Conv1", "block_16_project"):
        assert equal(entrant.model, source, layer)
    assert not equal(entrant.model, source, "predictions")
    assert build(SMALL, Head(None), weights=path, input_scaling=IMAGENET, seed=None).input_scaling == IMAGENET


@pytest.mark.parametrize("kind", KINDS)
def test_the_classifier_of_a_file_is_taken_where_the_number_of_classes_is_the_same(
    kind: str, source: keras.Model, run: Path, tmp_path: Path
) -> None:
    path = saved_as(kind, source, run, tmp_path)
    assert equal(MobileNetV2(0.35, classes=CLASSES, weights=path), source, "predictions")
    other = MobileNetV2(0.35, classes=CLASSES + 1, weights=path)
    assert equal(other, source, "Conv1")
    assert other.output_shape == (None, CLASSES + 1)
    assert MobileNetV2(0.35, classes=None, weights=path).output_shape == (None, 1280)


def test_a_classifier_that_stands_on_a_hidden_layer_is_not_taken(tmp_path: Path) -> None:
    hidden = build(SMALL, Head(CLASSES, units=1280), seed=7).model
    path = write_h5(tmp_path / "w.h5", hidden)
    assert not equal(MobileNetV2(0.35, classes=CLASSES, weights=path), hidden, "predictions")


def test_resnets_older_files_call_the_classifier_otherwise_and_it_is_taken(tmp_path: Path) -> None:
    source = build("resnet50", Head(CLASSES), seed=7).model
    path = write_h5(tmp_path / "w.h5", source, classifier="fc1000")
    assert equal(ResNet50(classes=CLASSES, weights=path), source, "predictions")


def test_the_variants_of_keras_files_expect_what_keras_applications_does() -> None:
    expected = {"b0": IMAGENET, "b3": IMAGENET, "s": BY_128, "xl": BY_128}
    assert {name: CATALOG[f"efficientnetv2-{name}"].scaling for name in expected} == expected


@pytest.fixture
def published(source: keras.Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Lay both files of a set into the cache, as Keras publishes them: with classifier and without."""
    monkeypatch.setenv("PHOTOFINISH_CACHE", str(tmp_path / "cache"))
    folder = tmp_path / "cache" / "weights"
    folder.mkdir(parents=True)
    files = []
    for name, model in (("without", build(SMALL, Head(None), seed=8).model), ("complete", source)):
        path = write_h5(folder / f"{name}.h5", model)
        files.append(KerasFile(f"any/{name}.h5", hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()))
    chosen = WeightSet(files[0], HALF, CLASSES, complete=files[1])
    monkeypatch.setitem(CATALOG[SMALL].weights, "imagenet", chosen)
    return folder


def test_the_complete_file_is_taken_only_where_its_classifier_is_wanted(published: Path, source: keras.Model) -> None:
    complete = MobileNetV2(0.35, classes=CLASSES, weights="imagenet")
    assert equal(complete, source, "predictions")
    assert equal(complete, source, "Conv1")
    (published / "complete.h5").unlink()
    for classes in (CLASSES + 1, None):
        assert not equal(MobileNetV2(0.35, classes=classes, weights="imagenet"), source, "Conv1")
    build(SMALL, Head(CLASSES), weights="imagenet")


def test_a_damaged_file_in_the_cache_is_noticed_before_it_is_used(published: Path) -> None:
    content = bytearray((published / "without.h5").read_bytes())
    content[-1] ^= 1
    (published / "without.h5").write_bytes(content)
    with pytest.raises(DownloadError, match=r"its MD5 is .* delete it to fetch it anew"):
        build(SMALL, Head(CLASSES), weights="imagenet")


def test_the_files_are_those_that_keras_applications_names_with_its_checksums() -> None:
    # keras.applications has its tables under private names, whose absence is no defect of ours.
    theirs = pytest.importorskip("keras.src.applications.efficientnet_v2")
    for variant in ("b0", "b1", "b2", "b3", "s", "m", "l"):
        chosen = CATALOG[f"efficientnetv2-{variant}"].weights["imagenet"]
        key = variant if variant.startswith("b") else f"-{variant}"
        assert chosen.complete is not None
        assert (chosen.complete.md5, chosen.file.md5) == theirs.WEIGHTS_HASHES[key]
        for file, ending in ((chosen.complete, ".h5"), (chosen.file, "_notop.h5")):
            assert f"{KERAS_FILES}/{file.path}" == f"{theirs.BASE_WEIGHTS_PATH}efficientnetv2-{variant}{ending}"
    resnet = pytest.importorskip("keras.src.applications.resnet")
    chosen = CATALOG["resnet50"].weights["imagenet"]
    assert chosen.complete is not None
    assert (chosen.complete.md5, chosen.file.md5) == resnet.WEIGHTS_HASHES["resnet50"]
    assert f"{KERAS_FILES}/{chosen.file.path}".startswith(resnet.BASE_WEIGHTS_PATH)


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ("imagenett", "did you mean 'imagenet'"),
        ("none/such.h5", "the weight file none/such.h5 does not exist"),
        ("such.safetensors", "does not exist"),
        ("none/such", "does not exist"),
    ],
)
def test_weights_that_do_not_exist_are_refused_before_the_network_is_built(weights: str, message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        EfficientNetV2("b0", classes=10, weights=weights)


@pytest.mark.parametrize("suffix", sorted(PICKLES))
def test_files_that_can_execute_code_are_refused_in_one_line_with_the_remedy(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"weights{suffix.upper()}"
    path.write_bytes(b"cos\nsystem\n(S'touch executed'\ntR.")
    with pytest.raises(WeightsError, match=r"can execute code when they are read; .* as \.safetensors") as caught:
        check_weights(CATALOG[SMALL], path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_of_an_unknown_kind_is_refused_with_those_that_are_known(tmp_path: Path) -> None:
    (tmp_path / "weights.txt").write_text("0.1 0.2")
    with pytest.raises(WeightsError, match=r"there are \.h5, .* and run folders"):
        check_weights(CATALOG[SMALL], tmp_path / "weights.txt")


def test_the_weights_of_another_variant_are_refused(tmp_path: Path) -> None:
    other = build("efficientnetv2-b1", Head(None), image_size=32, seed=None).model
    with pytest.raises(WeightsError, match=r"the model lacks block1b_project_bn/beta, .* and 77 more"):
        EfficientNetV2("b0", classes=10, weights=write_h5(tmp_path / "b1.h5", other))


def _edit_manifest(**changes: Any) -> Callable[[Path], None]:
    def edit(run: Path) -> None:
        path = run / "checkpoints" / MANIFEST
        path.write_text(json.dumps(json.loads(path.read_text()) | changes))

    return edit


def _edit_tensors(run: Path) -> None:
    path = run / "checkpoints" / TENSORS
    tensors = safetensors.numpy.load_file(path)
    tensors["Conv1/kernel"] += 1
    safetensors.numpy.save_file(tensors, path)


SPOILT_RUNS: dict[str, tuple[Callable[[Path], Any], str]] = {
    "no manifest": (lambda run: (run / "checkpoints" / MANIFEST).unlink(), "holds no manifest.json"),
    "another network": (_edit_manifest(name="resnet50"), f"holds weights of resnet50, not of {SMALL}"),
    "someone's own network": (
        _edit_manifest(name="/home/evil.py:build"),
        "holds weights of /home/evil.py:build, not of",
    ),
    "another version": (_edit_manifest(shoe_size=46), "not of this version"),
    "changed tensors": (_edit_tensors, "was changed after it was written"),
    "no tensors": (lambda run: (run / "checkpoints" / TENSORS).unlink(), "is missing"),
    "no JSON": (lambda run: (run / "checkpoints" / MANIFEST).write_text("{"), "cannot be read as JSON"),
}


@pytest.mark.parametrize("case", SPOILT_RUNS)
def test_a_spoilt_run_folder_is_refused(case: str, run: Path) -> None:
    spoil, message = SPOILT_RUNS[case]
    spoil(run)
    with pytest.raises(PhotofinishError, match=message) as caught:
        check_weights(CATALOG[SMALL], run)
    assert str(run) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_file_that_decides_is_the_manifest_of_a_run_and_nothing_of_ours(run: Path, tmp_path: Path) -> None:
    architecture = CATALOG[SMALL]
    assert deciding_file(architecture, str(run)) == run / "checkpoints" / MANIFEST
    assert deciding_file(architecture, str(tmp_path / "w.h5")) == tmp_path / "w.h5"
    assert deciding_file(architecture, "imagenet") is None
    assert deciding_file(architecture, None) is None
