"""The training step of a deep network as a chain of its segments, which starts and reads from the cache far sooner."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from photofinish import backend
from photofinish.models.segments import Segment, segments
from photofinish.training.nonfinite import size_of, told
from photofinish.training.optimizers import states_of
from photofinish.training.parts import Learner, as_pictures
from photofinish.training.stages import Conditions

# Seconds that a layer adds to what is compiled before the first step, and how many times that where its segment has
# programs of its own, forward, backward and to update it: of programs that have a name, which another process compiles
# meanwhile (`benchmarks/chaining.py`), and of those that have none (by hand). And the seconds that every segment costs
# in each step for being handed over apart (`benchmarks/variants.py`, `benchmarks/start.py`).
A_LAYER, APART = 0.09, 1.15
A_LAYER_UNNAMED, APART_UNNAMED = 0.07, 1.8
HANDED_OVER = 0.0028
# What is known of values before the first step: their shapes and types.
NUMBER, SUMS = np.zeros((), "float32"), np.zeros(3, "float32")


def pays(model: keras.Model, steps: int, *, named: bool = True) -> bool:
    """Return whether a network is trained segment by segment.

    That begins much sooner where many segments compute alike, but every step takes a little longer: it pays for a short
    training of a deep network.

    Args:
        model: The network.
        steps: Of the whole training.
        named: Whether what decides its programs is known, as it is not of someone's own model.
    """
    if not backend.chains():
        return False
    links, spared = links_and_spared(model, named=named)
    return spared > links * steps * HANDED_OVER


def links_and_spared(model: keras.Model, *, named: bool = True) -> tuple[int, float]:
    """Return how many segments a network has, and the seconds that those which are alike spare before a first step.

    Where few are alike, compiling each apart takes longer than all at once, and the seconds are negative.

    Args:
        model: The network.
        named: As for `pays`.
    """
    found = segments(model)
    layers = {segment.facts: len(segment.layers) for segment in found}
    all_layers = sum(len(segment.layers) for segment in found)
    a_layer, apart = (A_LAYER, APART) if named else (A_LAYER_UNNAMED, APART_UNNAMED)
    return len(found), a_layer * (all_layers - apart * sum(layers.values()))


def compile_chained_step(learner: Learner, conditions: Conditions, kept_as: str | None = None) -> Callable[..., Any]:
    """Compile the step of a stage segment by segment; it computes what that of `compile_step` does.

    Args:
        learner: What is trained; what its model says is trainable now is.
        conditions: What stays the same in this stage.
        kept_as: As for `backend.compiled`.

    Returns:
        As `compile_step` does.
    """
    guard = learner.guard
    variables = learner.model.trainable_variables
    optimizers = learner.optimizers_of(variables)
    states = {id(one) for optimizer, its in optimizers for one in states_of(optimizer, its)}
    counts = [one for optimizer, _ in optimizers for one in optimizer.variables if id(one) not in states]
    input_type = learner.model.inputs[0].dtype

    def begin(images: Any, labels: Any, draws: Any) -> tuple[Any, Any, Any]:
        seen, targets = learner.prepared(conditions, images, labels, draws)
        return ops.cast(seen, input_type), targets, as_pictures(seen)

    def judge(sums: Any, sizes: Sequence[Any]) -> tuple[Any, Any]:
        reason = guard.reason(sums[0], sizes)
        return reason, told(sums, reason)

    def end(reasons: Sequence[Any], sums: Any, rate: Any) -> Any:
        # All of them are the same number, and there when every link has been updated.
        reason = ops.max(ops.stack(list(reasons)))
        for optimizer, _ in optimizers:
            optimizer.learning_rate = guard.rate(rate)
            optimizer.iterations.assign_add(ops.cast(ops.equal(reason, 0), optimizer.iterations.dtype))
        guard.lower(reason)
        return sums + 0 * reason

    begun = backend.AssigningProgram(begin, [], _named(kept_as, "begin"), soon=True)
    judged = backend.AssigningProgram(judge, [], _named(kept_as, "judge"), soon=True)
    ended = backend.AssigningProgram(end, [*counts, *guard.variables], _named(kept_as, "end"), soon=True)
    chain = backend.Chain(
        [_link(learner, segment) for segment in segments(learner.model)],
        learner.judged,
        [*counts, *guard.variables],
        size_of,
        _named(kept_as, "links"),
    )

    def compilations(batch: tuple[Any, ...], weights: Any, rate: Any, decay: Any) -> Iterator[Callable[[], Any]]:
        (seen, targets, _), compilation = begun.ahead(*batch)
        yield compilation
        yield from chain.ahead(seen, (targets, weights), (NUMBER, rate, decay))
        for program, arguments in (
            (judged, (SUMS, [NUMBER] * chain.trained_links)),
            (ended, ([NUMBER] * len(chain), np.append(SUMS, NUMBER), rate)),
        ):
            _, compilation = program.ahead(*arguments)
            yield compilation

    is_compiled = False

    def step(images: Any, labels: Any, weights: Any, draws: Any, rate: Any, decay: Any) -> tuple[Any, Any]:
        nonlocal is_compiled
        with warnings.catch_warnings():
            # Of what a link is given to change, some may come back as it was.
            warnings.filterwarnings("ignore", message="Some donated buffers were not usable")
            if not is_compiled:
                backend.compile_beside(compilations((images, labels, draws), weights, rate, decay))
                is_compiled = True
            seen, targets, pictures = begun(images, labels, draws)
            sums, sizes = chain.backward(chain.forward(seen), targets, weights)
            reason, sums = judged(sums, sizes)
            return ended(chain.update(reason, rate, decay), sums, rate), pictures

    return step


def _link(learner: Learner, segment: Segment) -> backend.Link:
    """Return a segment as a link of the chain."""
    layers = segment.layers
    every = list({id(one): one for layer in layers for one in layer.variables}.values())
    weights = {id(one) for layer in layers for one in layer._trainable_variables}  # noqa: SLF001  # of frozen layers too
    trainable = {id(one) for one in learner.model.trainable_variables}
    trained = [one for one in every if id(one) in trainable]
    moved = [one for one in every if id(one) not in trainable and id(one) not in weights]
    optimizers = learner.optimizers_of(trained)
    averages = learner.average.of(every) if learner.average else []
    states = [one for optimizer, its in optimizers for one in states_of(optimizer, its)]
    # A step that is not applied moves no averages; generators go on all the same, so that the next step draws anew.
    kept = [one for one in moved if "float" in str(one.dtype)]
    generators = [one for one in moved if "float" not in str(one.dtype)]

    def update(slopes: Sequence[Any], new: Sequence[Any], reason: Any, rate: Any, decay: Any) -> None:
        by_variable = {id(variable): slope for variable, slope in zip(trained, slopes, strict=True)}
        new_values = {id(variable): value for variable, value in zip(moved, new, strict=True)}

        def make_final() -> None:
            for variable in kept:
                variable.assign(new_values[id(variable)])
            learner.update(optimizers, by_variable, rate)
            if learner.average:
                learner.average.update(decay, averages)

        for variable in generators:
            variable.assign(new_values[id(variable)])
        changed = [*trained, *states, *kept, *(average for average, _ in averages)]
        backend.only_if(ops.equal(reason, 0), make_final, changed)

    shares = [learner.rates.get(id(one), 1.0) for one in trained]
    place = {id(one): place for place, (_, its) in enumerate(learner.optimizers) for one in its}
    return backend.Link(
        forward=segment.train,
        update=update,
        trained=trained,
        moved=moved,
        fixed=[one for one in every if id(one) not in trainable and id(one) in weights],
        states=[*states, *(average for average, _ in averages)],
        constants=np.asarray(segment.rates, "float32"),
        facts=repr((segment.facts, shares, [place[id(one)] for one in trained])),
    )


def _named(kept_as: str | None, part: str) -> str | None:
    return None if kept_as is None else f"{kept_as} chained {part}"
