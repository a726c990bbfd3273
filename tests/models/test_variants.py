"""The family as published: parameters, multiply-accumulates, repeats, channels, rates."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from itertools import pairwise

import keras
import pytest

from photofinish import models
from photofinish.catalog import CATALOG
from photofinish.catalog.variants import VARIANTS
from photofinish.errors import SettingsError
from photofinish.models import Description, Head, StochasticDepth, build, describe

# Total and trainable parameters with 1000 classes (keras.applications and the official code); for EfficientNetV2 the
# multiply-accumulates that the paper's table 7 and the official code print, in units of 10^9, with the digits given.
PUBLISHED = {
    "efficientnetv2-b0": (7_200_312, 7_139_704, 0.72, 224),
    "efficientnetv2-b1": (8_212_124, 8_141_052, 1.2, 240),
    "efficientnetv2-b2": (10_178_374, 10_096_086, 1.7, 260),
    "efficientnetv2-b3": (14_467_622, 14_358_406, 3.0, 300),
    "efficientnetv2-s": (21_612_360, 21_458_488, 8.4, 384),
    "efficientnetv2-m": (54_431_388, 54_139_356, 24.7, 480),
    "efficientnetv2-l": (119_027_848, 118_515_272, 56.3, 480),
    "efficientnetv2-xl": (208_896_832, 208_119_808, 93.85, 512),
    "resnet50": (25_636_712, 25_583_592, None, 224),
    "mobilenetv2": (3_538_984, 3_504_872, 0.300, 224),
}
# The reference prints trainable parameters in millions.
TRAINABLE_MILLIONS = {
    "b0": 7.14,
    "b1": 8.14,
    "b2": 10.10,
    "b3": 14.36,
    "s": 21.46,
    "m": 54.14,
    "l": 118.52,
    "xl": 208.12,
}


@pytest.mark.parametrize(
    "network", [functools.partial(models.EfficientNetV2, "b0"), models.ResNet50, models.MobileNetV2]
)
@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"classes": 0}, "classes=0 must be at least 1"),
        ({"dropout": 1.5}, "dropout=1.5 must be at least 0 and below 1"),
        ({"image_size": 0}, "image_size=0 must be at least 1"),
    ],
    ids=["classes", "dropout", "image size"],
)
def test_what_no_network_can_be_built_of_is_refused_by_its_value(
    network: Callable[..., keras.Model], wrong: dict[str, float], says: str
) -> None:
    with pytest.raises(SettingsError, match=says):
        network(**wrong)


@functools.cache
def described(name: str) -> Description:
    return describe(name)


@functools.cache
def built(variant: str) -> keras.Model:
    return build(f"efficientnetv2-{variant}", Head(1000, VARIANTS[variant].dropout), image_size=64, seed=None).model


@pytest.mark.parametrize("name", PUBLISHED)
def test_parameters_and_multiply_accumulates_are_the_published_ones(name: str) -> None:
    total, trainable, giga_macs, size = PUBLISHED[name]
    description = described(name)
    assert (description.parameters, description.trainable_parameters) == (total, trainable)
    assert description.image_size == size
    if giga_macs is not None:
        assert description.macs == pytest.approx(giga_macs * 1e9, rel=0.01)


@pytest.mark.parametrize("variant", VARIANTS)
def test_trainable_parameters_are_those_of_the_reference_in_millions(variant: str) -> None:
    assert round(described(f"efficientnetv2-{variant}").trainable_parameters / 1e6, 2) == TRAINABLE_MILLIONS[variant]


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_description_leaves_nothing_out_of_its_rows(name: str) -> None:
    description = described(name)
    assert sum(row.parameters for row in description.stages) == description.parameters
    assert sum(row.macs for row in description.stages) == description.macs


def test_resnet50_costs_what_a_count_by_hand_says() -> None:
    # keras.applications holds the original ResNet-50, whose first 1x1 convolution of a stage has the stride: 3.86
    # thousand million multiply-accumulates. The often quoted 4.1 belong to "v1.5", with the stride in the 3x3.
    macs = 112 * 112 * 7 * 7 * 3 * 64
    inputs = 64
    for size, width, blocks in ((56, 64, 3), (28, 128, 4), (14, 256, 6), (7, 512, 3)):
        macs += size**2 * inputs * 4 * width  # the shortcut
        for _ in range(blocks):
            macs += size**2 * (inputs * width + 9 * width * width + width * 4 * width)
            inputs = 4 * width
    macs += 2048 * 1000
    assert described("resnet50").macs == macs
    assert round(macs / 1e9, 2) == 3.86


def test_b0_costs_what_a_count_from_the_papers_table_says() -> None:
    # Written down from table 7 and the text, without our builder: operator, expansion, repeats, channels, stride.
    table = (
        ("fused", 1, 1, 16, 1),
        ("fused", 4, 2, 32, 2),
        ("fused", 4, 2, 48, 2),
        ("mb", 4, 3, 96, 2),
        ("mb", 6, 5, 112, 1),
        ("mb", 6, 8, 192, 2),
    )
    size, channels = 112, 32
    macs = size**2 * 9 * 3 * channels
    for kind, expansion, repeats, outputs, first_stride in table:
        for repeat in range(repeats):
            before, size = size, size // (first_stride if repeat == 0 else 1)
            hidden, squeezed = channels * expansion, channels // 4
            if kind == "fused" and expansion == 1:
                macs += size**2 * 9 * channels * outputs
            elif kind == "fused":
                macs += size**2 * (9 * channels * hidden + hidden * outputs)
            else:
                macs += (
                    before**2 * channels * hidden + size**2 * (9 * hidden + hidden * outputs) + 2 * hidden * squeezed
                )
            channels = outputs
    macs += size**2 * channels * 1280 + 1280 * 1000
    assert described("efficientnetv2-b0").macs == macs


def test_b1_to_b3_are_scaled_as_the_official_code_scales_them() -> None:
    def resolved(name: str) -> tuple[int, list[int], list[int], int]:
        variant = VARIANTS[name]
        return (
            variant.stem,
            [stage.channels for stage in variant.stages],
            [stage.repeats for stage in variant.stages],
            variant.head,
        )

    assert resolved("b1") == (32, [16, 32, 48, 96, 112, 192], [2, 3, 3, 4, 6, 9], 1280)
    assert resolved("b2") == (32, [16, 32, 56, 104, 120, 208], [2, 3, 3, 4, 6, 10], 1408)
    assert resolved("b3") == (40, [16, 40, 56, 112, 136, 232], [2, 3, 3, 5, 7, 12], 1536)


def test_dropout_before_the_classifier_is_the_papers() -> None:
    rates = {name: variant.dropout for name, variant in VARIANTS.items()}
    assert rates == {"b0": 0.2, "b1": 0.2, "b2": 0.3, "b3": 0.3, "s": 0.2, "m": 0.3, "l": 0.4, "xl": 0.4}
    for name in ("b0", "b3"):
        assert built(name).get_layer("top_dropout").rate == rates[name]


@pytest.mark.parametrize("variant", ["b0", "b3", "s", "xl"])
def test_a_block_survives_with_one_minus_two_tenths_of_its_place_among_the_scaled_blocks(variant: str) -> None:
    prefixes = [layer.name.rpartition("project_bn")[0] for layer in built(variant).layers if "project_bn" in layer.name]
    assert len(prefixes) == VARIANTS[variant].blocks
    drops = {layer.name: layer for layer in built(variant).layers if isinstance(layer, StochasticDepth)}
    names = {layer.name for layer in built(variant).layers}
    for place, prefix in enumerate(prefixes):
        drop = drops.pop(f"{prefix}drop", None)
        has_residual = f"{prefix}add" in names
        assert (drop is not None) == (has_residual and place > 0)
        if drop is not None:
            assert 1 - drop.rate == pytest.approx(1 - 0.2 * place / len(prefixes))
            assert drop.noise_shape == (None, 1, 1, 1)
    assert not drops


@pytest.mark.parametrize("variant", ["b0", "b2", "m"])
def test_squeeze_and_excitation_reduces_to_a_quarter_of_the_blocks_input(variant: str) -> None:
    layers = built(variant).layers
    channels = [VARIANTS[variant].stem]
    seen = 0
    for layer in layers:
        if layer.name.endswith("se_reduce"):
            assert layer.filters == max(1, int(channels[-1] * 0.25))
            seen += 1
        elif layer.name.endswith("project_conv"):
            channels.append(layer.filters)
    assert seen == sum(stage.repeats for stage in VARIANTS[variant].stages if stage.kind == "mbconv")


def test_only_mbconv_blocks_have_squeeze_and_excitation() -> None:
    stages = {layer.name[5] for layer in built("m").layers if "se_reduce" in layer.name}
    assert stages == {"4", "5", "6", "7"}


def test_the_last_rows_output_is_a_thirty_second_of_the_picture() -> None:
    rows = described("efficientnetv2-s").stages
    assert [row.output_size[0] for row in rows[:-1]] == [192, 192, 96, 48, 24, 24, 12, 12]
    assert all(before.output_size[0] == after.output_size[0] * after.stride for before, after in pairwise(rows[:-1]))


def test_the_catalog_names_every_network_and_no_other() -> None:
    mobile = {f"mobilenetv2{width}" for width in ("", "-0.35", "-0.5", "-0.75", "-1.3", "-1.4")}
    assert set(CATALOG) == {f"efficientnetv2-{name}" for name in VARIANTS} | {"resnet50"} | mobile


def test_a_hidden_layer_in_the_head_is_counted() -> None:
    model = build("mobilenetv2-0.35", Head(10, 0.0, 7), image_size=32, seed=None).model
    assert math.prod(model.get_layer("top_dense").kernel.shape) == 1280 * 7
    assert model.get_layer("predictions").kernel.shape == (7, 10)
