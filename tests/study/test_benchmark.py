"""A benchmark: a real one of two small networks, and its order, sums and failures with processes that are made up."""

from __future__ import annotations

import contextlib
import json
import math
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

import photofinish as pf
from photofinish.cli.app import app
from photofinish.config import BenchmarkSettings
from photofinish.errors import PhotofinishError, SettingsError, StudyError
from photofinish.models.inference import evaluation_batch_size
from photofinish.runs.benchmark import BenchmarkRecord, MemoryRecord, ProgramRecord
from photofinish.study.benchmark import conduct
from photofinish.study.benchmark.messages import Finished, Order, Prepared, Reply, Turn

NETWORKS = """
import keras

def network(layers, image_size):
    x = inputs = keras.Input((image_size, image_size, 3))
    for number in range(layers):
        x = keras.layers.Conv2D(32, 3, padding="same", activation="relu", name=f"conv{number}")(x)
    return keras.Model(inputs, x)

def shallow(image_size):
    return network(3, image_size)

def deep(image_size):
    return network(6, image_size)
"""
ROUNDS = 3


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> tuple[BenchmarkRecord, Path]:
    """Run the command on two networks of which one does twice the work, and return what it printed and wrote."""
    folder = tmp_path_factory.mktemp("benchmark")
    (folder / "nets.py").write_text(NETWORKS)
    models = [f"{folder / 'nets.py'}:{name}" for name in ("shallow", "deep")]
    options = ["--image-size", "16", "--rounds", str(ROUNDS), "--turn-seconds", "0.2", "--json"]
    done = CliRunner().invoke(app, ["benchmark", *models, *options, "--output", str(folder / "results")])
    assert done.exit_code == 0, done.output
    assert "Training, batches of 32" in done.stderr
    return BenchmarkRecord.model_validate_json(done.stdout), folder / "results"


def test_every_figure_is_positive_and_they_agree_with_one_another(measured: tuple[BenchmarkRecord, Path]) -> None:
    record, _ = measured
    for turn in record.turns:
        assert turn.seconds > 0
        assert turn.images_per_second * turn.seconds == pytest.approx(turn.images)
        assert turn.images % turn.calls == 0
    for model in record.models:
        assert model.error is None
        assert model.training is not None
        assert model.inference is not None
        figures = [value for _, value in numbers(model.model_dump(), "")]
        assert all(math.isfinite(value) and value >= 0 for value in figures)
        for measure, speed in (("training", model.training), ("inference", model.inference)):
            rates = [turn.images_per_second for turn in turns_of(record, model.name, measure)]
            assert speed.images_per_second.median == pytest.approx(np.median(rates))
            assert 0 < speed.images_per_second.low <= speed.images_per_second.median <= speed.images_per_second.high
            assert speed.memory.host_bytes > 1e8
            assert speed.program.warm_up_seconds > 0
        # A step and the waiting for its data make the pace.
        pace = 32 / model.training.images_per_second.median
        step = model.training.step_seconds.median
        assert 0 < step <= pace * 1.000001
        assert 0 <= model.training.waiting_share < 1
        latency = model.inference.latency_seconds
        assert 0 < latency.p50 <= latency.p90 <= latency.p99
        assert model.inference.latency_calls == sum(turn.calls for turn in turns_of(record, model.name, "latency"))
        assert model.inference.batch_size == evaluation_batch_size(16, 10_240) == 256
        assert model.training.memory.host_bytes >= model.inference.memory.host_bytes
    # Convolutions of 3x3 with 32 channels, and a linear layer to ten classes.
    assert [model.parameters for model in record.models] == [896 + 2 * 9248 + 330, 896 + 5 * 9248 + 330]
    assert [model.macs for model in record.models] == [
        256 * 9 * 32 * (3 + 2 * 32) + 320,
        256 * 9 * 32 * (3 + 5 * 32) + 320,
    ]


def test_twice_the_work_measures_slower(measured: tuple[BenchmarkRecord, Path]) -> None:
    shallow, deep = measured[0].models
    assert shallow.training is not None
    assert deep.training is not None
    assert shallow.inference is not None
    assert deep.inference is not None
    assert deep.training.images_per_second.median < shallow.training.images_per_second.median
    assert deep.inference.images_per_second.median < shallow.inference.images_per_second.median


