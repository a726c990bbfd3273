from __future__ import annotations

import json
import re
from importlib.resources import files
from xml.etree import ElementTree as ET

import numpy as np
import pytest

from photofinish.evaluation.calibration import ReliabilityBin
from photofinish.report.figures.classes import Row, class_chart
from photofinish.report.figures.confusion import dense_map, heat_map, most_confused
from photofinish.report.figures.curves import Series, comparison, epoch_axis, number_axis, spread
from photofinish.report.figures.intervals import accuracy_strip, accuracy_ticks, difference_ticks
from photofinish.report.figures.reliability import reliability_diagram
from photofinish.report.figures.svg import MARKERS, MODEL_STYLES, marker, tick_label, ticks
from photofinish.report.material import Material
from photofinish.report.times import PARTS
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


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_every_part_of_the_time_has_a_colour_of_its_own_that_is_told_from_its_ground(theme: str) -> None:
    palette = colours(theme)
    shades = [palette[kind] for kind in PARTS]
    assert len(set(shades)) == len(shades)
    # WCAG 2.2, 1.4.11: what is needed to understand a graphic.
    assert min(contrast(shade, palette["paper"]) for shade in shades) >= 3


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


@pytest.mark.parametrize("classes", [2, 10, 20])
def test_a_heat_map_tells_every_count(classes: int) -> None:
    counts = np.random.default_rng(classes).integers(0, 3, (classes, classes))
    root = ET.fromstring(heat_map("net", counts, [f"class {i}" for i in range(classes)]))  # noqa: S314 - ours
    told = {tuple(map(int, cell.attrib["data-c"].split(","))) for cell in root.iter() if "data-c" in cell.attrib}
    assert sum(count for _, _, count, _ in told) == counts.sum()
    assert all(counts[row, column] == count for row, column, count, _ in told)


@pytest.mark.parametrize("classes", [21, 100, 200])
def test_a_dense_map_tells_every_count_in_the_order_of_its_classes(classes: int) -> None:
    generator = np.random.default_rng(classes)
    counts, order = generator.integers(0, 3, (classes, classes)), generator.permutation(classes).tolist()
    names = [f"class {i}" for i in range(classes)]
    root = ET.fromstring(dense_map("net", counts, names, order, [order[3:7]]))  # noqa: S314 - ours
    (told,) = (json.loads(one.attrib["data-cells"]) for one in root.iter() if "data-cells" in one.attrib)
    cells = np.array(told["cells"]).reshape(-1, 3)
    shown = np.zeros_like(counts)
    shown[cells[:, 0], cells[:, 1]] = cells[:, 2]
    np.testing.assert_array_equal(shown, counts[np.ix_(order, order)])
    assert told["names"] == [names[label] for label in order]
    assert told["totals"] == counts.sum(axis=1)[order].tolist()
    squares = sum(one.attrib["d"].count("M") for one in root.iter() if one.tag.endswith("path"))
    assert squares == np.count_nonzero(counts)
    assert told["side"] >= 2.9


def test_a_dense_map_outlines_its_groups_where_they_stand() -> None:
    order = [4, 2, 0, 1, 3, *range(5, 25)]
    root = ET.fromstring(  # noqa: S314 - ours
        dense_map("net", np.eye(25, dtype=np.int64), [str(i) for i in range(25)], order, [(2, 0, 1), (23, 24)])
    )
    outlines = [one.attrib for one in root.iter() if one.attrib.get("class") == "outline"]
    side = float(outlines[0]["width"]) / 3
    starts = [(float(one["x"]) - 22) / side for one in outlines]
    assert starts == pytest.approx([1, 23])
    width = float(root.attrib["width"])
    numbers = [one for one in root.iter() if one.attrib.get("class") == "group"]
    assert [one.text for one in numbers] == ["1", "2"]
    assert all(0 < float(one.attrib["x"]) < width for one in numbers)


def test_shares_in_a_part_of_a_matrix_are_of_all_pictures_of_the_class() -> None:
    drawing = heat_map("net", np.array([[50, 10], [0, 30]]), ["a", "b"], np.array([100, 40]))
    root = ET.fromstring(drawing)  # noqa: S314 - ours
    shares = [one.text for one in root.iter() if one.attrib.get("class", "").startswith("share")]
    assert shares == ["50", "10", "75"]


@pytest.mark.parametrize("seeds", [1, 2])
def test_a_reliability_diagram_tells_every_bin_within_its_panel(seeds: int) -> None:
    before = [None, ReliabilityBin(3, 0.1, 0.0, 0.0, 0.7), None, ReliabilityBin(40 * seeds, 0.97, 0.9, 0.8, 0.95)]
    after = [None, None, ReliabilityBin(1, 0.6, 1.0, 0.2, 1.0), None]
    root = ET.fromstring(reliability_diagram(2, "net", before, after))  # noqa: S314 - ours
    shown = json.loads(root.attrib["data-hover"])
    assert len(shown) == 3
    assert all(34 <= x <= 350 and 22 <= y <= 154 for x, y, _ in shown)
    sure = f"{40 * seeds} answers 75 to 100% sure, on average 97.0%"
    assert shown[1][2] == f"as trained\n{sure}\nright 90.0%, 95% interval 80.0 to 95.0"
    assert "1 answer 50 to 75% sure" in shown[2][2]
    bars = [one for one in root.iter() if one.attrib.get("class", "").startswith("bar")]
    assert len(bars) == 3
    assert max(float(one.attrib["height"]) for one in bars) == pytest.approx(28)


@pytest.mark.parametrize("wide", [True, False])
def test_the_chart_of_classes_tells_every_model_on_every_class(wide: bool) -> None:
    accuracy = Estimate(mean=0.5, low=0.4, high=0.62, per_seed=(0.48, 0.52))
    perfect = Estimate(mean=1.0, low=0.9, high=1.0, per_seed=(1.0, 1.0))
    rows = [Row("a" * 80, ((0, "net", accuracy), (1, "other", perfect))), Row("b", ((0, "net", perfect),))]
    root = ET.fromstring(class_chart(rows, wide=wide))  # noqa: S314 - ours
    shown = json.loads(root.attrib["data-hover"])
    width, height = float(root.attrib["width"]), float(root.attrib["height"])
    assert len(shown) == 3
    assert all(0 < x <= width and 0 < y < height for x, y, _, _ in shown)
    assert shown[0][2].endswith("net\n50.0%, 95% interval 40.0 to 62.0")
    assert len({y for _, y, _, _ in shown}) == 3


def test_the_most_confused_pairs_come_in_order_without_the_diagonal() -> None:
    counts = np.array([[50, 3, 0], [7, 40, 1], [0, 0, 9]])
    pairs = most_confused(counts, ["a", "b", "c"])
    assert [(true, predicted, count) for true, predicted, count, _ in pairs] == [
        ("b", "a", 7),
        ("a", "b", 3),
        ("b", "c", 1),
    ]
