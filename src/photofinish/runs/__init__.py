"""The run folder: every path in it and the records it holds. Training and evaluation meet only here."""

from photofinish.runs.audits import AuditRecord
from photofinish.runs.environment import digest_of_our_code, hardware, peak_resident_bytes, versions
from photofinish.runs.events import Notify, StageEvent, unheard
from photofinish.runs.layout import RunFolder, StudyFolder, cell_name
from photofinish.runs.load import LoadRecord, LoadWatch
from photofinish.runs.pictures import Pictures
from photofinish.runs.predictions import Predictions
from photofinish.runs.records import (
    DataRecord,
    EpochRecord,
    InterruptionRecord,
    ModelRecord,
    NonFiniteStep,
    RunRecord,
    StageRecord,
    StepSeconds,
    TimeRecord,
    append_epoch,
    best_epoch,
    read_epochs,
)

__all__ = [
    "AuditRecord",
    "DataRecord",
    "EpochRecord",
    "InterruptionRecord",
    "LoadRecord",
    "LoadWatch",
    "ModelRecord",
    "NonFiniteStep",
    "Notify",
    "Pictures",
    "Predictions",
    "RunFolder",
    "RunRecord",
    "StageEvent",
    "StageRecord",
    "StepSeconds",
    "StudyFolder",
    "TimeRecord",
    "append_epoch",
    "best_epoch",
    "cell_name",
    "digest_of_our_code",
    "hardware",
    "peak_resident_bytes",
    "read_epochs",
    "unheard",
    "versions",
]
