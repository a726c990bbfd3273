"""The base of all settings: pydantic models that cannot change and that explain what they refuse."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, ValidationError

from photofinish.errors import SettingsError, nearest

LONGEST_SHOWN = 200


class Settings(BaseModel):
    """A frozen group of settings.

    Examples:
        >>> class Bakery(Settings):
        ...     loaves: int = 1
        >>> Bakery.of({"loave": 2})
        Traceback (most recent call last):
        ...
        photofinish.errors.SettingsError: unknown setting 'loave': did you mean 'loaves'?
    """

    model_config = ConfigDict(
        frozen=True, extra="forbid", validate_default=True, allow_inf_nan=False, populate_by_name=True
    )

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> Self:
        """Validate `values`, turning pydantic's complaints into one line that names the remedy.

        Args:
            values: Setting names and their values; what is absent takes its default.

        Raises:
            SettingsError: A name is unknown or a value impossible.
        """
        for name in values:
            if name not in cls.model_fields:
                raise SettingsError(f"unknown setting '{name}': {nearest(name, cls.model_fields)}")
        try:
            return cls.model_validate(dict(values))
        except ValidationError as error:
            raise SettingsError("; ".join(_explain(detail) for detail in error.errors())) from error

    def but(self, **changes: Any) -> Self:
        """Return a copy with some settings changed, validated anew."""
        return self.of({**self.model_dump(), **changes})

    @classmethod
    def explanations(cls) -> dict[str, str]:
        """Return what the class docstring says of each setting, on one line each.

        Examples:
            >>> class Oven(Settings):
            ...     \"\"\"Settings of an oven.
            ...
            ...     Attributes:
            ...         degrees: Temperature
            ...             in Celsius.
            ...     \"\"\"
            ...     degrees: int = 200
            >>> Oven.explanations()
            {'degrees': 'Temperature in Celsius.'}
        """
        section = (cls.__doc__ or "").partition("Attributes:")[2]
        found: dict[str, list[str]] = {}
        for line in section.splitlines():
            name, colon, text = line.strip().partition(": ")
            if colon and name in cls.model_fields:
                found[name] = [text]
            elif line.strip() and found:
                found[next(reversed(found))].append(line.strip())
        return {name: " ".join(texts) for name, texts in found.items()}


def _explain(detail: Any) -> str:
    """Say in one line what pydantic found wrong."""
    message = str(detail["msg"]).removeprefix("Value error, ")
    message = message[:1].lower() + message[1:]
    where = ".".join(str(part) for part in detail["loc"])
    if not where:
        return message
    value = detail["input"]
    if detail["type"] == "literal_error" and isinstance(value, str):
        possible = [word.strip(" '") for word in detail["ctx"]["expected"].replace(" or ", ",").split(",")]
        message = nearest(value, possible)
    return f"{where}={_briefly(value)}: {message}"


def _briefly(value: Any) -> str:
    """Write a value for a message: a file may hold a text of megabytes, or a number that Python refuses to write."""
    try:
        text = repr(value)
    except (ValueError, RecursionError):
        return "a value too long to show"
    return text if len(text) <= LONGEST_SHOWN else f"{text[:LONGEST_SHOWN]}..."
