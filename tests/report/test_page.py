from __future__ import annotations

import dataclasses
import json
import re
from html import unescape
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from types import ModuleType
from xml.etree import ElementTree as ET

import pytest

from photofinish.config import DataSettings, TrainingSettings
from photofinish.report.markdown import escaped, render_markdown
from photofinish.report.material import Material
from photofinish.report.page import render_page, write_report
from photofinish.report.recipe import DATA_WORDS, TRAINING_WORDS
from photofinish.report.tables import models_table
from photofinish.runs import StudyFolder

HOSTILE = "<script>alert(1)</script>\"onload='x' | a&b\n\u202egpj \u2028`*_[x](javascript:y)"
ALLOWED_ELEMENTS_WITH_ADDRESS = {"a", "link"}  # pictures are held by the page itself: test_stages, test_mistakes


class Page(HTMLParser):
    """Collects what a browser would act on."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.texts: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))

    def handle_data(self, data: str) -> None:
        self.texts.append(data)

    def of(self, tag: str) -> list[dict[str, str]]:
        return [attributes for name, attributes in self.elements if name == tag]

    @property
    def text(self) -> str:
        return " ".join(self.texts)


@pytest.fixture(scope="module")
def html(material: Material) -> str:
    return render_page(material)


@pytest.fixture(scope="module")
def page(html: str) -> Page:
    return Page(html)


def hostile_design(studies: ModuleType) -> object:
    one = studies.Entrant(f"{HOSTILE}.py:f", 2.0, 10, None, 0.1)
    other = studies.Entrant("resnet50", 1.5, 20, 30, 0.1, failures=((1, f"Traceback\n{HOSTILE}\nE: {HOSTILE}"),))
    return studies.Design(
        entrants=(one, other),
        seeds=(0, 1),
        classes=(HOSTILE, "b", "c"),
        test=60,
        epochs=2,
        skipped=(f"{HOSTILE}: truncated",),
        name=HOSTILE,
        recipe=HOSTILE,
        picture_size=24,
    )


@pytest.fixture(scope="module")
def hostile(studies: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> StudyFolder:
    folder = studies.write_study(tmp_path_factory.mktemp("hostile"), hostile_design(studies))
    studies.audit_of(HOSTILE).write(folder.audit)
    write_report(folder)
    return folder


def test_hostile_names_add_no_element_attribute_or_script(hostile: StudyFolder) -> None:
    page = Page(hostile.report_html.read_text(encoding="utf-8"))
    assert len(page.of("script")) == 1
    assert not [name for _, attributes in page.elements for name in attributes if name.startswith("on")]
    assert not [one for one in page.of("a") if one["href"].startswith("javascript")]
    assert "<script>alert(1)</script>" in page.text
    described = [attributes["alt"] for attributes in page.of("img")]
    assert any("<script>alert(1)</script>" in text for text in described)


def test_invisible_characters_of_names_are_written_out(hostile: StudyFolder) -> None:
    for path in (hostile.report_html, hostile.report_markdown):
        content = path.read_text(encoding="utf-8")
        assert not set(content) & set("\u202e\u2028")
        assert "202egpj" in content


def test_hostile_names_break_no_markdown_table(hostile: StudyFolder) -> None:
    lines = hostile.report_markdown.read_text(encoding="utf-8").splitlines()
    tables = [line for line in lines if line.startswith("|")]
    rules = [line for line in tables if set(line) <= set("|-: ")]
    widths = {line.replace(r"\|", "").count("|") for line in tables}
    assert len(rules) == 9
    assert widths <= {rule.count("|") for rule in rules}
    assert "<" not in "".join(lines)


def test_svg_of_hostile_names_is_well_formed(hostile: StudyFolder) -> None:
    html = hostile.report_html.read_text(encoding="utf-8")
    depth, start, drawings = 0, 0, 0
    for tag in re.finditer(r"<svg\b|</svg>", html):
        start = tag.start() if depth == 0 else start
        depth += 1 if tag.group() == "<svg" else -1
        if depth == 0:
            ET.fromstring(html[start : tag.end()])  # noqa: S314 - our own output
            drawings += 1
    assert drawings > 10


def test_the_page_asks_the_network_for_nothing(html: str, page: Page) -> None:
    (policy,) = (one["content"] for one in page.of("meta") if one.get("http-equiv") == "Content-Security-Policy")
    assert policy.startswith("default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:")
    assert not [attributes for attributes in page.of("link") if attributes["href"] != "data:,"]
    addressed = {tag for tag, attributes in page.elements if {"src", "href"} & set(attributes)}
    assert addressed <= ALLOWED_ELEMENTS_WITH_ADDRESS
    assert "http://" not in html.replace("http://www.w3.org/2000/svg", "")
    assert "https://" not in html


def test_every_link_leads_to_a_file_of_the_study(race: StudyFolder, page: Page) -> None:
    links = {one["href"] for one in page.of("a")}
    missing = {link for link in links if not link.startswith("#") and not (race.path / link).exists()}
    assert missing <= {"results.json"} or not missing
    anchors = {attributes.get("id") for _, attributes in page.elements}
    assert {link[1:] for link in links if link.startswith("#")} <= anchors


def test_the_verdict_comes_before_everything_else(page: Page) -> None:
    order = [attributes.get("class") or attributes.get("id") for _, attributes in page.elements]
    places = [order.index(name) for name in ("verdict", "cost", "models", "pairs", "progress", "curves")]
    assert places == sorted(places)


def test_headings_descend_one_level_at_a_time(page: Page) -> None:
    levels = [int(tag[1]) for tag, _ in page.elements if re.fullmatch(r"h[1-6]", tag)]
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))


def test_every_drawing_speaks_or_is_hidden_and_every_table_is_captioned(page: Page) -> None:
    for drawing in page.of("svg"):
        inner = "x" in drawing
        assert (
            inner
            or drawing.get("aria-hidden") == "true"
            or (drawing["role"], bool(drawing["aria-label"])) == ("img", True)
        )
    assert len(page.of("caption")) == len(page.of("table"))
    assert all("scope" in head for head in page.of("th"))


def test_ids_are_unique(page: Page) -> None:
    ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(ids) == len(set(ids))


def test_every_setting_is_in_the_recipe() -> None:
    assert set(TRAINING_WORDS) == set(TrainingSettings.model_fields)
    assert set(DATA_WORDS) == set(DataSettings.model_fields)


def test_the_recipe_says_what_the_learning_rate_falls_by_and_not_what_it_might() -> None:
    _, words = TRAINING_WORDS["layer_decay"]
    assert words(TrainingSettings()) == "the same"
    assert words(TrainingSettings(train="gradual")) == "x 0.65"
    assert words(TrainingSettings(train="gradual", layer_decay=1.0)) == "the same"
    assert words(TrainingSettings(layer_decay=0.8)) == "x 0.8"
    assert words(TrainingSettings(train="head")) == "one part only"


@pytest.mark.parametrize(("flip", "says"), [(True, "seen: augmented, while"), (False, "seen, while")])
def test_training_figures_are_called_augmented_where_they_are(material: Material, flip: bool, says: str) -> None:
    plan = material.plan.model_copy(update={"training": TrainingSettings(flip=flip)})
    assert says in render_page(dataclasses.replace(material, plan=plan))


def test_the_range_beside_a_training_time_is_called_one(studies: ModuleType, tmp_path: Path) -> None:
    notes = []
    for seeds in ((0,), (0, 1)):
        design = studies.Design(entrants=studies.RACE[:1], seeds=seeds, test=50, epochs=1)
        material = Material.read(studies.write_study(tmp_path / str(len(seeds)), design))
        (column,) = [column for column in models_table(material).columns if column.title == "Training time"]
        notes.append(column.note)
        assert column.note in render_page(material)
        assert column.note in render_markdown(material)
    assert notes == ["all epochs", "all epochs; mean, range over seeds"]


def test_failed_cells_and_missing_models_are_reported(studies: ModuleType, tmp_path: Path) -> None:
    gone = studies.Entrant("gone", 1.0, 10, None, 0.1, failures=((0, "Traceback\nE: no memory"), (1, "E: no memory")))
    folder = studies.write_study(
        tmp_path, studies.Design(entrants=(*studies.RACE[:2], gone), seeds=(0, 1), test=120, epochs=2)
    )
    write_report(folder)
    text = Page(folder.report_html.read_text(encoding="utf-8")).text
    assert "gone is not in the comparison: none of its seeds finished." in text
    assert "Seeds 0, 1 of gone failed: E: no memory." in text
    assert "gone is not in the comparison" in folder.report_markdown.read_text(encoding="utf-8")


def test_a_study_without_any_finished_cell_still_has_a_report(studies: ModuleType, tmp_path: Path) -> None:
    gone = studies.Entrant("gone", 1.0, 10, None, 0.1, failures=((0, "broken"),))
    folder = studies.write_study(tmp_path, studies.Design(entrants=(gone,), seeds=(0,), test=60))
    write_report(folder)
    assert "No verdict: no model finished." in folder.report_html.read_text(encoding="utf-8")


def test_a_hundred_classes_are_drawn_in_one_order_with_their_groups_and_folded(
    studies: ModuleType, tmp_path: Path
) -> None:
    classes = tuple(f"class {index}" for index in range(100))
    design = studies.Design(seeds=(0,), classes=classes, test=2000, epochs=2, picture_size=96)
    folder = studies.write_study(tmp_path, design)
    write_report(folder)
    html = folder.report_html.read_text(encoding="utf-8")
    maps = [json.loads(unescape(told)) for told in re.findall(r'data-cells="([^"]*)"', html)]
    assert len(maps) == 3
    assert maps[0]["names"] == maps[1]["names"] == maps[2]["names"], "one order for all models"
    assert set(maps[0]["names"]) == set(classes)
    assert maps[0]["names"] != list(classes)
    assert "<details open>" not in html
    assert html.count("of all mistakes</figcaption>") == 18
    assert "The 20 hardest of 100 classes" in html
    # Three models, and pictures of 96 pixels.
    assert len(re.findall('src="data:image/jpeg', html)) > 60
    assert folder.report_html.stat().st_size < 2_000_000


def test_more_classes_than_can_be_drawn_leave_groups_and_pairs(studies: ModuleType, tmp_path: Path) -> None:
    classes = tuple(f"class {index}" for index in range(230))
    folder = studies.write_study(
        tmp_path, studies.Design(entrants=studies.RACE[:1], seeds=(0,), classes=classes, test=1500, epochs=1)
    )
    write_report(folder)
    html = folder.report_html.read_text(encoding="utf-8")
    assert 'data-cells="' not in html
    assert "A matrix of 230 classes has no room on a page" in html
    assert "of all mistakes</figcaption>" in html
    assert "taken for" in html


def test_rendering_again_changes_nothing(race: StudyFolder) -> None:
    write_report(race)
    first = race.report_html.read_bytes(), race.report_markdown.read_bytes(), race.results.read_bytes()
    write_report(race)
    assert first == (
        race.report_html.read_bytes(),
        race.report_markdown.read_bytes(),
        race.results.read_bytes(),
    )


def test_the_text_holds_verdict_tables_and_recipe(material: Material) -> None:
    text = render_markdown(material)
    for part in (
        "## Models",
        "## Pairs",
        "## Calibration",
        "## Most confused",
        "## Not equal",
        "## Recipe",
        "efficientnetv2-b0",
        "95% interval",
    ):
        assert part in text


def test_markdown_names_neither_mention_nor_link() -> None:
    assert escaped("@team https://x.y") == "@\u200bteam https:\u200b//x.y"
