"""Checks the English of the documents: no phrase of a private dialect, and no sentence that is too long.

`python .ci/prose.py` reads every Markdown file, the CRD's descriptions and the chart's notes. It prints what
it finds, and exits with 1 if there is something. Code, links and HTML comments are not read.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from markdown_it import MarkdownIt
from markdown_it.token import Token

ROOT = Path(__file__).parents[1]
CHART = ROOT / "charts" / "kelery"
MOST_WORDS = 30
#: A standard text, which is kept word for word.
_NOT_OURS = {ROOT / "CODE_OF_CONDUCT.md"}
_FOLDERS = (".github", "charts", "docs", "examples", "tests")

#: What is wrong, and what to write instead.
_PHRASES = [
    (re.compile(pattern, re.IGNORECASE), instead)
    for pattern, instead in (
        (r"\bby (?:kubectl|curl|helm|http)\b", "with kubectl, over HTTP"),
        (r"\bstands? (?:in|there)\b", "is in"),
        (r"(?:^|[.;:] )who \w+(?: \w+)*[^?]$", "if you, anyone who"),
        (r"\b(?:has|have|had) not (?:an?|the|any|one|itself|themselves)\b", "does not have"),
        (r"\b(?:is|are|was|were) to be\b", "must be, should be"),
        (r"\bbesides?\b", "against, next to, in addition"),
        (r"\bfor certain\b", "reliably"),
        (r"\bfor ever\b", "indefinitely"),
        (r"\banew\b", "again"),
        (r"\bof late\b", "recently"),
        (r"\btill\b", "until"),
        (r"\bit takes\b", "it needs"),
        (r"\b(?:told|said|rung|hears?|heard)\b", "report, notify, redeliver, receive"),
        (r"\b(?:he|him|his|himself|she|her|herself)\b", "they, you"),
        (r"\bmay not\b", "cannot, must not, might not"),
        (r"\bso (?:many|much|long|often)\b(?! (?:that|as))", "name the number"),
        (r"\bwhat (?:it|they) takes?\b", "requirements"),
        (r"\bas ever\b", "as before"),
    )
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Text:
    """A paragraph, heading, table cell or description, in plain words."""

    where: str
    words: str


def findings(text: Text) -> Iterator[str]:
    """What an editor would change in it."""
    for sentence in re.split(r"(?<=[.!?])[\")]*\s+", text.words):
        if (count := len(sentence.split())) > MOST_WORDS:
            yield f"{text.where}: a sentence of {count} words, of at most {MOST_WORDS}: {sentence[:80]}..."
        for pattern, instead in _PHRASES:
            if found := pattern.search(sentence):
                yield f"{text.where}: '{found.group().strip()}'; write: {instead}"


def texts_of_markdown(content: str, *, name: str) -> Iterator[Text]:
    """Each paragraph, heading and cell."""
    line = 0
    for token in MarkdownIt("commonmark").enable("table").parse(content):
        line = token.map[0] + 1 if token.map else line
        if token.type == "inline":
            yield Text(where=f"{name}:{line}", words=_plain(token.children or ()))


def texts_of_crd(content: str, *, name: str) -> Iterator[Text]:
    """Each description."""

    def walk(node: Any, path: str) -> Iterator[Text]:
        if isinstance(node, dict):
            for key, child in node.items():
                if key in ("description", "message") and isinstance(child, str):
                    yield Text(where=f"{name}: {path}", words=" ".join(child.split()))
                else:
                    yield from walk(child, path if key in ("properties", "schema") else f"{path}.{key}")
        elif isinstance(node, list):
            for child in node:
                yield from walk(child, path)

    for document in yaml.safe_load_all(content):
        yield from walk(document, "")


def _plain(tokens: Sequence[Token]) -> str:
    """Code becomes one word, since it is read as one."""
    shown = {"text": lambda token: token.content, "code_inline": lambda _: "code"}
    return "".join(shown.get(token.type, lambda _: "")(token) or _gap(token) for token in tokens)


def _gap(token: Token) -> str:
    return " " if token.type in ("softbreak", "hardbreak") else ""


def every_text() -> Iterator[Text]:
    """Of all files."""
    documents = [*ROOT.glob("*.md"), *(path for folder in _FOLDERS for path in (ROOT / folder).rglob("*.md"))]
    for path in sorted(set(documents) - _NOT_OURS):
        yield from texts_of_markdown(path.read_text(), name=str(path.relative_to(ROOT)))
    for path in sorted((CHART / "files").rglob("*.yaml")):
        yield from texts_of_crd(path.read_text(), name=str(path.relative_to(ROOT)))
    notes = re.sub(r"\{\{.*?\}\}", "code", (CHART / "templates" / "NOTES.txt").read_text())
    yield from texts_of_markdown(notes, name="NOTES.txt")


def main(only: Sequence[str] = ()) -> int:
    """The exit status; `only`: beginnings of the names of files to look at."""
    texts = (text for text in every_text() if not only or text.where.startswith(tuple(only)))
    found = [finding for text in texts for finding in findings(text)]
    sys.stdout.writelines(f"{finding}\n" for finding in found)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
