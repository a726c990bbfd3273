"""What `photofinish benchmark` prints."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table

from photofinish.report import wording
from photofinish.report.names import called, printable, short_names
from photofinish.runs import LoadRecord
from photofinish.runs.benchmark import BenchmarkRecord, MemoryRecord, ProgramRecord, Spread
from photofinish.storage.sizes import size


def print_speeds(record: BenchmarkRecord, console: Console) -> None:
    """Print the tables of a benchmark, and what has to be known beside them.

    Args:
        record: The benchmark.
        console: Prints no markup.
    """
    settings, hardware = record.settings, record.hardware
    names = {model: printable(short) for model, short in short_names(settings.models).items()}
    rounds = "1 round" if settings.rounds == 1 else f"{settings.rounds} rounds"
    where = hardware["processor"] if hardware["device"] == "cpu" else hardware["device"]
    console.print()
    _say(
        console,
        f"{settings.image_size}x{settings.image_size} pixels, {settings.classes} classes, {settings.precision}, "
        f"{settings.backend} on {where}, {hardware['cores']} cores; {rounds}",
    )
    tables = (_training(record, names), _inference(record, names), _before(record, names), _networks(record, names))
    for table in tables:
        if table is not None:
            console.print()
            console.print(table)
    console.print()
    for sentence in (_load(record.load), *record.warnings, *_failures(record)):
        _say(console, called(sentence, names))


def _say(console: Console, sentence: str) -> None:
    console.print(printable(sentence), markup=False, highlight=False)


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title, title_justify="left", box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for number, column in enumerate(columns):
        # On a narrow screen the model's name is what gives way.
        table.add_column(column, justify="right" if number else "left", no_wrap=bool(number), overflow="fold")
    return table


def _networks(record: BenchmarkRecord, names: dict[str, str]) -> Table:
    table = _table("Networks", "model", "parameters", "MACs", "memory: training", "inference")
    for model in record.models:
        if model.parameters is not None:
            macs = "unknown" if model.macs is None else wording.large(model.macs)
            parts = (_memory(part.memory) if part else "" for part in (model.training, model.inference))
            table.add_row(names[model.name], wording.large(model.parameters), macs, *parts)
    return table


def _training(record: BenchmarkRecord, names: dict[str, str]) -> Table | None:
    title = f"Training, batches of {record.settings.batch_size}"
    table = _table(title, "model", "images/s", "quartiles", "step", "waiting for data")
    for model in record.models:
        if model.training is not None:
            speed = model.training
            step, waiting = wording.seconds(speed.step_seconds.median), wording.percent(speed.waiting_share)
            table.add_row(names[model.name], *_rates(speed.images_per_second), step, waiting)
    return table if table.row_count else None


def _inference(record: BenchmarkRecord, names: dict[str, str]) -> Table | None:
    speeds = [(names[model.name], model.inference) for model in record.models if model.inference is not None]
    sizes = " and ".join(str(size) for size in sorted({speed.batch_size for _, speed in speeds}))
    title = f"Inference, batches of {sizes}, and one image alone"
    table = _table(title, "model", "images/s", "quartiles", "one image", "90%", "99%")
    for name, speed in speeds:
        latencies = (speed.latency_seconds.p50, speed.latency_seconds.p90, speed.latency_seconds.p99)
        table.add_row(name, *_rates(speed.images_per_second), *map(wording.seconds, latencies))
    return table if speeds else None


def _before(record: BenchmarkRecord, names: dict[str, str]) -> Table:
    table = _table("Before the first picture", "model", "building", "compiling: step", "prediction", "one image")
    for model in record.models:
        if model.build_seconds is not None:
            programs = (
                model.training.program if model.training else None,
                model.inference.program if model.inference else None,
                model.inference.latency_program if model.inference else None,
            )
            table.add_row(names[model.name], wording.seconds(model.build_seconds), *map(_compiled, programs))
    return table


def _rates(spread: Spread) -> tuple[str, str]:
    return wording.rate(spread.median), f"{wording.rate(spread.low)} to {wording.rate(spread.high)}"


def _compiled(program: ProgramRecord | None) -> str:
    if program is None:
        return ""
    return f"{wording.seconds(program.compile_seconds)}{' (cache)' if program.from_cache else ''}"


def _memory(memory: MemoryRecord) -> str:
    on_device = "" if memory.device_bytes is None else f"{size(memory.device_bytes)} + "
    return f"{on_device}{size(memory.host_bytes)}"


def _load(load: LoadRecord) -> str:
    if load.start is None or load.end is None:
        return f"The system does not tell its load; {load.cores} cores."
    averages = f"Load average {load.start:.1f} before and {load.end:.1f} after"
    return (
        f"{averages}; others kept {load.others:.1f} of {load.cores} cores busy."
        if load.others is not None
        else (f"{averages}, on {load.cores} cores.")
    )


def _failures(record: BenchmarkRecord) -> list[str]:
    return [f"{model.name} failed: {model.error}" for model in record.models if model.error]
