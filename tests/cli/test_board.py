"""The live table and the plain lines say the same things."""

import io

import pytest
from rich.console import Console

from photofinish.cli import board as board_module
from photofinish.cli.board import Board, duration
from photofinish.cli.display import LineBoard, LiveBoard
from photofinish.config import CellSettings, TrainingSettings
from photofinish.runs import EpochRecord, RunRecord, StageEvent

FIRST, SECOND, OTHER = (
    CellSettings(model=model, seed=seed, training=TrainingSettings(epochs=2))
    for model, seed in (("slow", 0), ("slow", 1), ("path/to/mine.py:quick", 0))
)


@pytest.fixture
def clock(monkeypatch):
    """Return a list whose last number is the time."""
    times = [0.0]
    monkeypatch.setattr(board_module.time, "perf_counter", lambda: times[-1])
    return times


def training(epoch, done, total=10):
    return StageEvent(stage="training", epoch=epoch, epochs=2, done=done, total=total, loss=1.0, accuracy=0.5)


def epoch_record(epoch):
    return EpochRecord(
        epoch=epoch, train_loss=1.5, train_accuracy=0.5, validation_loss=1.0, validation_accuracy=0.625,
        learning_rate=0.1, train_seconds=4.0, elapsed_seconds=4.0,
    )  # fmt: skip


def test_nothing_is_estimated_before_training_is_under_way(clock):
    board = Board([FIRST])
    board.started(FIRST)
    board.event(FIRST, StageEvent(stage="building"))
    assert board.seconds_left() is None


def test_a_running_cell_is_expected_to_go_on_as_it_went(clock):
    board = Board([FIRST])
    board.started(FIRST)
    clock.append(10.0)
    board.event(FIRST, training(1, 0))
    clock.append(15.0)
    board.event(FIRST, training(1, 5))
    # A quarter of the steps took 5 s, so 15 s are left.
    assert board.seconds_left() == pytest.approx(15.0)


def test_compilation_and_the_saving_of_a_stopped_training_are_no_steps(clock):
    board = Board([FIRST])
    board.started(FIRST)
    board.event(FIRST, StageEvent(stage="compiling", epoch=1, epochs=2))
    clock.append(60.0)
    board.event(FIRST, training(1, 1, 100))
    assert board.seconds_left() is None, "the first step was all compilation"
    clock.append(61.0)
    board.event(FIRST, training(1, 2, 100))
    assert board.seconds_left() == pytest.approx(198.0)
    clock.append(91.0)
    assert board.seconds_left() == pytest.approx(168.0), "silence is no slower step"
    clock.append(259.0)
    board.event(FIRST, StageEvent(stage="validating", epoch=1, epochs=2, done=1, total=2))
    clock.append(260.0)
    board.event(FIRST, StageEvent(stage="compiling", epoch=2, epochs=2))
    clock.append(360.0)
    board.event(FIRST, training(2, 1, 100))
    assert board.seconds_left() == pytest.approx(99.0), "nor is the program of a later stage"


def test_of_a_resumed_cell_only_the_steps_of_this_process_are_its_pace(clock):
    board = Board([FIRST])
    board.started(FIRST)
    board.event(FIRST, StageEvent(stage="compiling", epoch=2, epochs=2))
    clock.append(20.0)
    board.event(FIRST, training(2, 51, 100))
    clock.append(22.0)
    board.event(FIRST, training(2, 52, 100))
    assert board.seconds_left() == pytest.approx(96.0)


def test_cells_that_wait_take_as_long_as_their_model_took_and_others_the_mean(clock):
    board = Board([FIRST, SECOND, OTHER])
    board.started(FIRST)
    clock.append(30.0)
    board.finished(FIRST, RunRecord(status="finished", settings=FIRST))
    assert board.seconds_left() == pytest.approx(60.0)