def test_the_models_took_turns(measured: tuple[BenchmarkRecord, Path]) -> None:
    record, _ = measured
    names = record.settings.models
    assert [(turn.round, turn.measure, turn.model) for turn in record.turns] == [
        (number, measure, name)
        for number in range(1, ROUNDS + 1)
        for measure in ("training", "inference", "latency")
        for name in names
    ]


def test_the_record_is_dated_and_survives_writing_and_reading(measured: tuple[BenchmarkRecord, Path]) -> None:
    record, folder = measured
    (path,) = folder.iterdir()
    assert path.name == record.file_name == f"{path.name[:17]}-benchmark.json"
    assert path.name[:10] == record.measured_at[:10]
    assert BenchmarkRecord.read(path) == record
    assert json.loads(path.read_text())["schema_version"] == 1
    assert record.hardware["device"] == "cpu"
    path.write_text('{"schema_version": 2}')
    with pytest.raises(PhotofinishError, match="not a benchmark of this version"):
        BenchmarkRecord.read(path)


def numbers(value: Any, where: str) -> Iterator[tuple[str, float]]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from numbers(inner, f"{where}.{key}")
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield where, value


def turns_of(record: BenchmarkRecord, model: str, measure: str) -> list[Any]:
    return [turn for turn in record.turns if (turn.model, turn.measure) == (model, measure)]


class MadeUp:
    """A process that answers as a worker would, from a table of seconds by model; None is where it dies."""

    def __init__(self, seconds: Callable[[str], Iterator[float | None]]) -> None:
        self.stdin = self.stdout = self
        self.seconds = seconds
        self.model = ""
        self.answers: deque[Reply] = deque()

    def write(self, line: bytes) -> None:
        content = json.loads(line)
        if "model" in content:
            self.model, self.names = content["model"], conduct.MEASURES[content["settings"]["part"]]
            self.times = self.seconds(self.model)
            self.answers.append(Reply(doing="building"))
            self.answers.append(
                Reply(prepared=Prepared(parameters=7, macs=None, build_seconds=1.0, device="made up"))
                if self.model != "mobilenetv2"
                else Reply(error="cannot be built")
            )
        elif (measure := Order.model_validate(content).measure) is None:
            program = ProgramRecord(compile_seconds=2.0, from_cache=True, warm_up_seconds=0.5, warm_up_calls=3)
            memory = MemoryRecord(host_bytes=10)
            self.answers.append(
                Reply(
                    finished=Finished(
                        programs=dict.fromkeys(self.names, program), memory=dict.fromkeys(self.names, memory)
                    )
                )
            )
        elif (seconds := next(self.times)) is not None:
            each = (seconds / 4,) * 4 if measure == "latency" else ()
            waiting = seconds / 5 if measure == "training" else None
            self.answers.append(
                Reply(turn=Turn(calls=4, images=40, seconds=seconds, waiting_seconds=waiting, call_seconds=each))
            )

    def flush(self) -> None:
        pass

    def __iter__(self) -> Iterator[bytes]:
        while self.answers:
            yield self.answers.popleft().model_dump_json(exclude_none=True).encode()

    def wait(self) -> int:
        return -9


@pytest.fixture
def conducted(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., BenchmarkRecord]:
    """Return a function that runs a benchmark of processes that are made up."""
    monkeypatch.setenv("PHOTOFINISH_CACHE", str(tmp_path))

    def run(models: list[str], seconds: Callable[[str], Iterator[float | None]], **settings: Any) -> BenchmarkRecord:
        @contextlib.contextmanager
        def process(*_: object) -> Iterator[MadeUp]:
            yield MadeUp(seconds)

        monkeypatch.setattr(conduct, "worker_process", process)
        return pf.benchmark(models, **settings)

    return run


def test_figures_are_medians_and_quartiles_over_the_rounds(conducted: Callable[..., BenchmarkRecord]) -> None:
    record = conducted(["resnet50"], lambda _: iter([1.0, 2.0, 4.0, 8.0, 5.0]), part="training", rounds=5)
    (model,) = record.models
    assert model.training is not None
    assert model.inference is None
    assert model.macs is None
    rates = model.training.images_per_second
    assert (rates.low, rates.median, rates.high) == (8.0, 10.0, 20.0)
    # Four steps in four fifths of the time.
    assert model.training.step_seconds.median == pytest.approx(4.0 * 0.8 / 4)
    assert model.training.waiting_share == pytest.approx(0.2)
    assert any(one.startswith("Programs of resnet50 were found in the compilation cache") for one in record.warnings)


