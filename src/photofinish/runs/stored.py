"""Records that lie in a file of their own."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, Self

from pydantic import ValidationError

from photofinish.config.base import Settings
from photofinish.errors import StudyError
from photofinish.storage import read_json, write_json


class StoredRecord(Settings):
    """A record that is written to a JSON file and read from it.

    Attributes:
        called: What it is, with its article, for messages.
        remedy: What to do about a file that is none.
    """

    called: ClassVar[str]
    remedy: ClassVar[str]

    def write(self, path: Path) -> None:
        """Write the record to `path`, wholly or not at all."""
        write_json(path, self.model_dump(mode="json"))

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read a record.

        Raises:
            StudyError: The file is not a record of this version.
        """
        try:
            return cls.model_validate(read_json(path))
        except ValidationError as error:
            raise StudyError(
                f"{path} is not {cls.called} of this version of photofinish: {error.errors()[0]['msg']}; {cls.remedy}"
            ) from error
