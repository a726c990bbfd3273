"""The audit of pictures: its cost, what it finds of changed copies and of planted label errors, and its search alone.

Command: `python benchmarks/audit.py --data FOLDER [--part PART ...] [--weights FILE] [--sheets FOLDER]`

Without `--part` it runs `set`, `study`, `changes` and `pairs`.

FOLDER holds CIFAR-10 as pictures (`train/<class>/`, `test/<class>/`), FILE the weights of EfficientNetV2-B0 without
its head.
    set       audits FOLDER with an empty cache: seconds, peak memory, what was found
    study     the same as every study does it, of prepared pictures
    features  the same with features of the network at 96 pixels
    pairs     for each test picture with a near duplicate in training the most similar one; with --sheets also contact
              sheets of them in that order, the most doubtful first, to be looked at
    changes   changes 2,000 pictures of FOLDER and counts which are still found among 4,000
    labels    gives 2% and 5% of 10,000 pictures a wrong label and counts which are suspected
    million   searches a million random hashes among themselves, 2,000 of them planted near others
Writes `benchmarks/results/<date>-audit-<part>.json`.
"""

from __future__ import annotations

import argparse
import io
import os
import resource
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw
from saving import save

from photofinish.config import DataSettings
from photofinish.data import prepare
from photofinish.data.audit import audit_prepared, audit_source
from photofinish.data.audit.duplicates import near_duplicates
from photofinish.data.audit.neighbours import HashIndex
from photofinish.data.audit.perceptual import thumbnail
from photofinish.data.decode import decode
from photofinish.data.sources import read_source
from photofinish.runs import AuditRecord
from photofinish.storage import cache_folder
from photofinish.storage.progress import silent

MODEL, SIZE = "efficientnetv2-b0", 96
MILLION, PLANTED = 1_000_000, 2000
SHOWN_SUSPECTS = 60
TILE, COLUMNS, ROWS = 80, 10, 12


def set_(arguments: argparse.Namespace) -> list[dict[str, object]]:
    """Audit the folder without a network."""
    start, cpu = time.perf_counter(), time.process_time()
    # Every training picture in training: that is the question others have asked of CIFAR-10.
    record = audit_source(DataSettings(source=arguments.data, image_size=32, validation_fraction=0.0001)).record
    return [_row(record, start, cpu)]


def study(arguments: argparse.Namespace) -> list[dict[str, object]]:
    """Audit the folder as a study does, when its pictures have been prepared."""
    settings = DataSettings(source=arguments.data, image_size=32)
    data, listing = prepare(settings), read_source(arguments.data, cache_folder(), silent)
    start, cpu = time.perf_counter(), time.process_time()
    return [_row(audit_prepared(data, listing), start, cpu)]


def features(arguments: argparse.Namespace) -> list[dict[str, object]]:
    """Audit the folder with a network's features."""
    from photofinish.study.audit import Network, audit

    start, cpu = time.perf_counter(), time.process_time()
    wanted = DataSettings(source=arguments.data, image_size=SIZE, validation_fraction=0.0001)
    record = audit(wanted, Network(MODEL, arguments.weights))
    suspects = [one.model_dump() for one in record.labels.suspects[:SHOWN_SUSPECTS]]
    judged = record.labels.model_dump(exclude={"suspects", "weights"})
    return [_row(record, start, cpu) | {"labels": judged, "first_suspects": suspects}]


def _row(record: AuditRecord, start: float, cpu: float) -> dict[str, object]:
    found = record.duplicates
    row = {
        "pictures": record.pictures,
        "seconds": time.perf_counter() - start,
        "processor_seconds": time.process_time() - cpu,
        "peak_memory_bytes": 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss,
        "exact_groups": found.exact_groups,
        "near_groups": found.near_groups,
        "across_splits": found.across_splits,
        "disagreeing": found.disagreeing,
        "repeated": found.repeated,
        "leaked_test": len(found.leaked_test),
        "leaked_validation": len(found.leaked_validation),
        "test": sum(one.test for one in record.classes),
        "resembling_share": found.resembling_share,
    }
    print(row, flush=True)
    return row