def test_percentiles_of_latency_are_over_all_calls_and_few_calls_are_warned_of(
    conducted: Callable[..., BenchmarkRecord],
) -> None:
    seconds = iter([9.0, 4.0, 9.0, 8.0])
    record = conducted(["resnet50"], lambda _: seconds, part="inference", rounds=2)
    assert record.models[0].inference is not None
    latency = record.models[0].inference.latency_seconds
    assert (latency.p50, latency.p99) == (1.5, 2.0)
    assert record.models[0].inference.latency_calls == 8
    assert any("rests on fewer than 100 calls" in one for one in record.warnings)


def test_a_model_that_dies_or_cannot_be_built_is_named_and_the_others_go_on(
    conducted: Callable[..., BenchmarkRecord],
) -> None:
    def seconds(model: str) -> Iterator[float | None]:
        return iter([1.0, None]) if model == "efficientnetv2-b0" else iter([1.0] * 3)

    models = ["efficientnetv2-b0", "mobilenetv2", "resnet50"]
    record = conducted(models, seconds, part="training", rounds=3)
    dead, unbuilt, alive = record.models
    assert dead.error is not None
    assert "its process ended with SIGKILL (often a sign of too little memory)" in dead.error
    assert dead.training is None
    assert unbuilt.error == "cannot be built"
    assert alive.training is not None
    assert [(turn.round, turn.model) for turn in record.turns] == [
        (1, "efficientnetv2-b0"),
        (1, "resnet50"),
        (2, "resnet50"),
        (3, "resnet50"),
    ]


def test_where_no_model_can_be_measured_the_first_reason_is_given(conducted: Callable[..., BenchmarkRecord]) -> None:
    with pytest.raises(StudyError, match="no model could be measured; mobilenetv2 said: cannot be built"):
        conducted(["mobilenetv2"], lambda _: iter([]))


@pytest.mark.parametrize(
    ("models", "settings", "reason"),
    [
        (["resnet51"], {}, "did you mean 'resnet50'"),
        (["mine.py:build"], {}, "mine.py does not exist"),
        (["resnet50"], {"rounds": 0}, "rounds=0"),
        (["resnet50"], {"round": 3}, "did you mean 'rounds'"),
        ([], {}, "models"),
    ],
)
def test_what_cannot_be_measured_is_refused_before_anything_is_begun(
    models: list[str], settings: dict[str, Any], reason: str
) -> None:
    with pytest.raises(SettingsError) as caught:
        pf.benchmark(models, **settings)
    assert reason in str(caught.value)


def test_a_failed_model_makes_the_command_fail_after_everything_was_printed(
    conducted: Callable[..., BenchmarkRecord], monkeypatch: pytest.MonkeyPatch
) -> None:
    record = conducted(["resnet50", "mobilenetv2"], lambda _: iter([1.0, 2.0, 3.0]), rounds=1)
    monkeypatch.setattr("photofinish.api.run_benchmark", lambda *_: record)
    done = CliRunner().invoke(app, ["benchmark", "resnet50", "mobilenetv2"], env={"COLUMNS": "80"})
    assert isinstance(done.exception, PhotofinishError)
    assert "1 of 2 models failed: mobilenetv2" in str(done.exception)
    assert "mobilenetv2 failed: cannot be built" in done.stdout
    rows = [line.split()[1:] for line in done.stdout.splitlines() if line.startswith("resnet50")]
    # 40 pictures in a second, a fifth of it spent waiting; in two seconds; in three, for four calls of one.
    assert rows[0] == ["40.0", "40.0", "to", "40.0", "200", "ms", "20.0%"]
    assert rows[1] == ["20.0", "20.0", "to", "20.0", "750", "ms", "750", "ms", "750", "ms"]
    assert rows[2] == ["1.0", "s", *["2.0", "s", "(cache)"] * 3]
    assert rows[3][:4] == ["7", "unknown", "10", "B"]
    assert "One round only" in done.stdout


def test_every_setting_is_an_option() -> None:
    printed = CliRunner().invoke(app, ["benchmark", "--help"], env={"COLUMNS": "200"}).stdout
    for name in BenchmarkSettings.model_fields:
        assert name == "models" or f"--{name.replace('_', '-')}" in printed
