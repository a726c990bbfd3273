"""Saving a training under way, and going on from what was saved.

The device is held up only while its variables are copied; a thread of its own writes them. What is saved beside them is
`Course`: order and augmentation are functions of (seed, epoch, index), so that data need two integers.
"""

from __future__ import annotations

import functools
import re
import threading
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from keras import ops
from numpy.typing import NDArray

from photofinish.config.checkpoints import CheckpointEvery
from photofinish.errors import PhotofinishError, StudyError
from photofinish.runs import InterruptionRecord
from photofinish.runs.checkpoints import Beginning, CheckpointRecord, CheckpointStore, whole_checkpoints
from photofinish.training.course import Course
from photofinish.training.parts import Learner
from photofinish.training.totals import Totals

CLOCK, PICTURES = "clock", "first_pictures"
SECONDS_BETWEEN_MARKS = 0.25


def state_of(learner: Learner) -> dict[str, Any]:
    """Return every variable that training changes, by names that are the same in every process.

    These are the network's weights, averages and generators, the state of all optimisers, the moving average of the
    weights, and what is left of the learning rate. Keras numbers layers and generators through a process, so names are
    numbered here instead.
    """
    groups: dict[str, Any] = {"model": learner.model.variables}
    groups |= {f"optimizer-{place}": one.variables for place, (one, _) in enumerate(learner.optimizers)}
    groups["average"] = learner.average.variables if learner.average else []
    groups["guard"] = learner.guard.variables
    return {
        f"{group}/{number:05d}/{re.sub(r'_[0-9]+(?=/|$)', '', variable.path)}": variable
        for group, variables in groups.items()
        for number, variable in enumerate(variables)
    }


def copied(learner: Learner) -> dict[str, NDArray[Any]]:
    """Return a copy of the state in the memory of the host; the next step may overwrite the device's."""
    return {
        name: np.array(ops.convert_to_numpy(variable.value), order="C") for name, variable in state_of(learner).items()
    }


def put_back(learner: Learner, arrays: dict[str, NDArray[Any]]) -> None:
    """Give every variable its value, and make sure that it has it.

    Raises:
        StudyError: The state is not of this training; nothing has changed.
    """
    variables = state_of(learner)
    facts = {name: (tuple(one.shape), str(one.dtype)) for name, one in variables.items()}
    stored = {name: (array.shape, str(array.dtype)) for name, array in arrays.items()}
    odd = sorted(name for name in facts.keys() | stored.keys() if facts.get(name) != stored.get(name))
    if odd:
        raise StudyError(
            f"a checkpoint does not fit the training it is of: {odd[0]} is {stored.get(odd[0])} in the checkpoint and "
            f"{facts.get(odd[0])} now; delete the folder resume/ of the run to begin anew"
        )
    for name, variable in variables.items():
        variable.assign(arrays[name])
        if not np.array_equal(_bits(ops.convert_to_numpy(variable.value)), _bits(arrays[name])):
            raise StudyError(f"{name} could not be given its value of the checkpoint")


def _bits(array: NDArray[Any]) -> NDArray[np.uint8]:
    return np.ascontiguousarray(array).reshape(-1).view(np.uint8)


