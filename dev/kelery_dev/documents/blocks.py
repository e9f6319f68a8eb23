"""The fenced blocks of a Markdown file that carry a mark, an HTML comment in the line above the fence.

| mark | block |
|---|---|
| `<!-- file: NAME -->` | the content of that file |
| `<!-- run -->` | commands after `$ ` and their output, where `...` matches anything |
| `<!-- run: for the picture -->` | the same, also shown in the picture of a terminal |
| `<!-- run: in the background -->` | a command that keeps running |
| `<!-- run: on a cluster -->` | commands for a real cluster, which the end-to-end tests type |

The tests give other marks a meaning of their own.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

RUN = "run"
FOR_THE_PICTURE = "run: for the picture"
IN_THE_BACKGROUND = "run: in the background"
ON_A_CLUSTER = "run: on a cluster"
#: The marks of commands that are typed into one shell, in the order of the document.
TYPED = (RUN, FOR_THE_PICTURE)

_FILE = "file: "
_BLOCK = re.compile(r"^<!-- (?P<mark>[^\n]*?) -->\n```(?P<language>\w*)\n(?P<text>.*?)^```$", re.M | re.S)


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """One marked block."""

    mark: str
    language: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """One command and its output."""

    line: str
    output: str


def marked_blocks(document: Path) -> list[Block]:
    """All of them, in order."""
    return [
        Block(mark=found["mark"], language=found["language"], text=found["text"])
        for found in _BLOCK.finditer(document.read_text())
    ]


def commands(block: Block) -> list[Command]:
    """The commands of a block."""
    first, *parts = re.split(r"^\$ ", block.text, flags=re.M)
    assert first == "", f"a block of commands begins with one: {block.text}"
    split = [part.partition("\n") for part in parts]
    return [Command(line=line, output=output.strip()) for line, _, output in split]


def commands_marked(document: Path, *marks: str) -> list[Command]:
    """The commands of all blocks with one of these marks, in order."""
    blocks = [block for block in marked_blocks(document) if block.mark in marks]
    return [command for block in blocks for command in commands(block)]


def write_files(documents: Sequence[Path], *, folder: Path) -> list[str]:
    """Write the files that the documents show; their names."""
    blocks = [block for document in documents for block in marked_blocks(document)]
    files = [block for block in blocks if block.mark.startswith(_FILE)]
    names = [block.mark.removeprefix(_FILE) for block in files]
    assert len(names) == len(set(names)), f"two documents show a file of the same name: {sorted(names)}"
    for name, block in zip(names, files, strict=True):
        (folder / name).write_text(block.text)
    return names
