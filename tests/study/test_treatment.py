"""Every setting has its place in the tables, and what may not differ is refused with names and values."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import BaseModel

from photofinish.config import CellSettings, DataSettings, TrainingSettings
from photofinish.config.names import OWN
from photofinish.runs import DataRecord, ModelRecord, RunRecord
from photofinish.study import treatment
from photofinish.study.treatment import NOT_RECORDED, Kind, Treated, disagreements, facts_of

TABLES: dict[type[BaseModel], dict[str, treatment.Rule]] = {
    DataSettings: treatment.DATA_SETTINGS,
    TrainingSettings: treatment.TRAINING_SETTINGS,
    CellSettings: treatment.CELL_SETTINGS,
    ModelRecord: treatment.MODEL_RECORD,
    DataRecord: treatment.DATA_RECORD,
}
NETWORK = ModelRecord(
    parameters=10, trainable_parameters=9, macs=8, input_scaling="to -1..1", weights="random", head="a linear layer"
)
PICTURES = DataRecord(
    name="leaves", fingerprint="a" * 64, classes=("ash", "oak"), train=6, validation=2, test=2, stored_size=(8, 8)
)


def cell(model: str = "resnet50", *, name: str = "", sources: dict[str, str] | None = None, **changes: Any) -> Treated:
    """A finished cell; `training`, `data`, `model` and `pictures` change single values of its records."""
    settings = CellSettings(
        model=model,
        seed=changes.pop("seed", 0),
        backend=changes.pop("backend", "jax"),
        data=DataSettings().but(**changes.pop("data", {})),
        training=TrainingSettings().but(**changes.pop("training", {})),
    )
    run = RunRecord(
        status="finished",
        settings=settings,
        data=PICTURES.but(**changes.pop("pictures", {})),
        model=NETWORK.but(**changes.pop("network", {})),
        steps=10,
    )
    return Treated(name or model, run.but(**changes), sources or {})


@pytest.mark.parametrize("record", TABLES, ids=lambda record: record.__name__)
def test_every_field_has_its_place(record: type[BaseModel]) -> None:
    assert TABLES[record].keys() == record.model_fields.keys()


def test_no_two_facts_of_a_cell_are_called_alike() -> None:
    labels = [fact.label for fact in facts_of(cell(versions={"keras": "3"}, hardware={"cores": "2"}).run)]
    assert len(labels) == len(set(labels))
    assert {"Data fingerprint", "Epochs", "Head", "Backend", "Version of keras", "Hardware, cores"} <= set(labels)


def test_equal_cells_have_nothing_to_refuse() -> None:
    assert disagreements(cell(), cell(seed=1)) == {}
    assert disagreements(cell(), cell("mobilenetv2")) == {}


@pytest.mark.parametrize(
    ("label", "changes", "says"),
    [
        ("Epochs", {"training": {"epochs": 7}}, "Epochs is 10 in ours and 7 in theirs"),
        ("Micro batch size", {"training": {"micro_batch_size": 8}}, "Micro batch size is none in ours and 8 in theirs"),
        ("Image size", {"data": {"image_size": 64}}, "Image size is 32 in ours and 64 in theirs"),
        ("Precision", {"training": {"precision": "bfloat16"}}, "Precision is float32 in ours and bfloat16 in theirs"),
        (
            "Batch normalization momentum",
            {"training": {"batch_normalization_momentum": 0.99}},
            "is 0.9 in ours and 0.99",
        ),
        ("Flip", {"training": {"flip": True}}, "Flip is no in ours and yes in theirs"),
        ("Randaugment", {"training": {"randaugment": 5}}, "Randaugment is 0 in ours and 5 in theirs"),
        ("Head", {"network": {"head": "two layers"}}, "Head is a linear layer in ours and two layers in theirs"),
        (
            "Data fingerprint",
            {"pictures": {"fingerprint": "b" * 64}},
            f"is {'a' * 12} in ours and {'b' * 12} in theirs",
        ),
        ("Classes", {"pictures": {"classes": ("ash", "elm")}}, "Classes is ash, oak in ours and ash, elm in theirs"),
        ("Test pictures", {"pictures": {"test": 3}}, "Test pictures is 2 in ours and 3 in theirs"),
        ("Training steps", {"steps": 11}, "Training steps is 10 in ours and 11 in theirs"),
    ],
)
@pytest.mark.parametrize("model", ["resnet50", "mobilenetv2"])
def test_what_may_not_differ_is_refused_between_seeds_and_between_models(
    model: str, label: str, changes: dict[str, Any], says: str
) -> None:
    found = disagreements(cell(name="ours"), cell(model, name="theirs", **changes))
    assert list(found) == [label]
    assert says in found[label]


@pytest.mark.parametrize(
    "changes",
    [
        {"network": {"input_scaling": "to 0..1"}},
        {"network": {"stochastic_depth": 0.2}},
        {"network": {"parameters": 11}},
        {"statistics_unfolded": True},
    ],
)
def test_what_belongs_to_a_network_may_differ_between_models_and_not_between_seeds(changes: dict[str, Any]) -> None:
    assert disagreements(cell(), cell("mobilenetv2", **changes)) == {}
    assert len(disagreements(cell(), cell(seed=1, **changes))) == 1


@pytest.mark.parametrize(
    "changes",
    [
        {"backend": "tensorflow"},
        {"versions": {"keras": "4"}},
        {"hardware": {"cores": "64"}},
        {"data": {"source": "/elsewhere"}},
        {"data": {"validation_fraction": 0.3}},
        {"statistics_reestimated": True},
    ],
)
def test_machine_software_and_other_words_for_the_same_pictures_may_differ(changes: dict[str, Any]) -> None:
    assert disagreements(cell(), cell(seed=1, **changes)) == {}


def test_a_models_own_head_may_differ_because_it_cannot_be_another() -> None:
    assert disagreements(cell(), cell("mine.py:net", network={"head": OWN, "weights": OWN})) == {}


def weights(chosen: str | None) -> dict[str, Any]:
    return {"training": {"weights": chosen}}


def test_other_weights_are_refused_unless_each_model_was_given_its_own() -> None:
    found = disagreements(cell(name="ours", **weights("imagenet")), cell("mobilenetv2", name="theirs", **weights(None)))
    assert found == {"Weights before training": "Weights before training are imagenet in ours and random in theirs"}
    asked = weights("resnet50=imagenet,mobilenetv2=none")
    assert disagreements(cell(**asked), cell("mobilenetv2", **asked)) == {}
    # Asked for or not: the seeds of one model begin from the same.
    assert disagreements(cell(**asked), cell(seed=1, **weights("resnet50=none"))) != {}


def test_a_file_of_weights_is_known_by_its_content_and_not_by_its_path() -> None:
    here, there = ({path: digest * 64} for path, digest in (("/a/w.h5", "c"), ("/b/w.h5", "c")))
    ours, theirs = cell(**weights("/a/w.h5"), sources=here), cell(seed=1, **weights("/b/w.h5"), sources=there)
    assert disagreements(ours, theirs) == {}
    changed = cell(seed=1, **weights("/a/w.h5"), sources={"/a/w.h5": "d" * 64})
    assert "a file of SHA-256 cccccccccccc" in disagreements(ours, changed)["Weights before training"]


def test_someones_own_model_is_known_by_its_file() -> None:
    ours, theirs = (cell("mine.py:net", sources={"mine.py:net": digest * 64}) for digest in ("e", "f"))
    assert list(disagreements(ours, theirs)) == ["File of the model"]


def test_long_lists_are_refused_briefly() -> None:
    many = tuple(f"class {number}" for number in range(1000))
    found = disagreements(cell(), cell(seed=1, pictures={"classes": many}))
    assert "class 4, ... (1,000 in all)" in found["Classes"]
    assert len(found["Classes"]) < 200


def test_every_kind_is_used() -> None:
    used = {rule.kind for table in TABLES.values() for rule in table.values()}
    assert used == set(Kind)


def test_what_an_older_version_did_not_record_keeps_no_cells_apart() -> None:
    older = cell("mine.py:net", network={"head": NOT_RECORDED, "stochastic_depth": None})
    newer = cell("mine.py:net", seed=1, network={"stochastic_depth": 0.2}, sources={"mine.py:net": "e" * 64})
    assert disagreements(older, newer) == {}
    other = cell("mine.py:net", seed=1, network={"stochastic_depth": 0.1}, sources={"mine.py:net": "e" * 64})
    assert list(disagreements(newer, other)) == ["Stochastic depth"]
