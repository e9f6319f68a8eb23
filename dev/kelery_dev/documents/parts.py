"""Generated parts of a Markdown document, each between two marks.

Invariant: text outside the marks does not change.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping


def begin(name: str) -> str:
    """The line above a generated part."""
    return f"<!-- {name}: written by `python -m kelery_dev.documents` -->"


def end(name: str) -> str:
    """The line below a generated part."""
    return f"<!-- end of {name} -->"


def with_parts(document: str, *, parts: Mapping[str, str]) -> str:
    """The document with each named part replaced; ValueError if the marks of one are missing."""
    for name, text in parts.items():
        before, first, rest = document.partition(begin(name))
        _, last, after = rest.partition(end(name))
        if not first or not last:
            raise ValueError(f"the document needs the lines {begin(name)} and {end(name)}")
        document = f"{before}{first}\n\n{text}\n\n{last}{after}"
    return document


def table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """As Markdown."""
    titles = list(head)
    lines = [titles, ["---"] * len(titles), *rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |" for line in lines)


def code(text: str) -> str:
    """As code; "" stays empty."""
    return f"`{text}`" if text else ""
