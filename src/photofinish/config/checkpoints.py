"""How often a training is saved. No part of a cell's settings: it changes no result."""

from __future__ import annotations

import re
from typing import Annotated, Self

from pydantic import Field

from photofinish.config.base import Settings
from photofinish.errors import SettingsError


class CheckpointEvery(Settings):
    """How often a training is saved.

    Attributes:
        minutes: Minutes from one checkpoint to the next; 0 keeps none.
        steps: Save after every so many steps instead, whatever the time.
    """

    minutes: Annotated[float, Field(ge=0)] = 1.0
    steps: Annotated[int, Field(ge=1)] | None = None

    @property
    def never(self) -> bool:
        """Whether nothing is saved."""
        return self.minutes == 0 and self.steps is None

    @classmethod
    def parse(cls, text: str | float) -> Self:
        """Read minutes, or steps.

        Args:
            text: `0.5` for half a minute, `200steps` for every 200 steps, 0 for never.

        Raises:
            SettingsError: It is neither.

        Examples:
            >>> [CheckpointEvery.parse(text).never for text in ("200steps", "0.5", 0)]
            [False, False, True]
        """
        steps = re.fullmatch(r"\s*(\d+)\s*steps?\s*", str(text))
        if steps:
            return cls.of({"steps": int(steps[1])})
        try:
            return cls.of({"minutes": float(text)})
        except ValueError:
            raise SettingsError(
                f"checkpoint-every={text!r}: give minutes, for example 5, or steps, for example 500steps; 0 is never"
            ) from None


DEFAULT_EVERY = CheckpointEvery()