class Keeper:
    """Saves a training every so often, and gives back the last state that is whole.

    Args:
        store: Where checkpoints lie.
        begun: What is trained.
        every: How often to save.
        note: Is given a sentence for the user.
        started: When the process began, on the clock of `time.perf_counter`.

    Attributes:
        interruptions: How often this training was resumed.
        earlier_seconds: Wall time of the processes before this one, up to the checkpoint it went on from.
    """

    def __init__(
        self,
        store: CheckpointStore,
        begun: Beginning,
        every: CheckpointEvery,
        note: Callable[[str], None],
        started: float,
    ) -> None:
        self.store, self.begun, self.every, self.note, self.started = store, begun, every, note, started
        self.interruptions = InterruptionRecord()
        self.earlier_seconds = 0.0
        self._writer: threading.Thread | None = None
        self._failure: PhotofinishError | None = None
        self._warned = False
        self._saved = self._marked = time.perf_counter()
        self._saved_steps = 0

    @property
    def seconds(self) -> float:
        """Wall time of the run so far that counts."""
        return self.earlier_seconds + time.perf_counter() - self.started

    def restore(self, learner: Learner, course: Course) -> bool:
        """Go on from the latest checkpoint that is whole; return whether there was one.

        Args:
            learner: Its variables are given their values.
            course: Is given how far training had come.
        """
        damaged = False

        def complain(text: str) -> None:
            nonlocal damaged
            damaged = True
            self.note(text)

        for record, arrays in whole_checkpoints(self.store, complain):
            different = record.begun.differences(self.begun)
            if different:
                self.note(f"training begins anew: a checkpoint is of another one, {'; '.join(different)}")
                break
            _put_course_back(course, record, arrays)
            put_back(learner, arrays)
            self.earlier_seconds = record.seconds
            self._saved_steps = record.steps
            self.interruptions = self.store.count_resumption(record)
            self.note(f"going on from {'an earlier' if damaged else 'the'} checkpoint: {record.place}")
            return True
        if damaged:
            self.note("no checkpoint is whole: training begins anew")
        return False

    def is_due(self, course: Course) -> bool:
        """Note how far training has come; return whether it is time to save it."""
        now = time.perf_counter()
        if now - self._marked > SECONDS_BETWEEN_MARKS:
            self._marked = now
            self.store.mark(course.steps, self.seconds)
        if self._failure is not None:
            self._warn()
        if self.every.never:
            return False
        if self.every.steps is not None:
            return course.steps - self._saved_steps >= self.every.steps
        return now - self._saved >= 60 * self.every.minutes and not self._is_writing()

    def save(self, learner: Learner, course: Course) -> None:
        """Copy the training and have it written; wait only where an earlier one is still being written."""
        self._wait()
        # The time until the device is ready is that of the steps.
        course.clock.close_window(course.totals.latest)
        start = time.perf_counter()
        arrays = copied(learner)
        arrays |= {f"{PICTURES}/{place}": np.array(one, order="C") for place, one in enumerate(course.first_pictures)}
        arrays[CLOCK] = course.clock.windows()
        self._saved = time.perf_counter()
        self._saved_steps = course.steps
        course.checkpoint_seconds += self._saved - start
        course.clock.begin_window()
        write = functools.partial(self.store.write, self._record(course), arrays)
        self._writer = threading.Thread(target=self._attempt, args=(write,), name="checkpoint")
        self._writer.start()

    def keep_best(self, copy: Callable[[], Callable[[], None]], course: Course) -> None:
        """Copy the network of an epoch that was the best so far, and have the copy written.

        A checkpoint that is saved later is written later: a process that goes on from it finds the best one before it.

        Args:
            copy: Copies the network and returns what writes the copy.
            course: How far training has come.
        """
        if self.every.never:
            return
        self._wait()
        start = time.perf_counter()
        write = copy()
        course.checkpoint_seconds += time.perf_counter() - start
        self._writer = threading.Thread(target=self._attempt, args=(write,), name="best")
        self._writer.start()

    def end(self, learner: Learner, course: Course) -> None:
        """Save the training that has taken its last step and wait for it: estimating and predicting may take long."""
        start = time.perf_counter()
        copying = course.checkpoint_seconds
        if course.steps > self._saved_steps:
            self.stop(learner, course)
            course.checkpoint_seconds = copying + time.perf_counter() - start

    def stop(self, learner: Learner, course: Course) -> None:
        """Save the training as it is and wait until that is written: the process is about to end."""
        if not self.every.never:
            self.save(learner, course)
        self.close()

    def close(self) -> None:
        """Wait for what is being written."""
        self._wait()
        if self._failure is not None:
            self._warn()

    def _is_writing(self) -> bool:
        return self._writer is not None and self._writer.is_alive()

    def _wait(self) -> None:
        if self._writer is not None:
            self._writer.join()
            self._writer = None

    def _attempt(self, write: Callable[[], object]) -> None:
        try:
            write()
            self._warned = False
        except PhotofinishError as error:
            self._failure = error

    def _warn(self) -> None:
        """Say once that checkpoints cannot be written, until one could be again."""
        failure, self._failure = self._failure, None
        if not self._warned:
            self._warned = True
            self.note(f"warning: no checkpoint could be written and training goes on: {failure}")

    def _record(self, course: Course) -> CheckpointRecord:
        losses, right, pictures = course.totals.sums.tolist()
        return CheckpointRecord(
            begun=self.begun,
            epoch=course.epoch,
            step=course.step,
            steps=course.steps,
            learning_rate=course.rate,
            sums=(losses, right, pictures),
            epochs=tuple(course.epochs),
            seconds=self.seconds,
            data_seconds=course.clock.data_seconds,
            epoch_start_seconds=course.clock.epoch_start,
            validation_seconds=course.validation_seconds,
            validation_compile_seconds=course.validation_compile_seconds,
            elapsed_seconds=course.elapsed_seconds,
            checkpoint_seconds=course.checkpoint_seconds,
            nonfinite_steps=tuple(course.nonfinite_steps),
            step_from_cache=course.step_from_cache,
        )


def _put_course_back(course: Course, record: CheckpointRecord, arrays: dict[str, NDArray[Any]]) -> None:
    """Give a course its values, and leave in `arrays` what belongs to variables."""
    course.epoch, course.step, course.steps = record.epoch, record.step, record.steps
    course.rate = record.learning_rate
    course.totals = Totals(np.array(record.sums), record.step)
    course.nonfinite_steps = list(record.nonfinite_steps)
    pictures = sorted(name for name in arrays if name.startswith(f"{PICTURES}/"))
    course.first_pictures = tuple(arrays.pop(name) for name in pictures)
    course.epochs = list(record.epochs)
    course.clock.put_back(arrays.pop(CLOCK), record.data_seconds, record.epoch_start_seconds)
    course.validation_seconds = record.validation_seconds
    course.validation_compile_seconds = record.validation_compile_seconds
    course.elapsed_seconds = record.elapsed_seconds
    course.checkpoint_seconds = record.checkpoint_seconds
    course.step_from_cache = record.step_from_cache
