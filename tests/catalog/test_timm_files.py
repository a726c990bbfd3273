"""timm's weights: what timm computes with them we compute too; unfit or hostile files change nothing."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import keras
import numpy as np
import pytest
import safetensors.numpy

from photofinish import backend
from photofinish.catalog import CATALOG
from photofinish.catalog.scaling import BY_128, HALF, IMAGENET
from photofinish.catalog.stored import StoredArray
from photofinish.catalog.timm_files import from_timm, timm_scaling
from photofinish.catalog.weight_files import check_weights, open_weights
from photofinish.errors import DownloadError, PhotofinishError, SettingsError, WeightsError
from photofinish.models import EfficientNetV2, Head, build
from photofinish.models.filling import fill, named_variables

if TYPE_CHECKING:
    from loopback import Server

Tensors = dict[str, np.ndarray[Any, Any]]
ARCHITECTURE = CATALOG["efficientnetv2-b0"]
B0_IN1K = "timm:tf_efficientnetv2_b0.in1k"


def reference(variant: str) -> dict[str, Any]:
    """Read what `benchmarks/timm_parity.py --write-reference` wrote."""
    content: dict[str, Any] = json.loads((Path(__file__).parent / "timm" / f"{variant}.json").read_text())
    return content


def random_state(variant: str, timm_state: ModuleType, classes: int = 10) -> Tensors:
    stored = reference(variant)
    shapes = {
        name: (classes, *shape[1:]) if "classifier" in name else shape for name, shape in stored["shapes"].items()
    }
    drawn: Tensors = timm_state.state(shapes, stored["gain"], stored["classifier_scale"])
    return drawn


@pytest.fixture(scope="module")
def tensors(timm_state: ModuleType) -> Tensors:
    return random_state("b0", timm_state)


@pytest.fixture
def path(tensors: Tensors, tmp_path: Path) -> Path:
    safetensors.numpy.save_file(tensors, tmp_path / "model.safetensors")
    return tmp_path / "model.safetensors"


@pytest.mark.parametrize("variant", ["b0", "s"])
def test_timms_weights_give_the_logits_that_timm_gives(variant: str, timm_state: ModuleType, tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    safetensors.numpy.save_file(random_state(variant, timm_state), path)
    model = EfficientNetV2(variant, classes=10, weights=path)
    predict = backend.compiled(lambda images: model(images, training=False), model.variables, assigns=False)
    for size, logits in reference(variant)["logits"].items():
        expected = np.array(logits)
        found = np.asarray(predict(timm_state.pictures(int(size))))
        scale = np.abs(expected).max()
        assert np.abs(expected[0] - expected[1]).max() > 0.1 * scale
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-4 * scale, err_msg=f"{size} pixels")


def stored(*shape: int) -> StoredArray:
    return StoredArray(shape, lambda: np.arange(np.prod(shape)).reshape(shape))


def test_names_and_axes_become_ours() -> None:
    found = from_timm(
        {
            "blocks.0.0.conv.weight": stored(16, 32, 3, 3),
            "blocks.0.0.bn1.running_var": stored(16),
            "blocks.1.0.conv_exp.weight": stored(64, 16, 3, 3),
            "blocks.1.0.bn2.weight": stored(32),
            "blocks.5.31.conv_dw.weight": stored(6, 1, 3, 3),
            "blocks.5.31.bn2.bias": stored(6),
            "blocks.5.31.se.conv_reduce.bias": stored(2),
            "blocks.5.31.bn2.num_batches_tracked": stored(),
            "classifier.weight": stored(10, 1280),
        }
    )
    assert {name: array.shape for name, array in found.items()} == {
        "block1a_project_conv/kernel": (3, 3, 32, 16),
        "block1a_project_bn/moving_variance": (16,),
        "block2a_expand_conv/kernel": (3, 3, 16, 64),
        "block2a_project_bn/gamma": (32,),
        "block6af_dwconv2/kernel": (3, 3, 6, 1),
        "block6af_bn/beta": (6,),
        "block6af_se_reduce/bias": (2,),
        "predictions/kernel": (1280, 10),
    }
    assert found["block6af_dwconv2/kernel"].read()[1, 2, 4, 0] == 4 * 9 + 1 * 3 + 2


@pytest.mark.parametrize(
    "name",
    [
        "blocks.0.0.conv_dw.other",
        "blocks.00.0.conv.weight",
        "blocks.1.99999999999.conv.weight",
        "../../etc/passwd",
        "blocks.0.0.bn1.weight",
        "conv_stem.bias.weight",
        "bn1.mean",
        "",
    ],
)
def test_a_name_that_no_efficientnetv2_has_stays_what_it_is(name: str) -> None:
    assert list(from_timm({name: stored(3)})) == [name]


def without(name: str) -> Callable[[Tensors], Tensors]:
    return lambda tensors: {key: value for key, value in tensors.items() if key != name}


def but(name: str, value: np.ndarray[Any, Any]) -> Callable[[Tensors], Tensors]:
    return lambda tensors: {**tensors, name: value}


UNFIT: dict[str, tuple[Callable[[Tensors], Tensors], str]] = {
    "missing": (without("blocks.2.1.bn1.running_mean"), "the file lacks block3b_expand_bn/moving_mean"),
    "extra": (but("blocks.0.7.conv.weight", np.zeros((3, 3, 1, 1))), "the model lacks block1h_project_conv/kernel"),
    "unknown": (but("head.norm.weight", np.zeros(3)), "the model lacks head.norm.weight"),
    "shape": (
        but("conv_stem.weight", np.zeros((32, 4, 3, 3), np.float32)),
        r"stem_conv/kernel is \(3, 3, 4, 32\) in the file and \(3, 3, 3, 32\) in the model",
    ),
    "fewer axes": (but("conv_stem.weight", np.zeros(32, np.float32)), "the file lacks stem_conv/kernel"),
    "a name with a path": (but("../../../tmp/evil", np.zeros(3)), "the model lacks ../../../tmp/evil"),
}


@pytest.fixture(scope="module")
def network() -> keras.Model:
    return build("efficientnetv2-b0", Head(10), image_size=32, seed=1).model


def assert_refused_and_unchanged(network: keras.Model, path: Path, message: str) -> None:
    before = [np.array(variable.value) for variable in network.weights]
    with (
        pytest.raises(WeightsError, match=message) as caught,
        open_weights(ARCHITECTURE, path) as file,
    ):
        fill(named_variables(network), file.arrays, path=path, model="b0", passed_over={"predictions"})
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
    for variable, value in zip(network.weights, before, strict=True):
        np.testing.assert_array_equal(np.array(variable.value), value)


@pytest.mark.parametrize("case", UNFIT)
def test_unfit_tensors_are_refused_and_change_nothing(
    case: str, tensors: Tensors, network: keras.Model, tmp_path: Path
) -> None:
    edit, message = UNFIT[case]
    path = tmp_path / "model.safetensors"
    safetensors.numpy.save_file(edit(tensors), path)
    assert_refused_and_unchanged(network, path, message)


def _header(path: Path, header: bytes) -> None:
    path.write_bytes(len(header).to_bytes(8, "little") + header + bytes(64))


def _of_kind(path: Path, kind: str) -> None:
    stem = {"dtype": kind, "shape": [32], "data_offsets": [0, 64]}
    _header(path, json.dumps({"conv_stem.weight": stem}).encode())


DAMAGED: dict[str, tuple[Callable[[Path], Any], str]] = {
    "cut off": (lambda path: path.write_bytes(path.read_bytes()[:-1000]), "cannot be read as a .safetensors file"),
    "cut in the header": (lambda path: path.write_bytes(path.read_bytes()[:500]), "cannot be read as a .safetensors"),
    "empty": (lambda path: path.write_bytes(b""), "cannot be read as a .safetensors file"),
    "a pickle": (lambda path: path.write_bytes(b"\x80\x04\x95" + bytes(100)), "cannot be read as a .safetensors file"),
    "a giant header": (lambda path: path.write_bytes(b"\xff" * 7 + b"\0" + bytes(99)), "cannot be read as a"),
    "offsets outside": (
        lambda path: _header(path, b'{"conv_stem.weight":{"dtype":"F32","shape":[999],"data_offsets":[0,3996]}}'),
        "cannot be read as a .safetensors file",
    ),
    "bfloat16": (lambda path: _of_kind(path, "BF16"), "conv_stem.weight is BF16; save its tensors as float32"),
    "a broken configuration": (lambda path: path.with_name("config.json").write_text("{"), "cannot be read as JSON"),
    "a configuration without deviation": (
        lambda path: path.with_name("config.json").write_text('{"pretrained_cfg": {"mean": [0.5, 0.5, 0.5]}}'),
        "no usable mean and std",
    ),
    "another network": (
        lambda path: path.with_name("config.json").write_text(
            '{"architecture": "efficientnetv2_rw_s", "pretrained_cfg": {}}'
        ),
        "only timm's tf_efficientnetv2 models",
    ),
}


@pytest.mark.parametrize("case", DAMAGED)
def test_a_damaged_file_is_refused_and_changes_nothing(case: str, network: keras.Model, path: Path) -> None:
    spoil, message = DAMAGED[case]
    spoil(path)
    before = [np.array(variable.value) for variable in network.weights]
    with pytest.raises(PhotofinishError, match=message) as caught, open_weights(ARCHITECTURE, path):
        pass
    assert str(path.parent) in str(caught.value)
    assert "\n" not in str(caught.value)
    for variable, value in zip(network.weights, before, strict=True):
        np.testing.assert_array_equal(np.array(variable.value), value)


@pytest.mark.parametrize(
    ("variant", "classes", "expected"),
    [("b0", 1000, IMAGENET), ("b3", 21843, HALF), ("b3", 10, IMAGENET), ("s", 1000, HALF), ("xl", None, HALF)],
)
def test_without_a_configuration_the_scaling_follows_from_what_timm_publishes(
    variant: str, classes: int | None, expected: Any, tmp_path: Path
) -> None:
    arrays = {} if classes is None else {"predictions/kernel": stored(4, classes)}
    assert timm_scaling(tmp_path / "model.safetensors", arrays, variant) == expected
    named = tmp_path / f"tf_efficientnetv2_{variant}.in21k_ft_in1k" / "model.safetensors"
    assert timm_scaling(named, arrays, variant) == HALF


@pytest.mark.parametrize(
    ("mean", "std", "expected"),
    [
        ([0.5, 0.5, 0.5], [0.5, 0.5, 0.5], HALF),
        ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225], IMAGENET),
        ([0, 0, 0], [1, 1, 1], None),
    ],
)
def test_a_configuration_beside_the_file_says_how_pictures_are_scaled(
    mean: list[float], std: list[float], expected: Any, tmp_path: Path
) -> None:
    content = {"architecture": "tf_efficientnetv2_s", "pretrained_cfg": {"mean": mean, "std": std}}
    (tmp_path / "config.json").write_text(json.dumps(content))
    found = timm_scaling(tmp_path / "model.safetensors", {}, "s")
    if expected is None:
        assert (found.mean, found.deviation) == ((0, 0, 0), (255, 255, 255))
    else:
        assert found == expected


def test_someone_elses_configuration_beside_the_file_is_not_looked_at(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"name": "a web server"}')
    assert timm_scaling(tmp_path / "model.safetensors", {}, "s") == HALF


# timm 1.0.31, timm/models/efficientnet.py; `benchmarks/timm_parity.py` compares with timm itself.
IN_TIMM = {
    "b0": {"in1k": IMAGENET},
    "b1": {"in1k": IMAGENET},
    "b2": {"in1k": IMAGENET},
    "b3": {"in1k": IMAGENET, "in21k": HALF, "in21k_ft_in1k": HALF},
    "s": {"in1k": HALF, "in21k": HALF, "in21k_ft_in1k": HALF},
    "m": {"in1k": HALF, "in21k": HALF, "in21k_ft_in1k": HALF},
    "l": {"in1k": HALF, "in21k": HALF, "in21k_ft_in1k": HALF},
    "xl": {"in21k": HALF, "in21k_ft_in1k": HALF},
}


@pytest.mark.parametrize("variant", IN_TIMM)
def test_the_published_sets_are_these_with_these_scalings(variant: str) -> None:
    weights = CATALOG[f"efficientnetv2-{variant}"].weights
    expected = {f"timm:tf_efficientnetv2_{variant}.{name}": found for name, found in IN_TIMM[variant].items()}
    if "in21k" in IN_TIMM[variant]:
        expected["imagenet21k"] = HALF
    if variant != "xl":
        expected["imagenet"] = IMAGENET if variant.startswith("b") else BY_128
    assert {name: one.scaling for name, one in weights.items()} == expected


@pytest.mark.parametrize(
    ("weights", "says"),
    [
        ("timm:tf_efficientnetv2_s.in1k", "which are of efficientnetv2-s; its own are imagenet, timm:tf_eff"),
        ("imagenet21k", "which are of efficientnetv2-b3, efficientnetv2-s"),
        ("timm:tf_efficientnetv2_b0.in1", "did you mean 'timm:tf_efficientnetv2_b0.in1k'"),
        ("timm:resnet50.a1_in1k", "has no weights 'timm:resnet50.a1_in1k'"),
    ],
)
def test_a_set_that_is_not_this_networks_is_refused_with_those_that_are(weights: str, says: str) -> None:
    with pytest.raises(SettingsError, match=says):
        check_weights(ARCHITECTURE, weights)


@pytest.fixture
def hub(
    server: Server, tensors: Tensors, timm_state: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Server:
    """A hub that publishes random weights with 1,000 classes as those of B0."""
    content = safetensors.numpy.save(random_state("b0", timm_state, classes=1000))
    sha256 = hashlib.sha256(content).hexdigest()
    home = "/timm/tf_efficientnetv2_b0.in1k"
    server.files = {
        f"{home}/resolve/main/model.safetensors": content,
        f"{home}/raw/main/model.safetensors": (
            f"version https://git-lfs.github.com/spec/v1\noid sha256:{sha256}\nsize {len(content)}\n".encode()
        ),
    }
    monkeypatch.setenv("HF_ENDPOINT", f"{server.url}/")
    monkeypatch.setenv("PHOTOFINISH_CACHE", str(tmp_path / "cache"))
    return server


def test_weights_come_from_the_hub_once_with_their_scaling_and_classifier(hub: Server, tensors: Tensors) -> None:
    hub.cut_after = [200, 5_000_000]  # the second answer breaks off
    entrant = build("efficientnetv2-b0", Head(1000, reuse_classifier=True), image_size=32, weights=B0_IN1K)
    assert entrant.input_scaling == IMAGENET
    assert entrant.weights == B0_IN1K
    assert hub.ranges == [None, None, "bytes=5000000-"]
    stem = np.array(entrant.model.get_layer("stem_conv").kernel.value)
    np.testing.assert_array_equal(stem, tensors["conv_stem.weight"].transpose(2, 3, 1, 0))
    hub.files.clear()
    hub.content = b""
    again = EfficientNetV2("b0", weights=B0_IN1K, image_size=32)
    for one, other in zip(again.weights, entrant.model.weights, strict=True):
        np.testing.assert_array_equal(np.array(one.value), np.array(other.value))
    assert len(hub.paths) == 3


def test_other_content_than_the_pointer_promises_is_not_used(hub: Server) -> None:
    path = next(path for path in hub.files if "resolve" in path)
    hub.files[path] = hub.files[path][:-1] + b"x"
    with pytest.raises(DownloadError, match="its SHA-256 is"):
        check_weights(ARCHITECTURE, B0_IN1K)


@pytest.mark.parametrize("kind", ["resolve", "raw"])
def test_a_set_that_the_hub_does_not_have_says_where_to_put_it(hub: Server, kind: str, tmp_path: Path) -> None:
    del hub.files[next(path for path in hub.files if kind in path)]
    with pytest.raises(DownloadError, match=r"404 .* by hand and put them at") as caught:
        check_weights(ARCHITECTURE, B0_IN1K)
    assert str(tmp_path / "cache" / "weights" / "tf_efficientnetv2_b0.in1k.safetensors") in str(caught.value)


def test_without_a_network_one_line_says_where_to_put_it(hub: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setattr("time.sleep", lambda _: None)
    with pytest.raises(DownloadError, match="by hand and put them at") as caught:
        check_weights(ARCHITECTURE, B0_IN1K)
    assert "\n" not in str(caught.value)
