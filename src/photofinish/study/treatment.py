"""What every cell of a report must have in common, what belongs to a network, and what may differ but is said.

Every setting and every recorded fact has its place in one of the tables; a test holds them against the records, so that
a new setting cannot be forgotten.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

from photofinish.config import is_custom, weights_by_model, weights_for
from photofinish.config.names import OWN
from photofinish.runs import RunRecord

NOT_RECORDED = "not recorded"
MOST_NAMED = 5


class Kind(Enum):
    """What may become of a value from cell to cell.

    Attributes:
        EQUAL: It may not differ. A model's own head is the one exception: it cannot be another.
        ASKED: It may differ between models where each was given its own (`--weights MODEL=WEIGHTS,...`).
        NETWORK: It belongs to the network: it may differ between models, and not between the seeds of one.
        FREE: It may differ.
        NAME: It says which cell this is or where something lies, and is not compared.
        GROUP: It holds others, which have a table of their own.
    """

    EQUAL = "may not differ"
    ASKED = "may differ where asked for"
    NETWORK = "belongs to the network"
    FREE = "may differ"
    NAME = "says which cell"
    GROUP = "holds others"


@dataclass(frozen=True)
class Rule:
    """How a value is treated.

    Attributes:
        kind: Whether it may differ.
        label: What it is called; None makes its name readable.
        listed: Whether the report lists a difference under "Not equal". What is in its tables anyway is not.
    """

    kind: Kind
    label: str | None = None
    listed: bool = True


_EQUAL, _FREE, _NAME, _GROUP = Rule(Kind.EQUAL), Rule(Kind.FREE), Rule(Kind.NAME), Rule(Kind.GROUP)
_IN_TABLES = Rule(Kind.NETWORK, listed=False)

# How pictures were chosen and divided is in the fingerprint: other words for the same pictures and parts may be used.
DATA_SETTINGS: dict[str, Rule] = {
    "source": _NAME,
    "image_size": _EQUAL,
    "validation_fraction": _FREE,
    "test_fraction": _FREE,
    "limit_train": _FREE,
    "limit_test": _FREE,
    "limit_mode": _FREE,
    "split_seed": _FREE,
    "skip_unreadable": _FREE,
}
TRAINING_SETTINGS: dict[str, Rule] = {
    "epochs": _EQUAL,
    "steps": Rule(Kind.EQUAL, "Steps asked for"),
    "batch_size": _EQUAL,
    # BatchNormalization takes its statistics over it.
    "micro_batch_size": _EQUAL,
    "train": Rule(Kind.EQUAL, "Trained part"),
    "layer_decay": _EQUAL,
    "optimizer": _EQUAL,
    "learning_rate": _EQUAL,
    "schedule": _EQUAL,
    "warmup_epochs": _EQUAL,
    "weight_decay": _EQUAL,
    "label_smoothing": _EQUAL,
    "ema_decay": _EQUAL,
    "precision": _EQUAL,
    "stages": _EQUAL,
    "training_size": _EQUAL,
    "flip": _EQUAL,
    "shift": _EQUAL,
    "crop": _EQUAL,
    "randaugment": _EQUAL,
    "cutout": _EQUAL,
    "mixup": _EQUAL,
    "cutmix": _EQUAL,
    "batch_normalization_momentum": _EQUAL,
    "reestimate_statistics": _EQUAL,
    # What the weights were is recorded with the model; which were asked for does not say as much.
    "weights": Rule(Kind.ASKED, "Weights asked for", listed=False),
    "head_units": _EQUAL,
    "dropout": _EQUAL,
    "on_nonfinite": _EQUAL,
}
CELL_SETTINGS: dict[str, Rule] = {
    "model": _NAME,
    "seed": _NAME,
    "backend": _FREE,
    "data": _GROUP,
    "training": _GROUP,
}
MODEL_RECORD: dict[str, Rule] = {
    "parameters": _IN_TABLES,
    "trainable_parameters": _IN_TABLES,
    "macs": _IN_TABLES,
    # Every network scales pictures of 0-255 itself, each as its weights expect it.
    "input_scaling": Rule(Kind.NETWORK),
    "weights": Rule(Kind.ASKED, "Weights before training"),
    "head": _EQUAL,
    "stochastic_depth": Rule(Kind.NETWORK),
}
DATA_RECORD: dict[str, Rule] = {
    "name": _NAME,
    "fingerprint": Rule(Kind.EQUAL, "Data fingerprint"),
    "classes": _EQUAL,
    "train": Rule(Kind.EQUAL, "Training pictures"),
    "validation": Rule(Kind.EQUAL, "Validation pictures"),
    "test": Rule(Kind.EQUAL, "Test pictures"),
    "stored_size": _EQUAL,
    "skipped": Rule(Kind.EQUAL, "Pictures left out"),
    "repeated_across_splits": Rule(Kind.FREE, listed=False),
}
RUN_RECORD: dict[str, Rule] = {
    "steps": Rule(Kind.EQUAL, "Training steps"),
    "statistics_reestimated": Rule(Kind.FREE, "Statistics of BatchNormalization re-estimated"),
    "statistics_unfolded": Rule(Kind.NETWORK, "Folded BatchNormalization given statistics"),
    "rate_halvings": Rule(Kind.FREE, "Halvings of the learning rate after steps that were not finite"),
}
"""Of a run's record what is neither another record nor a result."""


