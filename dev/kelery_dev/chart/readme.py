"""Write the table of values in the chart's README and in docs/reference/values.md, from values.yaml.

`python -m kelery_dev.chart.readme` writes both files. With `--check` it writes nothing, and fails if one of
them is out of date.

Invariant: every value has a comment `# -- ...` directly above it, or above a map that holds it.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

_ROOT = Path(__file__).parents[3]
CHART = _ROOT / "charts" / "kelery"
#: The files that show the table.
DOCUMENTS = (CHART / "README.md", _ROOT / "docs" / "reference" / "values.md")
_BEGIN, _END = "<!-- values: written by `python -m kelery_dev.chart.readme` -->", "<!-- end of the values -->"
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
    rows = [f"| `{v.path}` | `{_cell(v.default)}` | {_cell(v.meaning)} |" for v in values]
    return "\n".join(["| value | default | meaning |", "|---|---|---|", *rows])


def with_table(document: str, *, values: str) -> str:
    """The document with the table of this values.yaml between its two marks."""
    before, begin, rest = document.partition(_BEGIN)
    _, end, after = rest.partition(_END)
    if not begin or not end:
        raise ValueError(f"the document needs the lines {_BEGIN} and {_END}")
    return f"{before}{begin}\n\n{table(values_of(values))}\n\n{end}{after}"


def main(arguments: Sequence[str], *, documents: Sequence[Path] = DOCUMENTS) -> int:
    """The exit status: 1 if a document cannot be written, or with `--check` if it is out of date."""
    values = (CHART / "values.yaml").read_text()
    outdated = []
    for document in documents:
        old = document.read_text()
        try:
            new = with_table(old, values=values)
        except ValueError as error:
            print(f"{document}: {error}", file=sys.stderr)
            return 1
        if new == old:
            continue
        if "--check" in arguments:
            outdated.append(document)
        else:
            document.write_text(new)
    for document in outdated:
        print(f"{document} is out of date; run: python -m kelery_dev.chart.readme", file=sys.stderr)
    return 1 if outdated else 0


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


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
