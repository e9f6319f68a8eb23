"""Reads typed fields from JSON that a user wrote. An error names the field and the fix.

Reading raises nothing: a refused field reads as absent, and its problem is collected. `refuse_if_any` then
raises all problems at once, and only after it are the values valid. `null` reads as absent, as in the API
server for fields that are not nullable.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Mapping
from typing import Any

from kelery.errors import FieldFault, FieldPath, InvalidInput

#: Unicode categories that a name must not contain: separators, control, format, private use, surrogates.
_UNFIT_FOR_NAMES = ("Z", "Cc", "Cf", "Co", "Cs")


class FieldReader:
    """Reads one JSON object at `path`. Keys that are not in `fields` are refused."""

    def __init__(
        self,
        value: Any,
        *,
        path: FieldPath,
        fields: Collection[str],
        problems: list[FieldFault] | None = None,
    ) -> None:
        self._path = path
        self._problems: list[FieldFault] = [] if problems is None else problems
        self._is_object = isinstance(value, Mapping)
        self._values: Mapping[Any, Any] = value if isinstance(value, Mapping) else {}
        if not self._is_object:
            self._refuse_value(path, f"must be an object, not {json_type(value)}")
        for unknown in sorted(str(name) for name in self._values if name not in fields):
            self.refuse(unknown, f"unknown field; use one of {', '.join(fields)}")

    def has_refused(self, name: str) -> bool:
        """Whether the field was read and refused."""
        return any(problem.path == (*self._path, name) for problem in self._problems)

    def refuse(self, name: str, problem: str) -> None:
        """Collect a problem of the field."""
        self._refuse_value((*self._path, name), problem)

    def refuse_if_any(self) -> None:
        """Raise InvalidInput with all problems, if there are any."""
        if self._problems:
            first, *further = self._problems
            raise InvalidInput(first.path, first.problem, further=further)

    def get(self, name: str) -> Any:
        """The unchecked value; None if absent."""
        return self._values.get(name)

    def require(self, name: str, hint: str) -> None:
        """Refuse the field if it is absent. `hint` says what to give."""
        if self._is_object and self.get(name) is None:
            self.refuse(name, f"is missing; {hint}")

    def object(self, name: str, *, fields: Collection[str]) -> FieldReader | None:
        """The reader of a nested object; None if absent."""
        value = self.get(name)
        if value is None:
            return None
        return FieldReader(value, path=(*self._path, name), fields=fields, problems=self._problems)

    def integer(self, name: str, *, least: int, most: int) -> int | None:
        """An integer from `least` to `most`; None if absent."""
        value = self.get(name)
        if value is None:
            return None
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, int):
            self.refuse(name, f"must be an integer, not {json_type(value)}; give {least} to {most}")
        elif not least <= value <= most:
            self.refuse(name, f"{_shown(value)} is out of range; give {least} to {most}")
        else:
            return value
        return None

    def text(self, name: str, *, longest: int) -> str | None:
        """A string of 1 to `longest` characters; None if absent."""
        value = self.get(name)
        if value is None:
            return None
        if not isinstance(value, str):
            self.refuse(name, f"must be a string, not {json_type(value)}")
        elif not 1 <= len(value) <= longest:
            self.refuse(name, f"is {len(value)} characters long; give 1 to {longest}")
        else:
            return value
        return None

    def name(self, name: str, *, longest: int) -> str | None:
        """A string without whitespace, control or invisible characters; None if absent."""
        value = self.text(name, longest=longest)
        if value is not None and any(_is_unfit(character) for character in value):
            self.refuse(name, "must not contain whitespace, control or invisible characters; remove them")
            return None
        return value

    def matching(self, name: str, *, longest: int, pattern: re.Pattern[str], allowed: str) -> str | None:
        """A string that matches `pattern`, which `allowed` describes; None if absent."""
        value = self.text(name, longest=longest)
        if value is not None and not pattern.fullmatch(value):
            self.refuse(name, f"can contain only {allowed}")
            return None
        return value

    def choice(self, name: str, *, options: Collection[str]) -> str | None:
        """One of the options; None if absent."""
        value = self.get(name)
        return None if value is None else self._one_of(value, path=(*self._path, name), options=options)

    def words(self, name: str, *, options: Collection[str]) -> list[str] | None:
        """At least one of the options, without duplicates; None if absent."""
        items = self.items(name, most=len(options))
        if items is None:
            return None
        path = (*self._path, name)
        if not items:
            self._refuse_value(path, f"is empty; give one or more of {', '.join(options)}")
        words = [self._one_of(item, path=(*path, index), options=options) for index, item in enumerate(items)]
        for option in options:
            if words.count(option) > 1:
                again = words.index(option, words.index(option) + 1)
                self._refuse_value((*path, again), f"{option} is repeated; give each value once")
        return [word for word in words if word is not None]

    def items(self, name: str, *, most: int) -> list[Any] | None:
        """A list; None if absent. A list that is too long is refused, and returned for further checks."""
        value = self.get(name)
        if value is None:
            return None
        if not isinstance(value, (list, tuple)):
            self.refuse(name, f"must be a list, not {json_type(value)}")
            return None
        if len(value) > most:
            self.refuse(name, f"has {len(value)} items; give at most {most}")
        return list(value)

    def mapping(self, name: str, *, most: int) -> dict[str, Any] | None:
        """An object with string keys; None if absent."""
        value = self.get(name)
        if value is None:
            return None
        if not isinstance(value, Mapping) or any(not isinstance(key, str) for key in value):
            self.refuse(name, f"must be an object, not {json_type(value)}")
            return None
        if len(value) > most:
            self.refuse(name, f"has {len(value)} entries; give at most {most}")
        return dict(value)

    def _one_of(self, value: Any, *, path: FieldPath, options: Collection[str]) -> str | None:
        if isinstance(value, str) and value in options:
            return value
        self._refuse_value(path, f"{_shown(value)} is not supported; give one of {', '.join(options)}")
        return None

    def _refuse_value(self, path: FieldPath, problem: str) -> None:
        self._problems.append(FieldFault(path=path, problem=problem))


def is_name(value: Any, *, longest: int) -> bool:
    """Whether `FieldReader.name` accepts the value."""
    return (
        isinstance(value, str)
        and 1 <= len(value) <= longest
        and not any(_is_unfit(character) for character in value)
    )


def as_mapping(value: Any) -> Mapping[str, Any]:
    """The value if it is an object, else an empty one."""
    return value if isinstance(value, Mapping) else {}


def as_text(value: Any) -> str:
    """The value if it is a string, else an empty one."""
    return value if isinstance(value, str) else ""


def json_type(value: Any) -> str:
    """The type of a JSON value, with its article."""
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
    """At most 64 characters for a message. For lists and objects, only the type."""
    if not isinstance(value, (str, int)) or isinstance(value, bool):
        return json_type(value)
    text = repr(value) if isinstance(value, str) or abs(value) < 10**20 else "a huge number"
    return text if len(text) <= 64 else f"{text[:60]}..."