@dataclass(frozen=True)
class Fact:
    """A value of a cell with its rule and its label."""

    label: str
    rule: Rule
    value: object


@dataclass(frozen=True)
class Treated:
    """A finished cell as the rules see it.

    Attributes:
        name: The cell in words, with its study where there are several.
        run: What it wrote down.
        sources: SHA-256 of files that decide what models are, as its study knows them.
    """

    name: str
    run: RunRecord
    sources: Mapping[str, str]


def facts_of(run: RunRecord, sources: Mapping[str, str] | None = None) -> Iterator[Fact]:
    """Yield everything that the tables name of a cell.

    Args:
        run: Its record.
        sources: SHA-256 of files that decide what models are, by name: two paths to one file are the same weights.
    """
    settings = run.settings
    parts = (
        (MODEL_RECORD, run.model),
        (RUN_RECORD, run),
        (DATA_RECORD, run.data),
        (CELL_SETTINGS, settings),
        (DATA_SETTINGS, settings.data),
        (TRAINING_SETTINGS, settings.training),
    )
    for rules, record in parts:
        for name, rule in rules.items():
            if rule.kind is not Kind.GROUP:
                yield Fact(rule.label or _in_words(name), rule, getattr(record, name, None))
    if is_custom(settings.model):
        yield Fact("File of the model", Rule(Kind.NETWORK, listed=False), (sources or {}).get(settings.model))
    for name, version in run.versions.items():
        yield Fact(f"Version of {name}", _FREE, version)
    for name, value in run.hardware.items():
        yield Fact(f"Hardware, {name}", _FREE, value)


def disagreements(first: Treated, other: Treated) -> dict[str, str]:
    """Return what two cells may not differ in and do: of each such value its label and a sentence with both values.

    Args:
        first: A cell.
        other: Another cell, of the same model or not, of the same study or not.
    """
    same_model = first.run.settings.model == other.run.settings.model
    forbidden = {Kind.EQUAL, Kind.NETWORK} if same_model else {Kind.EQUAL}
    ours, theirs = (list(facts_of(cell.run, cell.sources)) for cell in (first, other))
    by_label = {fact.label: fact.value for fact in theirs}
    found = {
        fact.label: f"{fact.label} is {_briefly(fact.value)} in {first.name} and "
        f"{_briefly(by_label[fact.label])} in {other.name}"
        for fact in ours
        if fact.rule.kind in forbidden
        and fact.label in by_label
        and by_label[fact.label] != fact.value
        and not (fact.label == "Head" and {fact.value, by_label[fact.label]} & {OWN, NOT_RECORDED})
        and not any(_is_of_an_older_version(cell, fact.label) for cell in (first, other))
    }
    weights = [_weights(cell) for cell in (first, other)]
    if weights[0] != weights[1] and (same_model or not _chose_weights(first, other)):
        label = MODEL_RECORD["weights"].label or ""
        found[label] = f"{label} are {weights[0]} in {first.name} and {weights[1]} in {other.name}"
    return found


def _is_of_an_older_version(cell: Treated, label: str) -> bool:
    """Return whether a cell was written before this fact was recorded: nothing in it is then no value."""
    if label == "File of the model":
        return cell.run.settings.model not in cell.sources
    if label == _in_words("stochastic_depth"):
        return cell.run.model is None or cell.run.model.head == NOT_RECORDED
    return False


def _chose_weights(*cells: Treated) -> bool:
    """Return whether any of the cells was given weights of its own: by name, or by someone's own function."""
    return any(
        is_custom(cell.run.settings.model) or weights_by_model(cell.run.settings.training.weights or "") is not None
        for cell in cells
    )


def _weights(cell: Treated) -> str:
    """Return what a cell's weights were asked to be; of a file its SHA-256, whatever its path."""
    if is_custom(cell.run.settings.model):
        return OWN
    weights = weights_for(cell.run.settings.training.weights, cell.run.settings.model)
    if weights is None:
        return "random"
    return f"a file of SHA-256 {cell.sources[weights][:12]}" if weights in cell.sources else weights


def _in_words(name: str) -> str:
    return name.replace("_", " ").capitalize()


def shown(value: Any) -> str:
    """Write a value as it stands in a sentence."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, tuple):
        return ", ".join(map(str, value)) or "none"
    return "none" if value is None else str(value)


def _briefly(value: object) -> str:
    """Write a value for an error message: of a fingerprint or a long list the beginning."""
    if isinstance(value, tuple) and len(value) > MOST_NAMED:
        return f"{shown(value[:MOST_NAMED])}, ... ({len(value):,} in all)"
    text = shown(value)
    return text[:12] if re.fullmatch(r"[0-9a-f]{64}", text) else text
