"""The named entries of kubeconfigs, merged like kubectl merges them: the first entry of a name counts.

Every entry knows its file: relative paths start there, and every error names it. Invariant: errors name
fields and files, and never show a value of a user's entry.
"""

from __future__ import annotations

import base64
import binascii
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from kelery.errors import SettingsError

_KINDS = (("contexts", "context"), ("clusters", "cluster"), ("users", "user"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One context, cluster or user."""

    file: Path
    kind: str
    name: str
    content: Mapping[str, Any] = field(repr=False)

    def fault(self, where: str, problem: str) -> SettingsError:
        """The error for a field; `problem` also says how to fix it."""
        return SettingsError(f"{self.file}: {where} of {self.name!r} in {self.kind}: {problem}")

    def text(self, name: str) -> str:
        """The text of a field; empty if it is not set."""
        value = self.content.get(name)
        if value is not None and not isinstance(value, str):
            raise self.fault(name, "is not a string; put it in quotes")
        return value or ""

    def flag(self, name: str) -> bool:
        """The value of a boolean field; false if it is not set."""
        value = self.content.get(name)
        if value is not None and not isinstance(value, bool):
            raise self.fault(name, "must be true or false")
        return bool(value)

    def path(self, text: str) -> Path:
        """The path, relative to the entry's file."""
        return self.file.parent.absolute() / text

    def read(self, name: str) -> str:
        """The content of the file that a field names; empty if the field is not set."""
        text = self.text(name)
        if not text:
            return ""
        try:
            return self.path(text).read_text(encoding="utf-8")
        except OSError as error:
            raise self.fault(name, f"cannot read {self.path(text)}: {error.strerror}") from None
        except UnicodeDecodeError:
            raise self.fault(
                name, f"{self.path(text)} is not a text file; give a file in PEM or plain text"
            ) from None

    def pem(self, name: str) -> str | None:
        """PEM text from `name-data`, or else from the file that `name` gives."""
        data = self.text(f"{name}-data")
        if not data:
            return self.read(name) or None
        try:
            return base64.b64decode("".join(data.split()), validate=True).decode()
        except (binascii.Error, ValueError):
            raise self.fault(f"{name}-data", "is not base64 of PEM text; encode the PEM file") from None


class Entries:
    """The entries of one or several files."""

    def __init__(self, files: Sequence[Path]) -> None:
        """Ignores missing files; raises SettingsError if all are missing or one is invalid."""
        self._names = os.pathsep.join(str(file) for file in files)
        self._entries: dict[tuple[str, str], Entry] = {}
        self._current = ""
        there = [file for file in files if file.exists()]
        if not there:
            raise SettingsError(
                f"{self._names}: this kubeconfig does not exist; set KUBECONFIG to an existing file"
            )
        for file in there:
            self._add(file, _load(file))

    def context(self, wanted: str | None) -> Entry:
        """The context with this name, or the current context."""
        if name := wanted or self._current:
            return self.named("contexts", name)
        raise SettingsError(
            f"{self._names}: the kubeconfig has no current-context;"
            " choose one with kubectl config use-context"
        )

    def named(self, kind: str, name: str) -> Entry:
        """The entry of this kind and name; raises SettingsError if there is none."""
        found = self._entries.get((kind, name))
        if found is None:
            raise SettingsError(
                f"{self._names}: {kind} has no entry named {name!r};"
                " choose another context with kubectl config use-context"
            )
        return found

    def _add(self, file: Path, content: Mapping[str, Any]) -> None:
        self._current = self._current or str(content.get("current-context") or "")
        for kind, inner in _KINDS:
            for name, value in _items(file, kind, inner, content.get(kind)):
                entry = Entry(file=file, kind=kind, name=name, content=value)
                self._entries.setdefault((kind, name), entry)


def _items(file: Path, kind: str, inner: str, listed: object) -> Iterator[tuple[str, Mapping[str, Any]]]:
    items = [] if listed is None else listed
    if not isinstance(items, list):
        raise SettingsError(f"{file} is not a valid kubeconfig: {kind} is not a list")
    for number, item in enumerate(items):
        if not isinstance(item, dict) or not isinstance(item.get("name"), str):
            raise SettingsError(f"{file} is not a valid kubeconfig: {kind}[{number}] has no name")
        value = item.get(inner)
        if not isinstance({} if value is None else value, dict):
            raise SettingsError(
                f"{file} is not a valid kubeconfig: {inner} of {item['name']!r} in {kind} is not a mapping"
            )
        yield item["name"], value or {}


def _load(file: Path) -> Mapping[str, Any]:
    try:
        content = yaml.safe_load(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise SettingsError(f"cannot read the kubeconfig {file}: {error.strerror}") from None
    except (UnicodeDecodeError, yaml.YAMLError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f", line {mark.line + 1}" if mark else ""
        # Without the cause, which shows the line.
        raise SettingsError(f"cannot read the kubeconfig {file}: it is not YAML{where}") from None
    # For kubectl, an empty file is a kubeconfig without entries.
    if not isinstance(content if content is not None else {}, dict):
        raise SettingsError(f"{file} is not a kubeconfig")
    return content or {}
