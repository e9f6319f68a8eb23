"""The command `kelery`: `version`, and the commands of all roles, which are entry points.

The core imports no role. A command's module is imported when the command is used. So `kelery version` works
and the list of commands is complete, no matter which extras are installed.
"""

from __future__ import annotations

import re
from importlib import metadata
from typing import IO, Any

import click

from kelery import __version__
from kelery.errors import KeleryError

_COMMANDS = "kelery.commands"
_DISTRIBUTION = "kelery"
#: Packages whose import name differs from their install name.
_IMPORT_NAMES = {"pyyaml": "yaml"}
#: Here, because reading them from the commands would import the commands.
_PURPOSES = {
    "api": "Run the gateway, a REST API for runs.",
    "bench": "Benchmark this installation.",
    "dev": "Run the whole stack on this machine for development.",
    "operator": "Run the operator, which turns TaskRuns into runs.",
    "version": "Print the version.",
    "worker": "Run a Celery worker that takes runs.",
}


class Sentence(click.ClickException):
    """An error that the user can fix: one message on stderr instead of a traceback."""

    exit_code = 2

    def show(self, file: IO[Any] | None = None) -> None:
        """Print the message without a prefix."""
        click.echo(self.message, err=True)


class Roles(click.Group):
    """A group with commands from entry points. Listing them imports nothing."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """All commands, even if their extra is not installed."""
        return sorted({*super().list_commands(ctx), *metadata.entry_points(group=_COMMANDS).names})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the command. If its extra is not installed, the error names it."""
        own = super().get_command(ctx, cmd_name)
        found = tuple(metadata.entry_points(group=_COMMANDS, name=cmd_name))
        if own is not None or not found:
            return own
        try:
            command = found[0].load()
        except ModuleNotFoundError as error:
            missing = (error.name or "").partition(".")[0]
            if missing not in imports_of_extra(cmd_name):
                raise
            raise Sentence(f"kelery {cmd_name} needs: pip install 'kelery[{cmd_name}]'") from error
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List names and purposes, without importing the commands."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, _PURPOSES.get(name, "")) for name in self.list_commands(ctx)])

    def invoke(self, ctx: click.Context) -> Any:
        """Show a KeleryError as a message. Any other error keeps its traceback."""
        try:
            return super().invoke(ctx)
        except KeleryError as error:
            raise Sentence(str(error)) from error


def imports_of_extra(extra: str) -> set[str]:
    """The top-level modules of the requirements of `kelery[extra]`."""
    wanted = re.compile(rf"""extra == ['"]{re.escape(extra)}['"]""")
    required = [text for text in metadata.requires(_DISTRIBUTION) or () if wanted.search(text)]
    names = [re.split(r"[^A-Za-z0-9._-]", text, maxsplit=1)[0].lower() for text in required]
    return {_IMPORT_NAMES.get(name, name.replace("-", "_")) for name in names}


@click.group(cls=Roles, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, message="kelery %(version)s")
def kelery() -> None:
    """Run Celery tasks as Kubernetes resources, with concurrency keys and reliable cancel.

    Each command has its own help, for example `kelery operator --help`.
    """


@kelery.command()
def version() -> None:
    """Print the version."""
    click.echo(f"kelery {__version__}")


def main() -> None:
    """The entry point."""
    kelery(prog_name="kelery")