def test_a_long_prediction_is_estimated_from_its_own_pace(clock):
    board = Board([FIRST])
    board.started(FIRST)
    board.event(FIRST, training(2, 10))
    clock.append(50.0)
    board.event(FIRST, StageEvent(stage="predicting", done=0, total=100))
    clock.append(60.0)
    board.event(FIRST, StageEvent(stage="predicting", done=25, total=100))
    assert board.seconds_left() == pytest.approx(30.0)


def test_a_failed_cell_is_no_measure_for_the_others(clock):
    board = Board([FIRST, SECOND])
    board.started(FIRST)
    clock.append(1.0)
    board.failed(FIRST, "a mistake")
    assert board.seconds_left() is None


def test_the_live_table_shows_model_seed_epoch_and_accuracies(clock):
    stream = io.StringIO()
    console = Console(file=stream, force_terminal=True, width=80, color_system=None)
    board = LiveBoard([FIRST, OTHER], console)
    board.started(FIRST)
    board.event(FIRST, training(2, 5))
    board.epoch(FIRST, epoch_record(1))
    board.failed(OTHER, "out of ideas")
    console.print(board.render())
    lines = stream.getvalue().splitlines()
    row = next(line for line in lines if line.startswith("slow"))
    for text in ("2/2", "50.0%", "62.5%"):
        assert text in row
    assert any("mine.py:quick" in line and "failed: out of ideas" in line for line in lines)


def test_on_a_narrow_screen_the_bars_give_way_and_no_heading_is_cut(clock):
    stream = io.StringIO()
    console = Console(file=stream, force_terminal=True, width=80, color_system=None)
    long = CellSettings(model="efficientnetv2-b0-21k", seed=0, training=TrainingSettings(epochs=2))
    board = LiveBoard([long, OTHER], console)
    board.started(long)
    board.event(long, StageEvent(stage="training", epoch=100, epochs=200, done=5, total=10, loss=1.0, accuracy=1.0))
    board.epoch(long, epoch_record(1))
    clock.append(3599.0)
    board.failed(OTHER, "mine.py, line 12: " + 6 * "no such luck ")
    console.print(board.render())
    lines = stream.getvalue().splitlines()
    assert lines[0].split() == ["model", "seed", "epoch", "train", "validation", "time"]
    row = next(line for line in lines if line.startswith(long.model))
    for text in ("100/200", "100.0%", "62.5%", "59 min 59 s"):
        assert text in row
    assert 4 <= row.count("\u2501") < 24
    assert "".join(lines).count("luck") == 6, "a failure is told in full, on several lines"


def test_plain_lines_hold_no_control_characters_and_every_epoch(clock):
    stream = io.StringIO()
    board = LineBoard([FIRST], Console(file=stream, width=80))
    board.started(FIRST)
    board.event(FIRST, StageEvent(stage="compiling", epoch=1, epochs=2))
    board.event(FIRST, training(1, 5))
    board.epoch(FIRST, epoch_record(1))
    board.epoch(FIRST, epoch_record(2))
    board.finished(FIRST, RunRecord(status="finished", settings=FIRST))
    text = stream.getvalue()
    assert "\x1b" not in text
    for part in ("compiling", "epoch 1/2", "epoch 2/2", "validation 62.5%", "done in"):
        assert part in text


def test_a_log_is_told_now_and_then_that_a_long_stage_goes_on(clock):
    stream = io.StringIO()
    board = LineBoard([FIRST], Console(file=stream, width=80))
    board.started(FIRST)
    board.event(FIRST, StageEvent(stage="predicting", done=0, total=100))
    for second in range(1, 40):
        clock.append(float(second))
        board.event(FIRST, StageEvent(stage="predicting", done=second, total=100))
    assert stream.getvalue().count("predicting") == 3  # once at its beginning, then after 16 and 32 s


@pytest.mark.parametrize(("seconds", "text"), [(0.04, "0.0 s"), (59.4, "59 s"), (60, "1 min 0 s"), (3600, "1 h 0 min")])
def test_durations_are_said_as_a_person_would(seconds, text):
    assert duration(seconds) == text