def pairs(arguments: argparse.Namespace) -> list[dict[str, object]]:
    """Find the training picture that is most like each leaked test picture."""
    names = [path for part in ("train", "test") for path in sorted(Path(arguments.data, part).glob("*/*"))]
    pictures = [decode(path.read_bytes()) for path in names]
    in_test = np.array([path.parent.parent.name == "test" for path in names])
    small = np.stack([thumbnail(picture) for picture in pictures])
    found = near_duplicates(small, np.arange(len(small)), np.where(in_test, 2, 0).astype(np.int8), silent)
    across = np.flatnonzero(~in_test[found.first] & in_test[found.second])
    across = across[np.lexsort((-found.similarity[across], found.second[across]))]
    best = across[np.unique(found.second[across], return_index=True)[1]]
    best = best[np.argsort(found.similarity[best], kind="stable")]
    if arguments.sheets:
        for number, start in enumerate(range(0, len(best), COLUMNS * ROWS)):
            part = [
                (pictures[found.first[one]], pictures[found.second[one]])
                for one in best[start : start + COLUMNS * ROWS]
            ]
            _sheet(part, start).save(Path(arguments.sheets) / f"pairs-{number}.png")
    return [
        {
            "number": number,
            "train": names[found.first[one]].relative_to(arguments.data).as_posix(),
            "test": names[found.second[one]].relative_to(arguments.data).as_posix(),
            "similarity": round(float(found.similarity[one]), 3),
            "distance": int(found.distance[one]),
            "mirrored": bool(found.mirrored[one]),
        }
        for number, one in enumerate(best.tolist())
    ]


def _sheet(pictures: list[tuple[np.ndarray, np.ndarray]], first: int) -> Image.Image:
    sheet = Image.new("RGB", (COLUMNS * (2 * TILE + 10), ROWS * (TILE + 16)), "white")
    for number, pair in enumerate(pictures):
        down, right = divmod(number, COLUMNS)
        corner = (right * (2 * TILE + 10), down * (TILE + 16))
        for side, picture in enumerate(pair):
            tile = Image.fromarray(picture).resize((TILE, TILE), Image.Resampling.BICUBIC)
            sheet.paste(tile, (corner[0] + side * TILE, corner[1]))
        ImageDraw.Draw(sheet).text((corner[0], corner[1] + TILE + 1), str(first + number), fill="black")
    return sheet


def _changes() -> dict[str, Callable[[np.ndarray], np.ndarray]]:
    def jpeg(quality: int) -> Callable[[np.ndarray], np.ndarray]:
        def change(picture: np.ndarray) -> np.ndarray:
            file = io.BytesIO()
            Image.fromarray(picture).save(file, "JPEG", quality=quality)
            return decode(file.getvalue())

        return change

    def cropped(pixels: int) -> Callable[[np.ndarray], np.ndarray]:
        return lambda picture: np.ascontiguousarray(picture[pixels:-pixels, pixels:-pixels])

    def moved(pixels: int) -> Callable[[np.ndarray], np.ndarray]:
        return lambda picture: np.ascontiguousarray(picture[pixels:, pixels:])

    def resized(side: int) -> Callable[[np.ndarray], np.ndarray]:
        return lambda picture: np.asarray(Image.fromarray(picture).resize((side, side), Image.Resampling.BICUBIC))

    return {
        "JPEG, quality 60": jpeg(60),
        "JPEG, quality 20": jpeg(20),
        "enlarged to 128 pixels": resized(128),
        "reduced to 20 pixels": resized(20),
        "brighter by 40": lambda picture: np.clip(picture.astype(int) + 40, 0, 255).astype(np.uint8),
        "half the contrast": lambda picture: (picture * 0.5 + 60).astype(np.uint8),
        "grey": lambda picture: np.asarray(Image.fromarray(picture).convert("L").convert("RGB")),
        "1 pixel of 32 cropped off each side": cropped(1),
        "2 pixels of 32 cropped off each side": cropped(2),
        "4 pixels of 32 cropped off each side": cropped(4),
        "2 pixels of 32 cropped off two sides": moved(2),
        "mirrored": lambda picture: np.ascontiguousarray(picture[:, ::-1]),
        "turned by 90 degrees": lambda picture: np.ascontiguousarray(np.rot90(picture)),
        "nothing: others of the same class": lambda picture: picture,
    }


def changes(arguments: argparse.Namespace) -> list[dict[str, object]]:
    """Count which changed copies are found."""
    names = sorted(Path(arguments.data, "train").glob("*/*"))
    chosen = np.random.default_rng(0).permutation(len(names))[:4000]
    pictures = [decode(names[place].read_bytes()) for place in chosen]
    # What is alike without any change is not to be counted as found.
    small = np.stack([thumbnail(picture) for picture in pictures])
    alone = near_duplicates(small, np.arange(4000), np.zeros(4000, np.int8), silent)
    rows = []
    for name, change in _changes().items():
        if name.startswith("nothing"):
            rows.append({"change": name, "pairs_found_among_4000": len(alone)})
            continue
        copies = np.stack([thumbnail(change(picture)) for picture in pictures[:2000]])
        both = np.concatenate([small, copies])
        pairs = near_duplicates(both, np.arange(len(both)), np.zeros(len(both), np.int8), silent)
        own = (pairs.second - pairs.first == 4000) & (pairs.second >= 4000)
        rows.append(
            {
                "change": name,
                "found": float(own.sum() / 2000),
                "similarity": float(np.median(pairs.similarity[own])) if own.any() else None,
            }
        )
        print(rows[-1], flush=True)
    return rows


