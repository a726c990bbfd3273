"""Settings that grow from the first stage of training to the last."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from pydantic import GetCoreSchemaHandler
from pydantic_core import core_schema


@dataclass(frozen=True)
class Ramp:
    """A value for each stage of progressive learning, linear from the first to the last.

    Attributes:
        first: In the first stage.
        last: In the last, and in the only one.

    Examples:
        >>> [Ramp(128, 300).at(stage, 4) for stage in range(4)]
        [128.0, 185.33333333333334, 242.66666666666669, 300.0]
    """

    first: float
    last: float

    @property
    def is_constant(self) -> bool:
        """Whether all stages have the same value."""
        return self.first == self.last

    @property
    def largest(self) -> float:
        """The largest value of any stage."""
        return max(self.first, self.last)

    @property
    def smallest(self) -> float:
        """The smallest value of any stage."""
        return min(self.first, self.last)

    def at(self, stage: int, stages: int) -> float:
        """Return the value of a stage.

        Args:
            stage: 0 for the first.
            stages: Number of stages.
        """
        if stages == 1:
            return float(self.last)
        return float(self.first + (self.last - self.first) * stage / (stages - 1))

    def __str__(self) -> str:
        """Write it as it is typed: one number, or `first:last`."""
        return f"{self.last:g}" if self.is_constant else f"{self.first:g}:{self.last:g}"

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        """Let pydantic read and store it as it is typed."""
        stored = core_schema.plain_serializer_function_ser_schema(_plain)
        return core_schema.no_info_plain_validator_function(parse_ramp, serialization=stored)


@dataclass(frozen=True)
class Between:
    """Bounds of a `Ramp`, for `Annotated`.

    Attributes:
        low: Smallest possible value.
        high: Largest possible value.
    """

    low: float
    high: float

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        """Read the setting, then hold it against the bounds."""
        return core_schema.no_info_after_validator_function(self.check, handler(source))

    def check(self, ramp: Ramp) -> Ramp:
        """Return `ramp` if it lies between the bounds.

        Raises:
            ValueError: It does not.
        """
        if ramp.smallest < self.low or ramp.largest > self.high:
            raise ValueError(f"must lie between {self.low:g} and {self.high:g}")
        return ramp


def parse_ramp(value: Any) -> Ramp:
    """Read a number, or `first:last`.

    Args:
        value: A number, `"first:last"`, or a pair.

    Raises:
        ValueError: It is neither.

    Examples:
        >>> parse_ramp("0.1:0.5"), parse_ramp(3)
        (Ramp(first=0.1, last=0.5), Ramp(first=3.0, last=3.0))
    """
    if isinstance(value, Ramp):
        return value
    parts = value.split(":") if isinstance(value, str) else value if isinstance(value, tuple | list) else [value]
    try:
        numbers = [float(part) for part in parts]
    except (TypeError, ValueError):
        numbers = []
    if isinstance(value, bool) or len(numbers) not in {1, 2} or not all(math.isfinite(number) for number in numbers):
        raise ValueError("give a number, or first:last for stages of progressive learning")
    return Ramp(numbers[0], numbers[-1])


def _plain(ramp: Ramp) -> float | str:
    """Return what is stored: as it is typed, to the last digit."""
    first, last = (int(value) if float(value).is_integer() else float(value) for value in (ramp.first, ramp.last))
    return last if ramp.is_constant else f"{first!r}:{last!r}"
