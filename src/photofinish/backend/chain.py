"""A network computed link by link, so that links which compute alike share their programs.

As one program a deep network takes long to compile, and, what is worse, long to read from the cache of compiled
programs: XLA looks for the operations of a program one by one. As a chain of programs, EfficientNetV2-L needs those of
15 links instead of 80. The host hands over the next program while the device computes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from photofinish.backend.choice import active, on_cpu
from photofinish.backend.programs import Program, Values, functional, hand_over, shapes_of, values_of
from photofinish.backend.recipes import Recipe

# Bytes: the programs of a chain are small and many, and one start of another process serves them all.
LARGE_OF_MANY = 8_000


def chains() -> bool:
    """Return whether training link by link pays here: measured under JAX on a processor, and only there."""
    return active() == "jax" and on_cpu()


@dataclass(frozen=True, eq=False)
class Link:
    """A part of a network that takes what the part before it gives.

    Attributes:
        forward: Computes outputs from inputs and `constants`; reads variables, and assigns those of `moved`.
        update: Is given the slopes of `trained`, the new values of `moved`, and what the chain's caller adds; assigns
            `trained`, `states` and `moved`, and reads `fixed` and the chain's `shared` variables.
        trained: The variables to differentiate by.
        moved: What `forward` assigns: BatchNormalization's averages, generators.
        fixed: What `forward` and `update` only read.
        states: What else `update` assigns: the optimiser's state, averages of weights.
        constants: Numbers in which links that otherwise compute alike differ.
        facts: Links that compute alike, apart from their variables' values and constants, have equal facts.
    """

    forward: Callable[[Any, Any], Any]
    update: Callable[..., None]
    trained: Sequence[Any]
    moved: Sequence[Any]
    fixed: Sequence[Any]
    states: Sequence[Any]
    constants: Any
    facts: str


class Chain:
    """The compiled programs of all links, for one step after another.

    Args:
        links: In order.
        objective: Of the last link's outputs and what else `backward` is given: the loss, and what is to be returned.
        shared: The variables that every link's `update` reads.
        measure: Of the slopes of a link's variables, computed beside them.
        kept_as: As for `compiled`.
    """

    def __init__(
        self,
        links: Sequence[Link],
        objective: Callable[..., tuple[Any, Any]],
        shared: Sequence[Any],
        measure: Callable[[Values], Any],
        kept_as: str | None,
    ) -> None:
        import jax

        programs: dict[str, _Programs] = {}
        self._shared = shared
        self._objective = Program(
            lambda outputs, others: jax.value_and_grad(objective, has_aux=True)(outputs, *others),
            _named(kept_as, "end"),
            soon=True,
        )
        self._runs: list[_Run] = []
        # Below the first link that is trained nothing is differentiated.
        lowest = next((place for place, link in enumerate(links) if link.trained), len(links))
        for place, link in enumerate(links):
            role = "first trained" if place == lowest else "trained" if place > lowest else "frozen"
            facts = f"{role}: {link.facts}"
            if facts not in programs:
                name = None if kept_as is None else f"{kept_as} link {place}"
                given = {"is_trained": place >= lowest, "passes_on": place > lowest}
                programs[facts] = _Programs(link, shared, measure, name, **given)
            self._runs.append(_Run(link, programs[facts]))

    def ahead(self, inputs: Any, others: tuple[Any, ...], controls: tuple[Any, ...]) -> Iterator[Callable[[], Any]]:
        """Trace the programs ahead of the first step; yield what compiles each of them, in any thread.

        Args:
            inputs: As `forward` is given.
            others: As `backward` is given.
            controls: As `update` is given, of any values.
        """
        shared = values_of(self._shared)
        found: dict[tuple[Any, ...], Any] = {}
        for run in self._runs:
            # Links that share their programs mostly have inputs of one shape.
            key = id(run.programs), inputs.shape, inputs.dtype
            if key not in found:
                found[key], *compilations = run.ahead(inputs, shared, controls)
                yield from compilations
            inputs = found[key]
        _, compilation = self._objective.ahead(inputs, shapes_of(others))
        yield compilation

    @property
    def trained_links(self) -> int:
        """How many links are trained: so many measures `backward` returns."""
        return sum(run.programs.is_trained for run in self._runs)

    def __len__(self) -> int:
        """Return the number of links."""
        return len(self._runs)

    def forward(self, inputs: Any) -> Any:
        """Compute the network's outputs, and keep what its gradient needs."""
        for run in self._runs:
            inputs = run.forward(inputs)
        return inputs

    def backward(self, outputs: Any, *others: Any) -> tuple[Any, list[Any]]:
        """Compute the gradients of all trained variables.

        Args:
            outputs: The network's.
            others: What the objective takes besides.

        Returns:
            What the objective returns besides the loss, and the measures of all links.
        """
        (_, returned), slopes = self._objective(outputs, others)
        measures = []
        for run in reversed(self._runs):
            if run.programs.is_trained:
                slopes, measure = run.backward(slopes)
                measures.append(measure)
        return returned, measures

    def update(self, *controls: Any) -> list[Any]:
        """Let every link update its variables.

        Args:
            controls: What the links' `update` is given besides slopes and new values.

        Returns:
            Something of every link that is there when its update has been computed.
        """
        shared = values_of(self._shared)
        return [run.update(shared, controls) for run in self._runs]


