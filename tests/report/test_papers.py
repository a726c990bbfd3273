"""Plots and the table for papers."""

from __future__ import annotations

import json
from pathlib import Path
from types import ModuleType
from xml.etree import ElementTree as ET

import matplotlib as mpl
import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from photofinish.cli.app import app
from photofinish.errors import SettingsError
from photofinish.report.latex import escaped, render_latex
from photofinish.report.material import Material
from photofinish.report.page import render_page
from photofinish.report.papers import FORMATS, plots, write_figures
from photofinish.report.papers.style import SETTINGS, colours, line_style
from photofinish.runs import StudyFolder

CURVES = ("accuracy-by-epoch", "accuracy-by-time")
PLOTS = ("accuracy", "differences", *CURVES, "confusion-tiny.py-build", "confusion-resnet50")


@pytest.fixture(scope="module")
def odd(studies: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> StudyFolder:
    """A study whose names would break a careless plot or table."""
    own = studies.Entrant("nets/tiny.py:build", 1.2, 1_000, None, 0.1)
    design = studies.Design(
        entrants=(own, studies.RACE[1]),
        classes=("$x_1^2$", "<script>", "50% & co", "\u96ea"),
        test=60,
        seeds=(0, 1),
        epochs=3,
    )
    return studies.write_study(tmp_path_factory.mktemp("odd"), design)


@pytest.fixture(scope="module")
def written(odd: StudyFolder) -> list[Path]:
    return write_figures(odd)


def test_every_plot_is_written_in_every_format_beside_the_table(odd: StudyFolder, written: list[Path]) -> None:
    names = {f"{name}.{form}" for name in PLOTS for form in FORMATS} | {"models.tex"}
    assert {path.name for path in written} == names
    assert {path.name for path in odd.figures.iterdir()} == names


def test_the_files_are_what_their_suffixes_say(written: list[Path]) -> None:
    for path in written:
        if path.suffix == ".svg":
            assert ET.parse(path).getroot().tag.endswith("svg")  # noqa: S314 - ours
        elif path.suffix == ".png":
            with Image.open(path) as image:
                assert round(image.info["dpi"][0]) == 300
                assert (
                    len(
                        set(
                            image.convert("L").getdata()
                            if not hasattr(image, "get_flattened_data")
                            else image.convert("L").get_flattened_data()
                        )
                    )
                    > 2
                )
        elif path.suffix == ".pdf":
            assert path.read_bytes().startswith(b"%PDF-")


def test_the_same_study_gives_the_same_bytes(odd: StudyFolder, written: list[Path], tmp_path: Path) -> None:
    again = write_figures(odd, output=tmp_path / "again")
    assert [path.read_bytes() for path in again] == [path.read_bytes() for path in written]


def test_accuracies_are_drawn_where_the_results_say(material: Material) -> None:
    figure = plots.accuracy(material)
    assert figure is not None
    drawn = [line.get_xdata() for line in figure.axes[0].lines]
    for entrant, (interval, mean, seeds) in zip(material.entrants, zip(*[iter(drawn)] * 3, strict=True), strict=True):
        accuracy = entrant.result.test_accuracy
        assert np.allclose(interval, [100 * accuracy.low, 100 * accuracy.high])
        assert np.allclose(mean, 100 * accuracy.mean)
        assert np.allclose(seeds, 100 * np.array(accuracy.per_seed))


def test_only_decided_pairs_are_filled(material: Material) -> None:
    figure = plots.differences(material)
    assert figure is not None
    marks = figure.axes[0].lines[2::2]
    assert {pair.verdict for pair in material.results.pairs} >= {"a", "undecided"}
    for pair, mark in zip(material.results.pairs, marks, strict=True):
        assert np.allclose(mark.get_xdata(), 100 * pair.difference)
        assert (mark.get_markerfacecolor() == "white") == (pair.verdict == "undecided")


def test_a_confusion_matrix_shows_the_share_of_each_true_class(material: Material) -> None:
    figure = plots.confusion_of(0)(material)
    assert figure is not None
    shown = {text.get_position(): text.get_text() for text in figure.axes[0].texts}
    counts = material.entrants[0].confusions
    shares = 100 * counts / counts.sum(axis=1, keepdims=True)
    assert len(shown) == np.count_nonzero(counts)
    for (column, row), text in shown.items():
        share = shares[int(row), int(column)]
        assert text == ("<1" if share < 0.5 else f"{share:.0f}")


def test_names_are_drawn_as_texts_not_as_formulas(odd: StudyFolder) -> None:
    with mpl.rc_context(SETTINGS):
        figure = plots.confusion_of(0)(Material.read(odd))
        assert figure is not None
        ticks = [tick.get_text() for tick in figure.axes[0].get_yticklabels()]
        assert ticks[:2] == ["$x_1^2$", "<script>"]
        assert not any(tick.get_parse_math() for tick in figure.axes[0].get_yticklabels())


def test_a_single_model_has_no_differences_to_plot(studies: ModuleType, tmp_path: Path) -> None:
    design = studies.Design(entrants=studies.RACE[:1], seeds=(0,), test=40, epochs=1)
    written = write_figures(studies.write_study(tmp_path, design), ["svg"])
    assert "differences.svg" not in {path.name for path in written}


def test_colours_are_those_of_the_page() -> None:
    assert line_style(1)["color"] == colours()["c1"] == line_style(9)["color"]
    assert len({line_style(index)["color"] for index in range(8)}) == 8


def test_an_unknown_format_is_refused(odd: StudyFolder) -> None:
    with pytest.raises(SettingsError, match="unknown format 'gif'"):
        write_figures(odd, ["gif"])


@pytest.mark.parametrize(
    ("name", "written"),
    [
        ("a_b & c%", r"a\_b \& c\%"),
        ("{x}$^~#", r"\{x\}\$\textasciicircum{}\textasciitilde{}\#"),
        ("\\input", r"\textbackslash{}input"),
    ],
)
def test_latex_prints_names_as_they_are(name: str, written: str) -> None:
    assert escaped(name) == written


def test_the_latex_table_has_a_row_for_every_model_with_its_interval(material: Material) -> None:
    table = render_latex(material)
    rows = [line for line in table.splitlines() if line.endswith(r"\\") and "&" in line][1:]
    assert len(rows) == len(material.entrants)
    for row, entrant in zip(rows, material.entrants, strict=True):
        accuracy = entrant.result.test_accuracy
        figure = f"{100 * accuracy.mean:.1f} ({100 * accuracy.low:.1f}--{100 * accuracy.high:.1f})"
        assert [cell.strip() for cell in row.split("&")][:2] == [entrant.name, figure]
    assert table.count("{") == table.count("}")


def test_the_verb_writes_the_formats_asked_for_and_the_page_then_links_them(odd: StudyFolder, tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["figures", str(odd.path), "--format", "svg", "--output", str(tmp_path), "--json"])
    assert done.exit_code == 0, done.output
    assert sorted(Path(path).name for path in json.loads(done.output)) == sorted(
        path.name for path in tmp_path.iterdir()
    )
    assert {path.suffix for path in tmp_path.iterdir()} == {".svg", ".tex"}
    write_figures(odd, ["svg"])
    assert 'href="figures/"' in render_page(Material.read(odd))
