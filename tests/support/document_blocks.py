"""The fenced blocks of a Markdown file that carry a mark, an HTML comment in the line above the fence.

`<!-- file: NAME -->`: the block is that file's content. `<!-- run -->`: commands after `$ ` and what they
print, where `...` stands for anything. `<!-- run: in the background -->`: a command that stays.
`<!-- run: on a cluster -->`: commands for a real cluster, which the end-to-end tests type.
"""

import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

#: The checkout, where the documents are.
ROOT = Path(__file__).parents[2]

_SEPARATOR = "=== end of a command, status "
_BLOCK = re.compile(r"^<!-- (?P<mark>[^\n]*?) -->\n```(?P<language>\w*)\n(?P<text>.*?)^```$", re.M | re.S)


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """One marked block."""

    mark: str
    language: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """One command and what it prints."""

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


def prints(expected: str, *, actual: str) -> bool:
    """Whether the output is as the document says, spaces aside."""
    pattern = re.escape(" ".join(expected.split())).replace(re.escape("..."), ".*")
    return re.fullmatch(pattern, " ".join(actual.split())) is not None


def type_into_a_shell(typed: list[Command], *, cwd: Path, environment: dict[str, str]) -> list[str]:
    """What each command prints, all in one shell; fails at the first that fails."""
    lines = [f"{command.line}\necho; echo '{_SEPARATOR}'$?" for command in typed]
    ran = subprocess.run(
        ["sh"],
        input="\n".join(lines),
        cwd=cwd,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=120,
    )
    *parts, rest = re.split(rf"^{_SEPARATOR}(\d+)\n", ran.stdout, flags=re.M)
    assert rest == "", ran.stdout
    outputs, statuses = parts[::2], parts[1::2]
    assert set(statuses) == {"0"}, ran.stdout
    return [output.strip() for output in outputs]
