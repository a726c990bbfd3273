"""The audit of a whole source: what it finds, and that nothing short of an empty set stops it."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from photofinish.config import DataSettings
from photofinish.data import prepare
from photofinish.data.audit import audit_prepared, audit_source
from photofinish.data.sources import read_source
from photofinish.errors import DataError
from photofinish.runs import AuditRecord
from photofinish.storage.progress import silent

Photograph = Callable[..., NDArray[np.uint8]]
CLASSES = ("cat", "dog", "hen")


@pytest.fixture
def album(tmp_path: Path, photograph: Photograph) -> Path:
    """Ten training and four test pictures of each of three classes, none twice."""
    root = tmp_path / "album"
    number = 0
    for part, count in (("train", 10), ("test", 4)):
        for name in CLASSES:
            (root / part / name).mkdir(parents=True)
            for index in range(count):
                Image.fromarray(photograph(number, 64)).save(root / part / name / f"{index}.png")
                number += 1
    return root


def audited(album: Path, tmp_path: Path, **settings: Any) -> AuditRecord:
    wanted = DataSettings.of({"source": str(album), "image_size": 64, **settings})
    return audit_source(wanted, cache=tmp_path / "cache").record


def saved(album: Path, source: str, target: str, **options: Any) -> None:
    Image.open(album / source).save(album / target, **options)


def test_a_clean_set_has_no_findings_but_its_counts(album: Path, tmp_path: Path) -> None:
    record = audited(album, tmp_path)
    assert (record.pictures, record.unreadable, record.refused, record.oddities) == (42, (), None, ())
    assert record.duplicates.groups == ()
    assert record.duplicates.near_search == "complete"
    assert [(one.name, one.train + one.validation, one.test) for one in record.classes] == [
        (name, 10, 4) for name in CLASSES
    ]
    assert record.imbalance == {"train": 1, "validation": 1, "test": 1}


def test_a_copy_in_the_test_part_is_leaked_and_its_other_class_noted(album: Path, tmp_path: Path) -> None:
    shutil.copy(album / "train/cat/3.png", album / "test/dog/copy.png")
    found = audited(album, tmp_path).duplicates
    (group,) = found.groups
    assert (group.kind, group.same_bytes, group.across_splits, group.labels_agree) == ("exact", True, True, False)
    assert set(group.ids) == {"train/cat/3.png", "test/dog/copy.png"}
    assert found.disagreeing == 1


def test_the_same_pixels_in_another_format_are_exact_and_not_the_same_bytes(album: Path, tmp_path: Path) -> None:
    saved(album, "train/cat/3.png", "train/cat/copy.bmp")
    (group,) = audited(album, tmp_path).duplicates.groups
    assert (group.kind, group.same_bytes) == ("exact", False)


def test_a_recompressed_picture_in_the_test_part_is_a_near_duplicate(album: Path, tmp_path: Path) -> None:
    for number in range(10):
        saved(album, f"train/cat/{number}.png", f"test/cat/again{number}.jpg", quality=60)
    record = audited(album, tmp_path, validation_fraction=0.1)
    # One of the ten validates, so that its copy was not trained on.
    assert len(record.duplicates.leaked_test) == 9
    assert record.duplicates.near_groups == 10
    assert all(group.kind == "near" and group.labels_agree for group in record.duplicates.groups)


def test_more_unreadable_pictures_than_training_would_take_do_not_stop_the_audit(album: Path, tmp_path: Path) -> None:
    content = (album / "train/cat/3.png").read_bytes()
    (album / "train/cat/truncated.png").write_bytes(content[: len(content) // 2])
    (album / "train/dog/empty.jpg").write_bytes(b"")
    (album / "train/hen/text.jpg").write_text("<html>404</html>")
    record = audited(album, tmp_path)
    reasons = {one.id: one.reason for one in record.unreadable}
    assert reasons["train/dog/empty.jpg"] == "the file is empty"
    assert reasons["train/hen/text.jpg"] == "not a picture"
    assert "train/cat/truncated.png" in reasons
    assert record.pictures == 45
    assert record.refused is not None
    assert "3 of 45 pictures do not, more than 5%" in record.refused
    assert sum(one.train + one.validation for one in record.classes) == 30


def test_what_the_audit_says_of_a_refusal_is_what_preparation_says(album: Path, tmp_path: Path) -> None:
    (album / "train/dog/empty.jpg").write_bytes(b"")
    settings = DataSettings(source=str(album), image_size=64)
    with pytest.raises(DataError) as caught:
        prepare(settings, cache=tmp_path / "cache")
    assert audited(album, tmp_path).refused == str(caught.value)
    assert audited(album, tmp_path, skip_unreadable=True).refused is None


def test_a_class_that_loses_its_only_pictures_is_what_training_would_be_refused_for(
    album: Path, tmp_path: Path
) -> None:
    for path in (album / "test/hen").iterdir():
        path.write_bytes(b"")
    for part in ("train", "test"):
        for number in range(40):
            saved(album, "train/cat/3.png", f"{part}/cat/more{number}.png", pnginfo=None)
    record = audited(album, tmp_path, skip_unreadable=True)
    assert record.imbalance["test"] is None
    assert record.refused is not None
    assert "class 'hen' has no picture in the test split" in record.refused


def test_pictures_that_cannot_be_divided_are_audited_all_the_same(tmp_path: Path, photograph: Photograph) -> None:
    root = tmp_path / "album"
    for number, name in enumerate(["cat", "cat", "dog"]):
        (root / name).mkdir(parents=True, exist_ok=True)
        Image.fromarray(photograph(number, 64)).save(root / name / f"{number}.png")
    record = audited(root, tmp_path)
    assert record.pictures == 3
    assert record.refused is not None
    assert "class 'cat' has too few pictures" in record.refused or "class 'dog'" in record.refused


def test_a_set_of_which_nothing_decodes_is_refused(tmp_path: Path) -> None:
    for name in ("cat", "dog"):
        (tmp_path / "album" / name).mkdir(parents=True)
        for number in range(5):
            (tmp_path / "album" / name / f"{number}.jpg").write_bytes(b"no picture")
    with pytest.raises(DataError, match="none of its 10 pictures decodes"):
        audited(tmp_path / "album", tmp_path)


def test_uneven_classes_are_counted(album: Path, tmp_path: Path, photograph: Photograph) -> None:
    for number in range(40):
        Image.fromarray(photograph(100 + number, 64)).save(album / f"train/hen/more{number}.png")
    record = audited(album, tmp_path)
    assert record.imbalance["train"] == pytest.approx(5)
    assert record.imbalance["test"] == 1


def test_a_limit_limits_what_is_looked_at(album: Path, tmp_path: Path) -> None:
    record = audited(album, tmp_path, limit_train=12, limit_test=6)
    assert record.pictures == 18


def test_digits_have_no_files_and_are_too_much_alike_for_near_duplicates(tmp_path: Path) -> None:
    record = audit_source(DataSettings(), cache=tmp_path).record
    assert record.pictures == 1797
    assert record.duplicates.near_search.startswith("not made: ")
    assert record.duplicates.resembling_share > 0.2
    assert record.duplicates.groups == ()


def test_nothing_is_left_in_the_cache_but_hashes(album: Path, tmp_path: Path) -> None:
    audited(album, tmp_path)
    assert [path.parent.name for path in (tmp_path / "cache").rglob("*") if path.is_file()] == ["index"]


def test_prepared_pictures_have_the_duplicates_of_their_source(album: Path, tmp_path: Path) -> None:
    shutil.copy(album / "train/cat/3.png", album / "test/cat/copy.png")
    saved(album, "train/dog/5.png", "test/dog/again.jpg", quality=60)
    (album / "train/hen/empty.jpg").write_bytes(b"")
    settings = DataSettings(source=str(album), image_size=64, skip_unreadable=True)
    source = audit_source(settings, cache=tmp_path / "cache").record
    data = prepare(settings, cache=tmp_path / "cache")
    record = audit_prepared(data)
    assert record.fingerprint == data.record.fingerprint
    assert (record.classes, record.imbalance, record.unreadable) == (
        source.classes,
        source.imbalance,
        source.unreadable,
    )
    known = [group.model_copy(update={"same_bytes": None}) for group in source.duplicates.groups]
    assert list(record.duplicates.groups) == known
    assert (record.duplicates.exact_groups, record.duplicates.near_groups) == (1, 1)
    assert record.duplicates.leaked_test == source.duplicates.leaked_test


def test_a_file_that_is_gone_since_it_was_prepared_is_named(album: Path, tmp_path: Path) -> None:
    data = prepare(DataSettings(source=str(album), image_size=64), cache=tmp_path / "cache")
    (album / "train/cat/3.png").unlink()
    listing = read_source(str(album), tmp_path / "cache", silent)
    with pytest.raises(DataError, match=r"train/cat/3\.png is gone; start again"):
        audit_prepared(data, listing)


def test_of_prepared_pictures_only_those_in_use_are_looked_at(album: Path, tmp_path: Path) -> None:
    settings = DataSettings(source=str(album), image_size=64)
    whole = prepare(settings, cache=tmp_path / "cache")
    part = prepare(settings.but(limit_train=12), cache=tmp_path / "cache")
    assert audit_prepared(whole).pictures == 42
    assert audit_prepared(part).pictures == 24


def test_a_record_survives_writing_and_reading(album: Path, tmp_path: Path) -> None:
    shutil.copy(album / "train/cat/3.png", album / "test/cat/copy.png")
    record = audited(album, tmp_path)
    record.write(tmp_path / "audit.json")
    assert AuditRecord.read(tmp_path / "audit.json") == record