class _Programs:
    """What links that compute alike share: three programs, compiled when they are first used.

    The programs are written for the first of the links; the values that they are given decide for which one they run.
    What the backward program needs is kept by the forward one where it is dear, as matrix products are, and computed a
    second time where it is cheap: to write and read it would take longer, and to compile what writes it as well.
    """

    def __init__(
        self,
        link: Link,
        shared: Sequence[Any],
        measure: Callable[[Values], Any],
        name: str | None,
        *,
        is_trained: bool,
        passes_on: bool,
    ) -> None:
        self._link = link
        self.is_trained, self._passes_on = is_trained, passes_on
        self._measure = measure
        self._recipes: dict[Any, Recipe] = {}
        self.forward = Program(self._forward, _named(name, "forward"), large=LARGE_OF_MANY, soon=True)
        self.backward = Program(self._backward, _named(name, "backward"), large=LARGE_OF_MANY, soon=True)
        changed = [*link.trained, *link.states, *link.moved]
        update = functional(link.update, [*changed, *link.fixed, *shared], only_these=True)

        def updated(values: Values, given: tuple[Values, Values, Values, Values], controls: tuple[Any, ...]) -> Any:
            fixed, shared_values, slopes, moved = given
            _, new = update([*values, *fixed, *shared_values], (slopes, moved, *controls))
            # With something that is there when the rest is: a number that the next step does not use up.
            return controls[0], new[: len(changed)]

        self.update = Program(updated, _named(name, "update"), donated=(0,), large=LARGE_OF_MANY, soon=True)

    def _forward(self, values: tuple[Values, Values, Values], arguments: tuple[Any, Any]) -> Any:
        """Return outputs, the new values of what moves, and what `_backward` needs and cannot easily compute."""
        kept: Values = []

        def keep(_: int, compute: Callable[[], Values]) -> Values:
            new = compute()
            # Nobody differentiates by what is below the first link that is trained.
            if self.is_trained:
                kept.extend(new)
            return new

        outputs, moved, _ = self._recipe(values, arguments).follow((values, arguments), keep)
        return outputs, moved, kept

    def _backward(self, values: tuple[Values, tuple[Values, Values, Values]], arguments: tuple[Any, Any, Any]) -> Any:
        """Return the slopes of the trained variables and of the inputs, and the measure of the former."""
        kept, of_variables = values
        *given, slopes = arguments
        rest = list(kept)

        def find(count: int, _: Callable[[], Values]) -> Values:
            found, rest[:count] = rest[:count], []
            return found

        inputs = of_variables, tuple(given)
        _, _, pull_back = self._recipe(*inputs).follow(inputs, find)
        of_trained, *of_inputs = pull_back(slopes)
        return of_trained, of_inputs[0] if of_inputs else None, self._measure(of_trained)

    def _recipe(self, values: tuple[Values, Values, Values], arguments: tuple[Any, Any]) -> Recipe:
        """Return how everything is computed that a gradient may need."""
        shape = tuple(arguments[1].shape), str(arguments[1].dtype)
        if shape not in self._recipes:
            self._recipes[shape] = Recipe(self._differentiated, values, arguments)
        return self._recipes[shape]

    def _differentiated(self, values: tuple[Values, Values, Values], arguments: tuple[Any, Any]) -> Any:
        """Return outputs, the new values of what moves, and what computes the gradient."""
        import jax

        link = self._link
        trained, moved, fixed = values
        constants, inputs = arguments
        compute = functional(link.forward, [*link.trained, *link.moved, *link.fixed])

        def outputs_of(trained: Values, inputs: Any) -> tuple[Any, Values]:
            outputs, new = compute([*trained, *moved, *fixed], (inputs, constants))
            return outputs, new[len(trained) : len(trained) + len(moved)]

        if not trained:
            return *outputs_of(trained, inputs), None
        if self._passes_on:
            outputs, pull_back, new = jax.vjp(outputs_of, trained, inputs, has_aux=True)
        else:
            outputs, pull_back, new = jax.vjp(lambda some: outputs_of(some, inputs), trained, has_aux=True)
        return outputs, new, pull_back