def labels(arguments: argparse.Namespace) -> list[dict[str, object]]:
    """Count which planted label errors are found."""
    from photofinish.evaluation.label_errors import find_label_errors
    from photofinish.evaluation.out_of_sample import folds_of, out_of_sample_probabilities
    from photofinish.study.audit import FOLDS, Network, _Asked

    wanted = DataSettings.of({"source": arguments.data, "image_size": SIZE, "limit_train": 8000, "limit_test": 2000})
    asked = _Asked(wanted, Network(MODEL, arguments.weights), silent)
    asked.check()
    found, true = asked.features, np.asarray(asked.data.labels)
    count, rows = len(true), []
    for share in (0.02, 0.05):
        generator = np.random.default_rng(1)
        wrong = generator.permutation(count)[: round(share * count)]
        given = true.copy()
        given[wrong] = (given[wrong] + generator.integers(1, 10, len(wrong))) % 10
        start = time.perf_counter()
        probabilities = out_of_sample_probabilities(found, given, folds_of(given, np.arange(count), FOLDS), 10)
        errors = find_label_errors(given, probabilities)
        hits = np.isin(errors.suspects, wrong)
        rows.append(
            {
                "pictures": count, "planted": len(wrong), "suspects": len(hits),
                "accuracy_of_the_judge": float((probabilities.argmax(axis=1) == true).mean()),
                "precision": float(hits.mean()), "recall": float(hits.sum() / len(wrong)),
                **{f"precision_of_the_first_{top}": float(hits[:top].mean()) for top in (50, 100, 200)},
                "estimated_share": errors.estimated_share, "seconds": time.perf_counter() - start,
            }
        )  # fmt: skip
        print(rows[-1], flush=True)
    return rows


def million(_: argparse.Namespace) -> list[dict[str, object]]:
    """Search a million hashes among themselves."""
    rows = []
    for distance in (8, 10):
        generator = np.random.default_rng(0)
        hashes = generator.integers(0, 2**64, MILLION, dtype=np.uint64)
        sources = generator.permutation(MILLION // 2)[:PLANTED]
        planted = MILLION // 2 + np.arange(PLANTED)
        for source, place, bits in zip(sources, planted, np.arange(PLANTED) % (distance + 1), strict=True):
            flips = sum(1 << int(bit) for bit in generator.permutation(64)[:bits])
            hashes[place] = hashes[source] ^ np.uint64(flips)
        start, cpu = time.perf_counter(), time.process_time()
        index = HashIndex(hashes, distance)
        built = time.perf_counter() - start
        found = set()
        for queries, items, _distances in index.near(hashes):
            later = items > queries
            found |= set(zip(queries[later].tolist(), items[later].tolist(), strict=True))
        missed = sum(
            (source, place) not in found for source, place in zip(sources.tolist(), planted.tolist(), strict=True)
        )
        rows.append(
            {
                "hashes": MILLION, "distance": distance, "planted": PLANTED, "missed": missed, "pairs": len(found),
                "seconds_to_build": built, "seconds": time.perf_counter() - start,
                "processor_seconds": time.process_time() - cpu,
                "peak_memory_bytes": 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss,
            }
        )  # fmt: skip
        print(rows[-1], flush=True)
    return rows


PARTS = {part.__name__.rstrip("_"): part for part in (set_, study, features, pairs, changes, labels, million)}

# The set first: later parts only add to the peak of memory.
DEFAULT_PARTS = ("set", "study", "changes", "pairs")


def main() -> None:
    """Run the parts asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--part", choices=PARTS, action="append")
    parser.add_argument("--data")
    parser.add_argument("--weights")
    parser.add_argument("--sheets")
    arguments = parser.parse_args()
    for name in arguments.part or DEFAULT_PARTS:
        with tempfile.TemporaryDirectory() as folder:
            os.environ["PHOTOFINISH_CACHE"] = folder
            print(save(f"audit-{name}", {"rows": PARTS[name](arguments)}))


if __name__ == "__main__":
    main()
