"""What a worker knows of its programs before it has built anything."""

from __future__ import annotations

from pathlib import Path

from photofinish.config import CellSettings, DataSettings, TrainingSettings
from photofinish.study.worker import Task, _decides_programs


def task(folder: Path, seed: int = 0, epochs: int = 1, prepared: str = "digits") -> Task:
    settings = CellSettings(
        model="efficientnetv2-b0",
        seed=seed,
        data=DataSettings.of({"source": "digits"}),
        training=TrainingSettings(epochs=epochs),
    )
    return Task(settings=settings, prepared=folder / prepared, folder=folder / f"seed-{seed}", started=0.0)


def test_seeds_of_a_cell_need_the_same_programs_and_others_may_not(tmp_path: Path) -> None:
    begun = _decides_programs(task(tmp_path))
    assert _decides_programs(task(tmp_path, seed=1)) == begun
    others = [_decides_programs(task(tmp_path, epochs=2)), _decides_programs(task(tmp_path, prepared="others"))]
    # One that goes on may be beyond the steps with which it began.
    (tmp_path / "seed-0" / "resume" / "step-00000001").mkdir(parents=True)
    others.append(_decides_programs(task(tmp_path)))
    assert len({begun, *others}) == 4
