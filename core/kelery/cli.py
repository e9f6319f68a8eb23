"""The command `kelery`: `version`, and the commands that the installed roles bring as entry points.

The core imports no role: a command's module is imported when the command is used, so `kelery version`
works and the list is complete whatever extras are installed.
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
#: Where the name to import is not the name to install.
_IMPORT_NAMES = {"pyyaml": "yaml"}
#: Said without asking the commands, for that would import them.
_PURPOSES = {
    "api": "Run the gateway, a REST API for runs.",
    "bench": "Benchmark this installation.",
    "dev": "Run the whole stack on this machine for development.",
    "operator": "Run the operator, which turns TaskRuns into runs.",
    "version": "Print the version.",
    "worker": "Run a Celery worker that takes runs.",
}


class Sentence(click.ClickException):
    """What the user can put right: one sentence on stderr instead of a traceback."""

    exit_code = 2

    def show(self, file: IO[Any] | None = None) -> None:
        """The sentence alone."""
        click.echo(self.message, err=True)


class Roles(click.Group):
    """A group whose commands are found by their entry points; naming them imports nothing."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Every command, whether or not what it needs is installed."""
        return sorted({*super().list_commands(ctx), *metadata.entry_points(group=_COMMANDS).names})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Imports the command; a missing extra is said in one sentence."""
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
        """Names and purposes, without importing the commands."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, _PURPOSES.get(name, "")) for name in self.list_commands(ctx)])

    def invoke(self, ctx: click.Context) -> Any:
        """Errors that Kelery raises on purpose are for the user; any other keeps its traceback."""
        try:
            return super().invoke(ctx)
        except KeleryError as error:
            raise Sentence(str(error)) from error


def imports_of_extra(extra: str) -> set[str]:
    """The top-level modules that `kelery[extra]` brings, by our own distribution's requirements."""
    wanted = re.compile(rf"""extra == ['"]{re.escape(extra)}['"]""")
    required = [text for text in metadata.requires(_DISTRIBUTION) or () if wanted.search(text)]
    names = [re.split(r"[^A-Za-z0-9._-]", text, maxsplit=1)[0].lower() for text in required]
    return {_IMPORT_NAMES.get(name, name.replace("-", "_")) for name in names}


@click.group(cls=Roles, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, message="kelery %(version)s")
def kelery() -> None:
    """Run Celery tasks as Kubernetes resources: one at a time where you ask for it, and always cancellable.

    Each command has a help of its own: `kelery operator --help`.
    """


@kelery.command()
def version() -> None:
    """Print the version."""
    click.echo(f"kelery {__version__}")


def main() -> None:
    """The entry point."""
    kelery(prog_name="kelery")
