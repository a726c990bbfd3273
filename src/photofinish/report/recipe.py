"""How a study was run, as tables of names and values: recipe, data, software and machine."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from photofinish.config import DataSettings, Ramp, TrainingSettings
from photofinish.report.material import Material
from photofinish.report.tables import Column, Field, Table
from photofinish.study.plan import Plan

_TRAINED = {
    "all": "the whole network",
    "head": "the head, on features of the frozen network computed once",
    "gradual": "the head first, then more and more of the network from the top",
}
_YES_NO = {True: "yes", False: "no"}


def _falling(training: TrainingSettings) -> str:
    """Say how the learning rate falls from part to part, whether that was asked for or follows from `train`."""
    if training.train == "head":
        return "one part only"
    return "the same" if training.layer_decay_used == 1 else f"x {training.layer_decay_used:g}"


def _at_once(training: TrainingSettings) -> str:
    """Say in how many passes a step is taken, and over which pictures BatchNormalization takes its statistics."""
    if training.passes == 1:
        return "the whole batch"
    return (
        f"{training.pictures_at_once}, in {training.passes} passes a step; BatchNormalization takes its statistics "
        f"over {training.pictures_at_once} pictures"
    )


TRAINING_WORDS: dict[str, tuple[str, Callable[[TrainingSettings], str]]] = {
    "epochs": ("Epochs", lambda training: "as many as the steps make" if training.steps else str(training.epochs)),
    "steps": ("Steps", lambda training: f"{training.steps:,}" if training.steps else "as many as the epochs have"),
    "batch_size": ("Batch size", lambda training: f"{training.batch_size} pictures"),
    "micro_batch_size": ("Pictures at once", _at_once),
    "train": ("Trained", lambda training: _TRAINED[training.train]),
    "layer_decay": (
        "Learning rate from part to part downwards",
        _falling,
    ),
    "optimizer": ("Optimiser", lambda training: training.optimizer),
    "learning_rate": ("Peak learning rate", lambda training: f"{training.learning_rate:g}"),
    "schedule": ("Schedule", lambda training: training.schedule),
    "warmup_epochs": ("Warm-up", lambda training: _epochs(training.warmup_epochs)),
    "weight_decay": ("Weight decay", lambda training: f"{training.weight_decay:g}"),
    "label_smoothing": ("Label smoothing", lambda training: f"{training.label_smoothing:g}"),
    "ema_decay": ("Moving average of the weights", lambda training: _or_none(training.ema_decay)),
    "precision": ("Precision", lambda training: training.precision),
    "stages": ("Stages of progressive learning", lambda training: str(training.stages)),
    "training_size": (
        "Image size in training",
        lambda training: "as in evaluation" if training.training_size is None else _over_stages(training.training_size),
    ),
    "flip": ("Mirrored left to right", lambda training: "half of the pictures" if training.flip else "no"),
    "shift": ("Shifted", lambda training: f"by up to {training.shift:.0%}" if training.shift else "no"),
    "crop": (
        "Random crops",
        lambda training: "no" if training.crop == 1 else f"of {training.crop:.0%} to 100% of the area",
    ),
    "randaugment": ("RandAugment, magnitude", lambda training: _over_stages(training.randaugment)),
    "cutout": ("Cutout", lambda training: f"{training.cutout:.0%} of the side" if training.cutout else "no"),
    "mixup": ("mixup, Beta parameter", lambda training: _over_stages(training.mixup)),
    "cutmix": ("CutMix, Beta parameter", lambda training: _over_stages(training.cutmix)),
    "batch_normalization_momentum": (
        "BatchNormalization momentum",
        lambda training: f"{training.batch_normalization_momentum:g}, in every model",
    ),
    "reestimate_statistics": (
        "BatchNormalization averages estimated anew",
        lambda training: training.reestimate_statistics,
    ),
    "weights": ("Weights before training", lambda training: training.weights or "random"),
    "head_units": ("Hidden layer before the classifier", lambda training: _or_none(training.head_units)),
    "dropout": (
        "Dropout before the classifier",
        lambda training: _over_stages(training.dropout),
    ),
    "on_nonfinite": (
        "After a step that is not finite",
        lambda training: "stop" if training.on_nonfinite == "stop" else "leave it out, halve the learning rate",
    ),
}
"""Every training setting with its label and its value in words; a test holds this against the settings."""

DATA_WORDS: dict[str, tuple[str, Callable[[DataSettings], str]]] = {
    "source": ("Source", lambda data: data.source),
    "image_size": (
        "Image size seen by the models",
        lambda data: f"{data.image_size} x {data.image_size} pixels",
    ),
    "validation_fraction": (
        "Set aside for validation",
        lambda data: f"{data.validation_fraction:.0%}, unless given",
    ),
    "test_fraction": ("Set aside for testing", lambda data: f"{data.test_fraction:.0%}, unless given"),
    "limit_train": ("Limit on training pictures", lambda data: _or_none(data.limit_train)),
    "limit_test": ("Limit on test pictures", lambda data: _or_none(data.limit_test)),
    "limit_mode": ("Limited by", lambda data: data.limit_mode),
    "split_seed": ("Seed of the split", lambda data: str(data.split_seed)),
    "skip_unreadable": ("Leave out unreadable pictures", lambda data: _YES_NO[data.skip_unreadable]),
}
"""Every data setting likewise."""


def recipe_table(material: Material) -> Table:
    """Return every setting of the training."""
    plan = material.plan
    rows = [
        ("Recipe", plan.recipe),
        ("Seeds", ", ".join(map(str, plan.seeds))),
        *([("Epochs that the steps make", str(_whole_epochs(plan)))] if plan.training.steps else []),
        ("Backend", plan.backend),
        *((label, value(plan.training)) for label, value in TRAINING_WORDS.values()),
    ]
    return _of_pairs("Recipe: the same for every model, unless listed as not equal.", rows)


def data_table(material: Material) -> Table:
    """Return what the pictures were and how they were divided."""
    data = material.plan.data
    height, width = data.stored_size
    rows = [
        ("Name", data.name),
        ("Fingerprint", data.fingerprint),
        ("Classes", str(len(data.classes))),
        ("Training pictures", f"{data.train:,}"),
        ("Validation pictures", f"{data.validation:,}"),
        ("Test pictures", f"{data.test:,}"),
        ("Stored size", f"{height} x {width} pixels"),
        ("Left out", f"{len(data.skipped):,}" if data.skipped else "none"),
        *((label, value(material.plan.data_settings)) for label, value in DATA_WORDS.values()),
    ]
    return _of_pairs("Data: every model saw the same split.", rows)


def environment_table(material: Material) -> Table:
    """Return the software and the machine."""
    plan = material.plan
    rows = [*plan.hardware.items(), *plan.versions.items()]
    if plan.joined:
        rows = [
            (f"{study.name}: {name}", value)
            for study in plan.joined
            for name, value in (*study.hardware.items(), *study.versions.items())
        ]
    return _of_pairs("Machine and software when the study was planned.", rows)


def _of_pairs(caption: str, rows: Iterable[tuple[str, str]]) -> Table:
    columns = (Column("Name", number=False), Column("Value", number=False))
    return Table(caption, columns, tuple((Field(name), Field(value)) for name, value in rows), "study.json")


def _whole_epochs(plan: Plan) -> int:
    return plan.training.for_pictures(plan.data.train).epochs


def _epochs(count: float) -> str:
    return f"{count:g} epochs" if count else "none"


def _over_stages(ramp: Ramp) -> str:
    """Write a range in words."""
    if ramp.is_constant:
        return f"{ramp.last:g}" if ramp.last else "none"
    return f"{ramp.first:g} in the first stage to {ramp.last:g} in the last"


def _or_none(value: float | None) -> str:
    return "none" if value is None else f"{value:g}"
