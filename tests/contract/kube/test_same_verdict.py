"""`kelery operator`, `api`, `dev` and `bench` give the same verdict on a kubeconfig."""

from __future__ import annotations

import base64
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from kelery.errors import KeleryError
from kelery.kube.credentials import Credentials
from kelery.kube.login import load_credentials
from kelery.kube.sync_session import SyncSession
from kelery_dev.supervise.ports import free_port
from tests.support.certificates import Authority
from tests.support.kubeconfigs import SERVER, Plugin, kubeconfig

PAIR = Authority().pair("me")

READERS: dict[str, Callable[[Path], Credentials]] = {
    "operator and api": lambda file: load_credentials({**os.environ, "KUBECONFIG": str(file)}),
    "dev": lambda file: SyncSession.from_kubeconfig(file, unattended=True).login.credentials(),
    "bench": lambda file: SyncSession.from_kubeconfig(file).login.credentials(),
}
COMMANDS = {
    "operator": (),
    "api": (),
    "dev": ("--kubeconfig", "{file}", "--state-dir", "{folder}/state", "--port", "{port}"),
    "bench": ("--kubeconfig", "{file}"),
}


@pytest.fixture
def plugin(tmp_path: Path) -> Plugin:
    plugin = Plugin(tmp_path / "plugin")
    plugin.hands_out(token="from-plugin")
    return plugin


def data(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def verdict(read: Callable[[Path], Credentials], file: Path) -> Credentials | str:
    try:
        return read(file)
    except KeleryError as error:
        return str(error)


def verdicts(
    folder: Path, *, cluster: Mapping[str, Any] | None = None, user: Mapping[str, Any]
) -> Credentials | str:
    """The verdict of each command."""
    file = kubeconfig(folder / "config", cluster={"server": SERVER, **(cluster or {})}, user=user)
    said = [verdict(read, file) for read in READERS.values()]
    assert all(one == said[0] for one in said)
    return said[0]


@pytest.mark.parametrize(
    ("cluster", "user", "found"),
    [
        ({}, {"token": "t"}, {"token": "t"}),
        ({}, {"tokenFile": "plugin/answer"}, {}),
        ({"tls-server-name": "n"}, {}, {"tls_server_name": "n"}),
        ({"proxy-url": "http://p:1"}, {}, {"proxy_url": "http://p:1"}),
        (
            {},
            {"client-certificate-data": data(PAIR.certificate), "client-key-data": data(PAIR.private_key)},
            {"certificate": PAIR.certificate, "private_key": PAIR.private_key},
        ),
    ],
    ids=["token", "tokenFile", "tls-server-name", "proxy-url", "client certificate"],
)
@pytest.mark.usefixtures("plugin")
def test_what_is_good_for_one_is_good_for_all(
    tmp_path: Path, cluster: dict[str, Any], user: dict[str, Any], found: dict[str, str]
) -> None:
    credentials = verdicts(tmp_path, cluster=cluster, user=user)
    assert isinstance(credentials, Credentials)
    assert {name: getattr(credentials, name) for name in found} == found


def test_a_plug_in_is_good_for_all(tmp_path: Path, plugin: Plugin) -> None:
    credentials = verdicts(tmp_path, user=plugin.user())
    assert isinstance(credentials, Credentials)
    assert credentials.token == "from-plugin"
    assert plugin.runs == len(READERS)


def test_a_plug_in_that_fails_fails_for_all(tmp_path: Path, plugin: Plugin) -> None:
    plugin.fails(status=1)
    assert "failed with exit status 1" in str(verdicts(tmp_path, user=plugin.user()))


def test_a_plug_in_that_prints_rubbish_is_refused_by_all(tmp_path: Path, plugin: Plugin) -> None:
    plugin.prints("rubbish")
    assert "did not print JSON" in str(verdicts(tmp_path, user=plugin.user()))


def test_a_plug_in_that_needs_a_terminal_is_refused_by_all_where_there_is_none(
    tmp_path: Path, plugin: Plugin, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "isatty", lambda _: False)
    assert "there is no terminal here" in str(verdicts(tmp_path, user=plugin.user(interactiveMode="Always")))


def test_what_kubernetes_has_removed_is_refused_by_all(tmp_path: Path) -> None:
    said = str(verdicts(tmp_path, user={"auth-provider": {"name": "gcp"}}))
    assert "auth-provider of 'u' in users: Kubernetes has removed it; use an exec plug-in" in said


def test_a_context_that_is_not_there_is_named_by_all(tmp_path: Path) -> None:
    file = tmp_path / "config"
    file.write_text("current-context: gone\n")
    (said,) = {verdict(read, file) for read in READERS.values()}
    assert str(said).startswith(f"{file}: contexts has no entry named 'gone'; choose another")


def test_each_command_ends_with_the_same_sentence(tmp_path: Path, plugin: Plugin) -> None:
    user = plugin.user(command="no-such-login", installHint="Get it from x.example.")
    file = kubeconfig(tmp_path / "config", user=user)
    said = f"{file}: exec.command of 'u' in users: the plug-in 'no-such-login' is not on the PATH; install it"
    told = (2, f"{said}\nGet it from x.example.\n")
    assert run_all(file, folder=tmp_path) == dict.fromkeys(COMMANDS, told)


def run_all(file: Path, *, folder: Path) -> dict[str, tuple[int, str]]:
    """Each command's exit status and stderr."""
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("KELERY_")},
        "KUBECONFIG": str(file),
        "KELERY_REDIS_URL": "redis://127.0.0.1:1/0",
        "KELERY_API_ADDR": "127.0.0.1:0",
        "KELERY_OPERATOR_HEALTH_ADDR": "127.0.0.1:0",
    }
    running = {}
    for name, arguments in COMMANDS.items():
        filled = [argument.format(file=file, folder=folder, port=free_port()) for argument in arguments]
        running[name] = subprocess.Popen(
            [sys.executable, "-m", "kelery", name, *filled],
            env=environment,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
    said = {name: process.communicate(timeout=60)[1] for name, process in running.items()}
    return {name: (running[name].returncode, text) for name, text in said.items()}
