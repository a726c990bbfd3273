from __future__ import annotations

import json
import re
from importlib.resources import files
from xml.etree import ElementTree as ET

import numpy as np
import pytest

from photofinish.report.figures.confusion import heat_map, most_confused
from photofinish.report.figures.curves import Series, comparison, epoch_axis, number_axis, spread
from photofinish.report.figures.intervals import accuracy_strip, accuracy_ticks, difference_ticks
from photofinish.report.figures.svg import MARKERS, MODEL_STYLES, marker, tick_label, ticks
from photofinish.report.material import Material
from photofinish.study.results import Estimate

STYLE = (files("photofinish.report") / "static" / "report.css").read_text(encoding="utf-8")


def colours(theme: str) -> dict[str, str]:
    light, dark = STYLE.split("@media (prefers-color-scheme: dark)")[:2]
    block = light if theme == "light" else dark.split("}")[0]
    return dict(re.findall(r"--([\w]+): (#[0-9a-f]{6})", block))


def luminance(colour: str) -> float:
    channels = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_every_colour_of_text_passes_contrast_on_its_ground(theme: str) -> None:
    palette = colours(theme)
    inks = ["text", "muted", "link", "amber", *(f"c{index}" for index in range(MODEL_STYLES))]
    for name in inks:
        assert contrast(palette[name], palette["paper"]) >= 4.5, name


def blend(colour: str, ground: str, opacity: float) -> str:
    mixed = (
        round(opacity * int(colour[place : place + 2], 16) + (1 - opacity) * int(ground[place : place + 2], 16))
        for place in (1, 3, 5)
    )
    return "#" + "".join(f"{channel:02x}" for channel in mixed)


@pytest.mark.parametrize("shade", range(1, 11))
@pytest.mark.parametrize("kind", ["hit", "miss"])
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_numbers_in_the_heat_map_pass_contrast_on_every_shade(theme: str, kind: str, shade: int) -> None:
    palette = colours(theme)
    ground = blend(palette[kind], palette["paper"], shade / 10)
    if theme == "light":
        ink = palette["light"] if shade >= (8 if kind == "hit" else 9) else palette["dark"]
    else:
        ink = palette["dark"] if shade >= 7 else palette["light"]
    assert contrast(ink, ground) >= 4.5


@pytest.mark.parametrize(
    ("low", "high"), [(0, 1), (0.812, 0.931), (-3.2, 11), (0, 1e-6), (1e5, 3e7), (5, 5), (0, 0), (99.7, 100)]
)
def test_ticks_are_few_round_and_enclose_the_range(low: float, high: float) -> None:
    placed = ticks(low, high)
    steps = np.diff(placed)
    assert placed[0] <= low
    assert placed[-1] >= high
    assert 2 <= len(placed) <= 8
    np.testing.assert_allclose(steps, steps[0], rtol=1e-6)
    assert len({tick_label(tick, steps[0]) for tick in placed}) == len(placed)


def test_labels_are_kept_apart_and_within_the_limits() -> None:
    moved = spread([10.0, 11.0, 12.0, 95.0, 99.0], 14, (0, 100))
    assert min(np.diff(moved)) >= 14 - 1e-9
    assert moved[-1] <= 100


def test_every_marker_is_drawn_and_has_its_own_shape() -> None:
    shapes = {str(marker(index, 10, 10)).replace(f" m{index}", "") for index in range(len(MARKERS))}
    assert len(shapes) == len(MARKERS)


def test_the_axes_of_accuracies_and_differences_hold_everything(material: Material) -> None:
    results = material.results
    axis = accuracy_ticks(results.models)
    assert axis[0] <= 100 * min(model.test_accuracy.low for model in results.models)
    assert axis[-1] >= 100 * max(model.test_accuracy.high for model in results.models)
    assert 0.0 in difference_ticks(results.pairs)


def test_perfect_accuracy_fits_on_its_axis() -> None:
    perfect = Estimate(mean=1.0, low=0.97, high=1.0, per_seed=(1.0,))
    drawing = accuracy_strip(0, "net", perfect, [97.0, 98.0, 99.0, 100.0])
    ET.fromstring(drawing)  # noqa: S314 - our own output


@pytest.mark.parametrize("epochs", [1, 2, 300])
@pytest.mark.parametrize("wide", [True, False])
def test_charts_of_any_length_hold_every_point(epochs: int, wide: bool) -> None:
    points = [(float(epoch), 50.0 + epoch / 10) for epoch in range(1, epochs + 1)]
    y_axis = number_axis("accuracy, %", [up for _, up in points])
    drawing = comparison([Series(0, "net", points)], epoch_axis(epochs), y_axis, wide=wide)
    root = ET.fromstring(drawing)  # noqa: S314 - our own output
    shown = json.loads(root.attrib["data-hover"])
    assert len(shown) == epochs
    width, height = float(root.attrib["width"]), float(root.attrib["height"])
    assert all(0 <= x <= width and 0 <= y <= height for x, y, _, _ in shown)
    assert {model for *_, model in shown} == {0}


@pytest.mark.parametrize("classes", [2, 10, 20, 21, 100])
def test_a_heat_map_tells_every_count(classes: int) -> None:
    counts = np.random.default_rng(classes).integers(0, 3, (classes, classes))
    root = ET.fromstring(heat_map("net", counts, [f"class {i}" for i in range(classes)]))  # noqa: S314 - ours
    told = {tuple(map(int, cell.attrib["data-c"].split(","))) for cell in root.iter() if "data-c" in cell.attrib}
    assert sum(count for _, _, count, _ in told) == counts.sum()
    assert all(counts[row, column] == count for row, column, count, _ in told)


def test_the_most_confused_pairs_come_in_order_without_the_diagonal() -> None:
    counts = np.array([[50, 3, 0], [7, 40, 1], [0, 0, 9]])
    pairs = most_confused(counts, ["a", "b", "c"])
    assert [(true, predicted, count) for true, predicted, count, _ in pairs] == [
        ("b", "a", 7),
        ("a", "b", 3),
        ("b", "c", 1),
    ]