def _named(name: str | None, part: str) -> str | None:
    return None if name is None else f"{name} {part}"


class _Run:
    """A link in a step: its values on their way from one program to the next."""

    def __init__(self, link: Link, programs: _Programs) -> None:
        self.link, self.programs = link, programs
        self._changed = [*link.trained, *link.states, *link.moved]
        self._values: tuple[Values, Values, Values] = [], [], []
        self._inputs: Any = None
        self._kept: Values = []
        self._moved: Values = []
        self._slopes: Values = []

    def ahead(self, inputs: Any, shared: Values, controls: tuple[Any, ...]) -> list[Any]:
        """Trace the programs.

        Returns:
            What outputs will look like, and what compiles each of the programs that a step uses.
        """
        link, programs = self.link, self.programs
        values = self._read()
        (outputs, moved, kept), forward = programs.forward.ahead(values, (link.constants, inputs))
        if not programs.is_trained:
            slopes: Any = []
            compilations = [forward]
        else:
            arguments = link.constants, inputs, outputs
            (slopes, _, _), backward = programs.backward.ahead((kept, values), arguments)
            compilations = [forward, backward]
        if self._changed:
            given = values[-1], shared, slopes, moved
            _, update = programs.update.ahead(values_of(self._changed), given, controls)
            compilations.append(update)
        return [outputs, *compilations]

    def _read(self) -> tuple[Values, Values, Values]:
        return values_of(self.link.trained), values_of(self.link.moved), values_of(self.link.fixed)

    def forward(self, inputs: Any) -> Any:
        link = self.link
        self._values = self._read()
        self._inputs = inputs
        outputs, self._moved, self._kept = self.programs.forward(self._values, (link.constants, inputs))
        return outputs

    def backward(self, slopes: Any) -> tuple[Any, Any]:
        arguments = self.link.constants, self._inputs, slopes
        self._slopes, slopes, measure = self.programs.backward((self._kept, self._values), arguments)
        # What the device no longer needs must not be held here.
        self._inputs, self._kept = None, []
        return slopes, measure

    def update(self, shared: Values, controls: tuple[Any, ...]) -> Any:
        self._values = [], [], []
        if not self._changed:
            return controls[0]
        given = values_of(self.link.fixed), shared, self._slopes, self._moved
        done, values = self.programs.update(values_of(self._changed), given, controls)
        hand_over(self._changed, values)
        self._slopes, self._moved, self._inputs = [], [], None
        return done
