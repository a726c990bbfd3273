"""A finished study as it lies on the disk, trained networks included."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import safetensors.numpy

from photofinish.catalog.manifest import MANIFEST, TENSORS, SavedModel
from photofinish.catalog.scaling import HALF
from photofinish.runs import StudyFolder
from photofinish.storage import write_json
from photofinish.storage.download import checksum
from photofinish.study.cells import read_plan
from photofinish.study.collect import collect


@pytest.fixture
def study(studies: ModuleType, tmp_path: Path) -> StudyFolder:
    """Three models with two seeds each, of which one failed."""
    resnet = studies.RACE[1]
    failing = type(resnet)(**{**vars(resnet), "failures": ((1, "the loss is nan"),)})
    design = studies.Design(entrants=(studies.RACE[0], failing), seeds=(0, 1), test=60, epochs=3)
    folder: StudyFolder = studies.write_study(tmp_path / "study", design)
    plan = read_plan(folder)
    for cell in plan.cells():
        checkpoints = folder.cell(cell.model, cell.seed).checkpoints
        if (cell.model, cell.seed) == ("resnet50", 1):
            continue
        checkpoints.mkdir()
        safetensors.numpy.save_file({"kernel": np.ones(1000, np.float32)}, checkpoints / TENSORS)
        manifest = SavedModel(
            name=cell.model,
            class_names=plan.data.classes,
            image_size=cell.data.image_size,
            head_units=None,
            dropout=0.2,
            input_scaling=HALF,
            weights="random",
            sha256=checksum(checkpoints / TENSORS, "SHA-256"),
        )
        write_json(checkpoints / MANIFEST, manifest.model_dump(mode="json"))
    collect(folder).write(folder.results)
    return folder
