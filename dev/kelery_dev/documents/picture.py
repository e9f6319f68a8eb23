"""The README's picture of a terminal: commands of the laptop tutorial and their real output.

`python -m kelery_dev.documents.picture [FILE]` starts a stack with the tutorial's app, types the blocks that
are marked for the picture, and writes an SVG. It needs rich, which is in the dependency group `docs`.
"""

import argparse
import asyncio
import contextlib
import io
import os
import re
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.text import Text

from kelery_dev.documents import blocks, shell
from kelery_dev.errors import DevError
from kelery_dev.stack.stack import Stack, StackOptions
from kelery_dev.supervise import console

_DOCS = Path(__file__).parents[3] / "docs"
TUTORIAL = _DOCS / "tutorial" / "laptop.md"
PICTURE = _DOCS / "images" / "terminal.svg"
_APP = "proj"
_TITLE = "kubectl"
_STYLES = {"Running": "cyan", "Waiting": "yellow", "Cancelled": "red", "Succeeded": "green"}
_FONTS = "ui-monospace, SFMono-Regular, Menlo, Consolas, monospace"


def svg(typed: Sequence[blocks.Command]) -> str:
    """Commands and output as an SVG that loads nothing from the network."""
    lines = [line for command in typed for line in _lines(command)]
    screen = Console(
        record=True, file=io.StringIO(), width=max(len(line) for line in lines), color_system="truecolor"
    )
    for line in lines:
        screen.print(line, no_wrap=True, overflow="ignore", crop=False, highlight=False)
    drawn = screen.export_svg(title=_TITLE, unique_id="terminal")
    drawn = re.sub(r"\s*@font-face\s*\{[^}]*\}", "", drawn)
    drawn = drawn.replace("font-family: Fira Code, monospace", f"font-family: {_FONTS}")
    # Some programs would drop the spaces that begin a text, and with them the columns.
    return drawn.replace("<svg ", '<svg xml:space="preserve" ', 1)


def _lines(command: blocks.Command) -> list[Text]:
    shown = [Text.assemble(("$ ", "bold green"), (command.line, "bold"))]
    for line in command.output.splitlines():
        text = Text(line.rstrip())
        for word, style in _STYLES.items():
            text.highlight_regex(rf"(?<= ){word}(?= )", style)
        shown.append(text)
    return shown


async def _typed(folder: Path) -> list[blocks.Command]:
    """The tutorial's commands with what they print here."""
    commands = blocks.commands_marked(TUTORIAL, blocks.FOR_THE_PICTURE)
    quiet = console.Console(write=lambda _: None)
    async with Stack(StackOptions(state_dir=folder / "state", app=_APP, port=0), console=quiet) as stack:
        if stack.kubectl is None:
            raise DevError("the control plane has no kubectl")
        environment = {
            **os.environ,
            "KUBECONFIG": str(stack.kubeconfig),
            "PATH": f"{stack.kubectl.parent}{os.pathsep}{os.environ['PATH']}",
        }
        outputs = await asyncio.to_thread(
            shell.type_into_a_shell, commands, cwd=folder, environment=environment
        )
    return [
        blocks.Command(line=command.line, output=output)
        for command, output in zip(commands, outputs, strict=True)
    ]


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m kelery_dev.documents.picture", description="Draw the README's picture of a terminal."
    )
    parser.add_argument("file", nargs="?", type=Path, default=PICTURE, help=f"default: {PICTURE.name}")
    file = parser.parse_args(arguments).file.resolve()
    # Kelery's services and kubectl see the picture's cluster alone.
    os.environ.pop("KUBECONFIG", None)
    try:
        with tempfile.TemporaryDirectory(prefix="kelery-picture-") as name:
            folder = Path(name)
            blocks.write_files([TUTORIAL], folder=folder)
            # Where the worker finds the app.
            with contextlib.chdir(folder):
                typed = asyncio.run(_typed(folder))
    except DevError as error:
        print(f"kelery: {error}", file=sys.stderr)
        return 1
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(svg(typed))
    print(f"wrote {file}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
