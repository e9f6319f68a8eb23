"""Reads typed fields out of JSON that a user wrote; a refusal names its path and what to give instead.

`null` is read as absent, as the API server reads it for fields that are not nullable.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Mapping
from typing import Any

from kelery.errors import InvalidInput

#: Separators, control, format, private and broken characters have no place in a name.
_UNFIT_FOR_NAMES = ("Z", "Cc", "Cf", "Co", "Cs")


class FieldReader:
    """One JSON object at `path`; anything in it that is not in `fields` is refused."""

    def __init__(self, value: Any, *, path: str, fields: Collection[str]) -> None:
        if not isinstance(value, Mapping):
            raise InvalidInput(path, f"must be an object, not {json_type(value)}")
        unknown = sorted(str(name) for name in value if name not in fields)
        if unknown:
            raise InvalidInput(f"{path}.{unknown[0]}", f"unknown field; {path} has {', '.join(fields)}")
        self._values = value
        self._path = path

    def path(self, name: str) -> str:
        """The field's path, as the user wrote it."""
        return f"{self._path}.{name}"

    def get(self, name: str) -> Any:
        """The field as it is; None if absent."""
        return self._values.get(name)

    def integer(self, name: str, *, least: int, most: int) -> int | None:
        """A whole number within bounds; None if absent."""
        value = self.get(name)
        if value is None:
            return None
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, int):
            raise InvalidInput(
                self.path(name), f"must be an integer, not {json_type(value)}; give {least} to {most}"
            )
        if not least <= value <= most:
            raise InvalidInput(self.path(name), f"{_shown(value)} is out of range; give {least} to {most}")
        return value

    def text(self, name: str, *, longest: int) -> str | None:
        """A string that is not empty; None if absent."""
        value = self.get(name)
        if value is None:
            return None
        if not isinstance(value, str):
            raise InvalidInput(self.path(name), f"must be a string, not {json_type(value)}")
        if not 1 <= len(value) <= longest:
            raise InvalidInput(self.path(name), f"is {len(value)} characters long; give 1 to {longest}")
        return value

    def name(self, name: str, *, longest: int) -> str | None:
        """A string without whitespace, control or invisible characters; None if absent."""
        value = self.text(name, longest=longest)
        if value is not None and any(_is_unfit(character) for character in value):
            raise InvalidInput(self.path(name), "must not have whitespace, control or invisible characters")
        return value

    def matching(self, name: str, *, longest: int, pattern: re.Pattern[str], allowed: str) -> str | None:
        """A string of a given form; None if absent."""
        value = self.text(name, longest=longest)
        if value is not None and not pattern.fullmatch(value):
            raise InvalidInput(self.path(name), f"may have {allowed}")
        return value

    def choice(self, name: str, *, options: Collection[str]) -> str | None:
        """One of a few words; None if absent."""
        value = self.get(name)
        if value is None:
            return None
        return self.one_of(value, path=self.path(name), options=options)

    def items(self, name: str, *, most: int) -> list[Any] | None:
        """A list; None if absent."""
        value = self.get(name)
        if value is None:
            return None
        if not isinstance(value, (list, tuple)):
            raise InvalidInput(self.path(name), f"must be a list, not {json_type(value)}")
        if len(value) > most:
            raise InvalidInput(self.path(name), f"has {len(value)} items; give at most {most}")
        return list(value)

    def mapping(self, name: str, *, most: int) -> dict[str, Any] | None:
        """An object with string keys; None if absent."""
        value = self.get(name)
        if value is None:
            return None
        if not isinstance(value, Mapping) or any(not isinstance(key, str) for key in value):
            raise InvalidInput(self.path(name), f"must be an object, not {json_type(value)}")
        if len(value) > most:
            raise InvalidInput(self.path(name), f"has {len(value)} entries; give at most {most}")
        return dict(value)

    @staticmethod
    def one_of(value: Any, *, path: str, options: Collection[str]) -> str:
        """`value` if it is one of `options`."""
        if not isinstance(value, str) or value not in options:
            raise InvalidInput(path, f"{_shown(value)} is unknown; give {', '.join(options)}")
        return value


def is_name(value: Any, *, longest: int) -> bool:
    """Whether `FieldReader.name` would take it."""
    return (
        isinstance(value, str)
        and 1 <= len(value) <= longest
        and not any(_is_unfit(character) for character in value)
    )


def json_type(value: Any) -> str:
    """What a user calls the type of a JSON value."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "a boolean"
    if isinstance(value, (int, float)):
        return "a number"
    if isinstance(value, str):
        return "a string"
    return "an object" if isinstance(value, Mapping) else "a list"


def _is_unfit(character: str) -> bool:
    return unicodedata.category(character).startswith(_UNFIT_FOR_NAMES)


def _shown(value: Any) -> str:
    """Short enough for a message, whatever somebody typed; structures are only named by their type."""
    if not isinstance(value, (str, int)) or isinstance(value, bool):
        return json_type(value)
    text = repr(value) if isinstance(value, str) or abs(value) < 10**20 else "a huge number"
    return text if len(text) <= 64 else f"{text[:60]}..."
