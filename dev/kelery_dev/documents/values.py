"""The table of values in the chart's README and in docs/reference/values.md, from values.yaml.

Invariant: every value has a comment `# -- ...` directly above it, or above a map that holds it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from kelery_dev.documents import parts as markdown

CHART = Path(__file__).parents[3] / "charts" / "kelery"
_MARK = re.compile(r" *# -- (?P<text>.*)")
_MORE = re.compile(r" *# (?!-- )(?P<text>.*)")
_KEY = re.compile(r"(?P<indent> *)(?P<key>[A-Za-z_][A-Za-z0-9_-]*):(?P<rest>.*)")


class Undocumented(ValueError):
    """A value without a comment."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Value:
    """One row of the table."""

    path: str
    default: str
    meaning: str


def values_of(text: str) -> list[Value]:
    """All values of a values.yaml, in its order.

    Raises `Undocumented` if a value does not have a comment.
    """
    defaults = yaml.safe_load(text)
    values = []
    for path, meaning in _documented(text):
        default = defaults
        for key in path:
            default = default[key]
        values.append(
            Value(path=".".join(path), default=json.dumps(default, ensure_ascii=False), meaning=meaning)
        )
    missing = set(_leaves(defaults)) - {value.path for value in values}
    missing = {leaf for leaf in missing if not any(leaf.startswith(f"{v.path}.") for v in values)}
    if missing:
        raise Undocumented(f"values without a comment `# --`: {', '.join(sorted(missing))}")
    return values


def table(values: Sequence[Value]) -> str:
    """As Markdown."""
    rows = ((markdown.code(value.path), markdown.code(value.default), value.meaning) for value in values)
    return markdown.table(("value", "default", "meaning"), rows)


def parts() -> dict[str, str]:
    """By the name of its mark."""
    return {"values": table(values_of((CHART / "values.yaml").read_text()))}


def _documented(text: str) -> Iterator[tuple[tuple[str, ...], str]]:
    """The keys with a `# --` comment above them, and its text."""
    stack: list[tuple[int, str]] = []
    meaning: list[str] = []
    for line in text.splitlines():
        if mark := _MARK.fullmatch(line):
            meaning = [mark["text"]]
        elif meaning and (more := _MORE.fullmatch(line)):
            meaning.append(more["text"])
        elif found := _KEY.fullmatch(line):
            indent = len(found["indent"])
            stack = [*(entry for entry in stack if entry[0] < indent), (indent, found["key"])]
            if meaning:
                yield tuple(key for _, key in stack), " ".join(meaning)
            meaning = []
        elif not line.strip():
            meaning = []


def _leaves(value: Any, path: str = "") -> Iterator[str]:
    if isinstance(value, dict) and value:
        for key, inner in value.items():
            yield from _leaves(inner, f"{path}.{key}" if path else str(key))
    else:
        yield path
