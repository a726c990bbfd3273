"""Where the time went: bars and tables, and what else the machine was doing."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean, median
from typing import Any

from photofinish.report import wording
from photofinish.report.figures.bars import Bar, Part, key, stacked_bars
from photofinish.report.material import Material
from photofinish.report.tables import MISSING, Column, Field, Table
from photofinish.storage.sizes import size
from photofinish.study.cells import FinishedCell
from photofinish.study.collect import times_resumed

PARTS = {
    "rest": "start, building, saving",
    "features": "features of the frozen network",
    "compile": "compilation",
    "warming": "training: warm-up",
    "computing": "training: steps",
    "waiting": "training: waiting for data",
    "validation": "validation",
    "reestimation": "averages estimated anew",
    "evaluation": "evaluation",
}
"""What a cell spends time on, in the order in which it is drawn; the names are classes of the style sheet."""

_UNLIKE = "The models were not timed on the same machine: compare the lines of one machine only, under Conditions."
_NOT_TOLD = "Older runs among these did not record warm-up and the compilation of prediction: other parts contain both."


def context(material: Material) -> dict[str, Any]:
    """Return what the template `_times.html.j2` shows, by its names there."""
    cells = [one for entrant in material.entrants for one in entrant.cells]
    if not cells:
        return {"times": None}
    bars = model_bars(material)
    seen = {part.kind for bar in bars for part in bar.parts if part.seconds > 0}
    title = "Where the time went"
    return {
        "times": models_table(material),
        "cell_times": cells_table(material),
        "time_owners": [entrant.index for entrant in material.entrants],
        "cell_owners": [entrant.index for entrant in material.entrants for _ in entrant.cells],
        "time_bars": [stacked_bars(bars, title, "wall time of a cell", wide=wide) for wide in (True, False)],
        "time_parts": [(key(kind), label) for kind, label in PARTS.items() if kind in seen],
        "time_note": _note(material),
        "machine_note": machine_note(cells),
    }


def spent(one: FinishedCell) -> dict[str, float]:
    """Divide the wall time of a cell, for each of `PARTS`; the parts do not overlap and add up to the whole."""
    times = one.seconds
    steps = times.train - times.features
    waiting = min(waited(one) or 0.0, steps)
    warming = min(times.warm_up or 0.0, steps - waiting)
    parts = {
        # Found in the cache, they cost nothing here; the training time says what they cost when they were computed.
        "features": 0.0 if one.record.features_from_cache else times.features,
        "compile": times.compile + (times.compile_other or 0.0),
        "warming": warming,
        "computing": steps - waiting - warming,
        "waiting": waiting,
        "validation": times.validation,
        "reestimation": times.reestimate,
        "evaluation": times.evaluate,
    }
    return {"rest": max(0.0, times.total - sum(parts.values())), **parts}


def waited(one: FinishedCell) -> float | None:
    """Return the seconds in which the device waited for data, or None where nobody knows.

    Before it was measured, the time of making batches was; on a processor the two are the same.
    """
    if one.seconds.stall is not None:
        return one.seconds.stall
    return one.seconds.data if one.record.hardware.get("device") == "cpu" else None


def _note(material: Material) -> str:
    older = any(one.seconds.warm_up is None for entrant in material.entrants for one in entrant.cells)
    return " ".join([*([] if material.is_timed_alike else [_UNLIKE]), *([_NOT_TOLD] if older else [])])


def model_bars(material: Material) -> list[Bar]:
    """Return a bar for each model, means over its seeds."""
    bars = []
    for entrant in material.entrants:
        cells = [spent(one) for one in entrant.timed]
        parts = tuple(Part(kind, label, fmean(cell[kind] for cell in cells)) for kind, label in PARTS.items())
        bars.append(Bar(entrant.index, entrant.name, parts))
    return bars


def models_table(material: Material) -> Table:
    """Return where the time of every model went, means over its seeds."""
    has_features = _has_features(material)
    rows = tuple((Field(entrant.name), *_fields(entrant.timed, has_features)) for entrant in material.entrants)
    caption = (
        "Means over seeds. Warm-up and waiting for data are part of training; the step is without waiting. Peak memory "
        "is that of the process, compilation included."
    )
    return Table(caption, (Column("Model", number=False), *_columns(has_features)), rows, "cells/")


def cells_table(material: Material) -> Table:
    """Return where the time of every cell went, and the load of the machine meanwhile."""
    has_features = _has_features(material)
    columns = (
        Column("Cell", number=False),
        *_columns(has_features),
        Column("Load average", "start, end"),
        Column("Others", "cores kept busy"),
    )
    rows = tuple(
        (_cell(entrant.name, one), *_fields([one], has_features), *_load(one))
        for entrant in material.entrants
        for one in entrant.cells
    )
    return Table("Wall time of every cell.", columns, rows, "cells/")


def _cell(model: str, one: FinishedCell) -> Field:
    """Name a cell; one that was resumed is marked, since its times are sums over its parts."""
    resumed = times_resumed(one.record)
    parts = f"sum of its {resumed + 1} parts" if resumed else ""
    return Field(f"{model}, seed {one.cell.seed}", parts)


def machine_note(cells: Sequence[FinishedCell]) -> str:
    """Say what else the machine was doing, in a sentence or two."""
    loads = [one.record.load for one in cells if one.record.load is not None]
    if not loads:
        return "What else the machine was doing was not recorded."
    cores = wording.listing([str(count) for count in sorted({load.cores for load in loads})])
    taken = [load.others for load in loads if load.others is not None]
    averages = [average for load in loads for average in (load.start, load.end) if average is not None]
    sentences = []
    if taken:
        sentences.append(
            f"While a cell ran, others kept {_range(taken)} of {cores} cores busy on average: other programs, and on a "
            "virtual machine its neighbours."
        )
    if averages:
        sentences.append(
            f"The load average at the start and end of the cells was {_range(averages)}, our own threads included."
        )
    return " ".join(sentences) or "The system did not tell what else the machine was doing."


def _range(values: Sequence[float]) -> str:
    low, high = f"{min(values):.1f}", f"{max(values):.1f}"
    return low if low == high else f"{low} to {high}"


def _has_features(material: Material) -> bool:
    return any(one.seconds.features for entrant in material.entrants for one in entrant.cells)


def _columns(has_features: bool) -> tuple[Column, ...]:
    features = (Column("Features", "of training"),) if has_features else ()
    return (
        Column("Compile"),
        Column("Training"),
        *features,
        Column("Warm-up", "of training"),
        Column("Waiting", "of training"),
        Column("Validation"),
        Column("Re-estimation"),
        Column("Evaluation"),
        Column("Start, rest"),
        Column("Total"),
        Column("Training step", "median, quartiles"),
        Column("Peak memory"),
    )


def _fields(cells: Sequence[FinishedCell], has_features: bool) -> tuple[Field, ...]:
    """Return the fields of `_columns`, over all these cells of one model."""
    times = [one.seconds for one in cells]
    parts = [spent(one) for one in cells]
    training = fmean(time.train for time in times)
    is_cached = any(one.record.features_from_cache for one in cells)
    features = (_seconds(fmean(time.features for time in times), "from the cache" if is_cached else ""),)

    def of(kind: str) -> Field:
        return _seconds(fmean(part[kind] for part in parts))

    return (
        of("compile"),
        _seconds(training),
        *(features if has_features else ()),
        MISSING_FIELD if any(time.warm_up is None for time in times) else of("warming"),
        _waiting([waited(one) for one in cells], training),
        of("validation"),
        of("reestimation"),
        of("evaluation"),
        of("rest"),
        _seconds(fmean(time.total for time in times)),
        _step(cells),
        _memory(cells),
    )


MISSING_FIELD = Field(MISSING, "not recorded")


def _seconds(value: float, detail: str = "") -> Field:
    return Field(wording.seconds(value), detail, value)


def _waiting(waits: Sequence[float | None], training: float) -> Field:
    known = [wait for wait in waits if wait is not None]
    if len(known) < len(waits):
        return MISSING_FIELD
    mean = fmean(known)
    return _seconds(mean, wording.percent(mean / training) if training else "")


def _step(cells: Sequence[FinishedCell]) -> Field:
    """Return the median step and its quartiles, each the median over seeds."""
    steps = [one.seconds.step for one in cells]
    low, middle, high = (median(getattr(step, name) for step in steps) for name in ("low", "median", "high"))
    return Field(wording.seconds(middle), wording.seconds_range(low, high), middle)


def _memory(cells: Sequence[FinishedCell]) -> Field:
    most = max(one.record.peak_memory_bytes or 0 for one in cells)
    return Field(size(most), "", most) if most else MISSING_FIELD


def _load(one: FinishedCell) -> tuple[Field, Field]:
    load = one.record.load
    if load is None:
        return MISSING_FIELD, MISSING_FIELD
    start, end = (MISSING if average is None else f"{average:.1f}" for average in (load.start, load.end))
    others = MISSING_FIELD if load.others is None else Field(f"{load.others:.1f}", f"of {load.cores}", load.others)
    return Field(f"{start}, {end}", "", load.end), others
