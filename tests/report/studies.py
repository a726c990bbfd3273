"""Synthetic but realistic study folders, written through the real records."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from photofinish.config import DataSettings, TrainingSettings
from photofinish.data import PreparedData
from photofinish.runs import (
    AuditRecord,
    DataRecord,
    EpochRecord,
    LoadRecord,
    ModelRecord,
    Predictions,
    RunFolder,
    RunRecord,
    StageRecord,
    StepSeconds,
    StudyFolder,
    TimeRecord,
    append_epoch,
)
from photofinish.runs.audits import (
    ClassCount,
    DuplicateGroup,
    Duplicates,
    LabelAudit,
    LabelSuspect,
    Oddity,
    Unreadable,
)
from photofinish.storage import write_json
from photofinish.study.cells import read_cells
from photofinish.study.contact_sheet import write_sheet
from photofinish.study.gallery import choose
from photofinish.study.pictures import store_pictures
from photofinish.study.plan import Plan

VERSIONS = {"python": "3.12.4", "keras": "3.15.1", "jax": "0.10.2", "photofinish": "0.1.0"}
FINGERPRINT = "3f1c" * 16
HARDWARE = {"processor": "Xeon 6975P", "cores": "2", "memory": "16 GB", "accelerator": "none"}
TEN = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")


@dataclass(frozen=True)
class Entrant:
    """A made-up model: how large, fast and good it is, and which seeds fail with which message."""

    name: str
    skill: float
    parameters: int
    macs: int | None
    step_seconds: float
    failures: tuple[tuple[int, str], ...] = ()


RACE = (
    Entrant("efficientnetv2-b0", 2.15, 5_936_882, 15_300_000, 0.181),
    Entrant("resnet50", 1.75, 23_608_202, 83_900_000, 0.402),
    Entrant("mobilenetv2", 1.68, 2_270_794, 6_530_000, 0.094),
)


@dataclass(frozen=True)
class Design:
    """What a synthetic study is made of."""

    entrants: tuple[Entrant, ...] = RACE
    seeds: tuple[int, ...] = (0, 1, 2)
    classes: tuple[str, ...] = TEN
    test: int = 1500
    epochs: int = 12
    skipped: tuple[str, ...] = ()
    name: str = "cifar10"
    seed_spread: float = 0.04
    recipe: str = "notebook"
    stages: int = 1
    sheets: bool = False
    picture_size: int | None = None
    others: float = 0.03


def write_study(path: Path, design: Design | None = None) -> StudyFolder:
    """Write `study.json` and every cell; `results.json` is left to the code under test."""
    design = design or Design()
    folder = StudyFolder(path)
    plan = plan_of(design)
    write_json(folder.plan, plan.model_dump(mode="json", by_alias=True))
    pictures = {split: Pictures.of(design, split) for split in ("validation", "test")}
    for place, entrant in enumerate(design.entrants):
        for seed in design.seeds:
            write_cell(folder, plan, design, (place, entrant, seed), pictures)
    if design.picture_size is not None:
        _, finished = read_cells(folder, plan)
        store_pictures(folder, prepared(design, plan), choose(finished).ids)
    return folder


def prepared(design: Design, plan: Plan) -> PreparedData:
    """Return test pictures as they would lie in the cache: smooth blotches, a different one for every picture."""
    size = design.picture_size or 32
    generator = np.random.default_rng(size)
    coarse = generator.integers(0, 256, (design.test, 6, 6, 3)).astype(np.uint8)
    images = np.stack([np.asarray(Image.fromarray(one).resize((size, size))) for one in coarse])
    labels = Pictures.of(design, "test").labels
    ids = np.array([f"{index:06}" for index in range(design.test)])
    return PreparedData(Path("gone"), plan.data, images, labels, ids, {"test": np.arange(design.test)})


def plan_of(design: Design) -> Plan:
    names = tuple(entrant.name for entrant in design.entrants)
    data = DataRecord(
        name=design.name,
        fingerprint=FINGERPRINT,
        classes=design.classes,
        train=8 * design.test,
        validation=design.test,
        test=design.test,
        stored_size=(32, 32),
        skipped=design.skipped,
    )
    return Plan(
        schema=1,
        models=names,
        seeds=design.seeds,
        recipe=design.recipe,
        backend="jax",
        data_settings=DataSettings(source=design.name),
        training=TrainingSettings(epochs=design.epochs, flip=True, shift=0.1, schedule="cosine", warmup_epochs=0.5),
        data=data,
        versions=VERSIONS,
        hardware=HARDWARE,
        command=f"photofinish compare {' '.join(names)} --data {design.name} --seeds {len(design.seeds)}",
    )


@dataclass(frozen=True)
class Pictures:
    """A split: labels, a difficulty per picture, and what each class looks like to a network."""

    labels: np.ndarray
    noise: np.ndarray
    likeness: np.ndarray

    @classmethod
    def of(cls, design: Design, split: str) -> Pictures:
        count = len(design.classes)
        generator = np.random.default_rng([len(split), count])
        labels = generator.integers(0, count, design.test)
        labels[:count] = np.arange(min(count, design.test))[: len(labels[:count])]
        likeness = generator.normal(0, 0.25, (count, count))
        for first in range(0, count - 1, 2):  # Neighbours look alike, some pairs very much so.
            likeness[first, first + 1] += (1.1, 0.5, 0.2)[first // 2 % 3]
            likeness[first + 1, first] += (0.9, 0.3, 0.3)[first // 2 % 3]
        return cls(labels.astype(np.int32), generator.normal(0, 0.55, (design.test, count)), likeness)

    def predictions(self, skill: float, seed: list[int]) -> Predictions:
        generator = np.random.default_rng(seed)
        count = len(self.likeness)
        own = generator.normal(0, 0.35, self.noise.shape)
        logits = self.noise + own + self.likeness[self.labels]
        logits[np.arange(len(self.labels)), self.labels] += skill
        logits = 3.0 * logits
        ids = np.array([f"{index:06}" for index in range(len(self.labels))])
        assert logits.shape == (len(ids), count)
        return Predictions(ids, self.labels, logits.astype(np.float32))


def write_cell(
    folder: StudyFolder,
    plan: Plan,
    design: Design,
    who: tuple[int, Entrant, int],
    pictures: dict[str, Pictures],
) -> None:
    place, entrant, seed = who
    run = folder.cell(entrant.name, seed)
    settings = next(cell for cell in plan.cells() if (cell.model, cell.seed) == (entrant.name, seed))
    failure = dict(entrant.failures).get(seed)
    if failure is not None:
        RunRecord(status="failed", settings=settings, data=plan.data, error=failure).write(run.record)
        return
    luck = float(np.random.default_rng([place, seed]).normal(0, design.seed_spread))
    final = 0.0
    for split, split_pictures in pictures.items():
        predictions = split_pictures.predictions(entrant.skill + luck, [place, seed, len(split)])
        predictions.write(run.predictions(split))
        final = float(predictions.correct.mean()) if split == "validation" else final
    steps = design.epochs * math.ceil(plan.data.train / plan.training.batch_size)
    train = write_history(run, entrant, design, final, seed)
    record = RunRecord(
        status="finished",
        settings=settings,
        data=plan.data,
        model=ModelRecord(
            parameters=entrant.parameters,
            trainable_parameters=entrant.parameters - 50_000,
            macs=entrant.macs,
            input_scaling="to -1..1" if place else "to 0..1, then ImageNet mean and deviation",
            weights="random",
        ),
        seconds=TimeRecord(
            build=4.1,
            compile=21.5 + place,
            train=train,
            data=0.6,
            validation=9.3,
            reestimate=1.2,
            evaluate=6.6,
            compile_other=3.5,
            warm_up=3 * entrant.step_seconds,
            warm_up_steps=3,
            stall=0.4,
            total=train + 50,
            step=StepSeconds(
                median=entrant.step_seconds, low=0.98 * entrant.step_seconds, high=1.05 * entrant.step_seconds
            ),
        ),
        steps=steps,
        statistics_reestimated=place == 2,
        stages=stages_of(design, train),
        train_images_per_second=32 / entrant.step_seconds,
        inference_images_per_second=150 / entrant.step_seconds,
        peak_memory_bytes=1_900_000_000 + entrant.parameters * 16,
        versions=VERSIONS,
        hardware=HARDWARE,
        load=LoadRecord(cores=2, start=0.2, end=2.4, others=design.others),
    )
    record.write(run.record)
    for stage in range(1, (design.stages if design.sheets else 0) + 1):
        noise = np.random.default_rng(stage).integers(0, 256, (10, 32, 32, 3))
        write_sheet(run.sheet(stage), noise.astype(np.uint8), noise.astype(np.float32))


def stages_of(design: Design, train: float) -> tuple[StageRecord, ...]:
    return tuple(
        StageRecord(
            first_epoch=stage * design.epochs // design.stages + 1,
            last_epoch=(stage + 1) * design.epochs // design.stages,
            image_size=16 + 8 * stage,
            randaugment=5.0 * stage,
            mixup=0.1 * stage,
            cutmix=0.0,
            dropout=0.1 + 0.05 * stage,
            trained_share=1.0,
            train_seconds=train / design.stages,
        )
        for stage in range(design.stages)
    )


def write_history(run: RunFolder, entrant: Entrant, design: Design, final: float, seed: int) -> float:
    """Write `metrics.jsonl` and return its training seconds."""
    generator = np.random.default_rng([len(entrant.name), seed])
    elapsed = 0.0
    chance = 1 / len(design.classes)
    for epoch in range(1, design.epochs + 1):
        spent = entrant.step_seconds * 8 * design.test / 32 * float(generator.normal(1, 0.02))
        elapsed += spent
        progress = (1 - math.exp(-3.2 * epoch / design.epochs)) / (1 - math.exp(-3.2))
        wobble = float(generator.normal(0, 0.02)) * (1 - 0.8 * epoch / design.epochs)
        validation = min(1.0, max(chance, chance + (final - chance) * progress + wobble))
        training = min(1.0, chance + (final - chance) * 1.08 * progress)
        append_epoch(
            run.metrics,
            EpochRecord(
                epoch=epoch,
                train_loss=0.15 + 2.2 * (1 - progress) + 0.3 * (1 - training),
                train_accuracy=training,
                validation_loss=0.3 + 1.9 * (1 - progress) + abs(wobble) * 8,
                validation_accuracy=validation,
                learning_rate=1e-3,
                train_seconds=spent,
                elapsed_seconds=elapsed,
            ),
        )
    return elapsed


def audit_of(name: str, fingerprint: str = FINGERPRINT) -> AuditRecord:
    """An audit that found something of everything, with `name` wherever names stand."""
    group = DuplicateGroup(
        kind="near", size=9, ids=(name, "train/cat/1.jpg"), splits=("train", "test"), labels=("cat", name),
        same_bytes=None, distance=6, similarity=0.91, mirrored=True, labels_agree=False, across_splits=True,
    )  # fmt: skip
    duplicates = Duplicates(
        exact_groups=0, near_groups=1, repeated=8, across_splits=1, disagreeing=1, groups=(group,),
        leaked_test=(name, "000001"), leaked_validation=("c",), near_search="complete", resembling_share=0.0,
    )  # fmt: skip
    suspect = LabelSuspect(
        id=name, split="train", label=name, suggested="cat", self_confidence=0.01, suggested_confidence=0.9
    )
    return AuditRecord(
        name=name,
        fingerprint=fingerprint,
        pictures=120,
        classes=(
            ClassCount(name="cat", train=60, validation=10, test=10),
            ClassCount(name=name, train=20, validation=10, test=8),
        ),
        imbalance={"train": 3.0, "validation": 1.0, "test": None},
        duplicates=duplicates,
        unreadable=(Unreadable(id=name, reason="the file is empty"), Unreadable(id="z.jpg", reason="not a picture")),
        refused="mend the data set",
        oddities=(Oddity(name="grey", explanation="grey, in a set most of which is not", count=7, ids=(name,)),),
        tolerated_share=0.05,
        labels=LabelAudit(
            judge="features of efficientnetv2-b0 at 96 pixels", pictures=118, accuracy=0.8, estimated_share=0.05,
            count=3, suspects=(suspect,),
        ),
    )  # fmt: skip
