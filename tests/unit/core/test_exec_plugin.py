"""Credential plug-ins as kubectl runs them."""

from __future__ import annotations

import base64
import math
import os
import pty
from pathlib import Path
from typing import Any

import pytest

from kelery.errors import SettingsError
from kelery.kube.credentials import Credentials
from kelery.kube.kubeconfig import from_kubeconfig
from tests.support.certificates import Authority
from tests.support.kubeconfigs import SERVER, V1, Plugin, kubeconfig

V1BETA1 = V1.replace("v1", "v1beta1")


@pytest.fixture
def plugin(tmp_path: Path) -> Plugin:
    return Plugin(tmp_path / "plugin")


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Makes stdin a terminal."""
    monkeypatch.setattr(os, "isatty", lambda _: True)


def log_in(folder: Path, user: dict[str, Any], **options: Any) -> Credentials:
    cluster = options.pop("cluster", None)
    return from_kubeconfig([kubeconfig(folder / "config", cluster=cluster, user=user)], **options)


def refusal(folder: Path, user: dict[str, Any], **options: Any) -> str:
    with pytest.raises(SettingsError) as refused:
        log_in(folder, user, **options)
    said = str(refused.value)
    assert said.startswith(f"{folder / 'config'}: exec.")
    return said


@pytest.mark.parametrize("version", [V1, V1BETA1])
def test_a_plug_in_hands_out_a_token(plugin: Plugin, tmp_path: Path, version: str) -> None:
    plugin.hands_out(token="t", version=version)
    credentials = log_in(tmp_path, plugin.user(apiVersion=version))
    assert credentials.headers() == {"Authorization": "Bearer t"}
    assert credentials.expires_at == math.inf
    assert plugin.told == {"kind": "ExecCredential", "apiVersion": version, "spec": {"interactive": False}}


@pytest.mark.parametrize("text", ["2030-01-02T03:04:05Z", "2030-01-02T05:04:05.000+02:00"])
def test_what_it_hands_out_expires(plugin: Plugin, tmp_path: Path, text: str) -> None:
    plugin.hands_out(token="t", expirationTimestamp=text)
    assert log_in(tmp_path, plugin.user()).expires_at == 1893553445.0


def test_it_gets_arguments_and_variables_and_no_shell(tmp_path: Path) -> None:
    script = tmp_path / "login"
    answer = '{"apiVersion": "%s", "kind": "ExecCredential", "status": {"token": "%s"}}'
    script.write_text(f"#!/bin/sh\nprintf '{answer}' {V1} \"$1-$EXTRA-$HOME_OF\"\n")
    script.chmod(0o755)
    said = {"command": "./login", "args": ["a;b $HOME"], "env": [{"name": "EXTRA", "value": "c"}]}
    user = {"exec": {"apiVersion": V1, "interactiveMode": "Never", **said}}
    environ = {"PATH": os.environ["PATH"], "HOME_OF": "d"}
    assert log_in(tmp_path, user, environ=environ).token == "a;b $HOME-c-d"


def test_a_bare_name_is_found_on_the_path_and_not_in_the_working_directory(
    plugin: Plugin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plugin.hands_out(token="t")
    user, system = plugin.user(command="login"), os.environ["PATH"]
    found = log_in(tmp_path, user, environ={"PATH": f"{plugin.folder}{os.pathsep}{system}"})
    assert found.token == "t"
    monkeypatch.chdir(plugin.folder)
    for path in (f".{os.pathsep}{system}", f"{os.pathsep}{system}"):
        assert "exec.command of 'u' in users: the plug-in 'login' is not on the PATH" in refusal(
            tmp_path, {"exec": {**user["exec"], "command": "login"}}, environ={"PATH": path}
        )


def test_a_relative_path_starts_at_the_kubeconfig(plugin: Plugin, tmp_path: Path) -> None:
    plugin.hands_out(token="t")
    assert log_in(tmp_path, plugin.user(command="plugin/login")).token == "t"


def test_it_gets_the_cluster_if_it_asks_for_it(plugin: Plugin, tmp_path: Path) -> None:
    plugin.hands_out(token="t")
    authority = base64.b64encode(Authority().certificate.encode()).decode()
    said = {
        "server": SERVER.rstrip("/"),
        "certificate-authority-data": authority,
        "tls-server-name": "api.example",
        "proxy-url": "http://p:1",
    }
    extension = {"name": "client.authentication.k8s.io/exec", "extension": {"audience": "x"}}
    cluster = {**said, "extensions": [{"name": "other", "extension": 1}, extension]}
    log_in(tmp_path, plugin.user(provideClusterInfo=True), cluster=cluster)
    assert plugin.told["spec"]["cluster"] == {**said, "config": {"audience": "x"}}
    log_in(tmp_path, plugin.user(), cluster=cluster)
    assert "cluster" not in plugin.told["spec"]


@pytest.mark.parametrize(
    "user", [{"token": "own"}, {"username": "me", "password": "own"}], ids=["token", "password"]
)
def test_other_credentials_of_the_user_come_first(
    plugin: Plugin, tmp_path: Path, user: dict[str, Any]
) -> None:
    assert log_in(tmp_path, {**plugin.user(), **user}).headers()["Authorization"]
    assert plugin.runs == 0


@pytest.mark.parametrize("mode", ["Always", "IfAvailable", "Never"])
def test_a_plug_in_gets_the_terminal_that_it_may_use(plugin: Plugin, tmp_path: Path, mode: str) -> None:
    """Of a terminal of its own, since what runs tests may have none."""
    plugin.hands_out(token="t")
    ours, theirs = pty.openpty()
    stdin = os.dup(0)
    try:
        os.dup2(theirs, 0)
        assert log_in(tmp_path, plugin.user(interactiveMode=mode)).token == "t"
    finally:
        os.dup2(stdin, 0)
        for descriptor in (ours, theirs, stdin):
            os.close(descriptor)
    assert plugin.told["spec"]["interactive"] is (mode != "Never")


def test_a_plug_in_that_needs_a_terminal_is_refused_where_there_is_none(
    plugin: Plugin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "isatty", lambda _: False)
    plugin.hands_out(token="t")
    assert "exec.interactiveMode of 'u' in users: is Always, but there is no terminal here" in refusal(
        tmp_path, plugin.user(interactiveMode="Always")
    )
    assert plugin.runs == 0
    assert log_in(tmp_path, plugin.user(interactiveMode="IfAvailable")).token == "t"
    assert plugin.told["spec"]["interactive"] is False


@pytest.mark.usefixtures("terminal")
def test_unattended_parts_log_in_without_a_terminal(plugin: Plugin, tmp_path: Path) -> None:
    plugin.hands_out(token="t")
    assert "there is no terminal here" in refusal(
        tmp_path, plugin.user(interactiveMode="Always"), unattended=True
    )
    log_in(tmp_path, plugin.user(interactiveMode="IfAvailable"), unattended=True)
    assert plugin.told["spec"]["interactive"] is False


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ({"command": None}, "exec.command of 'u' in users: is missing"),
        ({"apiVersion": None}, f"exec.apiVersion of 'u' in users: must be {V1} or {V1BETA1}"),
        ({"apiVersion": V1.replace("v1", "v1alpha1")}, "exec.apiVersion of 'u' in users: must be"),
        ({"interactiveMode": None}, "exec.interactiveMode of 'u' in users: must be Never, IfAvailable or"),
        ({"interactiveMode": "Sometimes"}, "exec.interactiveMode of 'u' in users: must be"),
        ({"args": "s3cret"}, "exec.args of 'u' in users: is not a list of strings"),
        ({"args": ["s3cret", 1]}, "exec.args of 'u' in users: is not a list of strings"),
        ({"env": {"A": "s3cret"}}, "exec.env of 'u' in users: is not a list"),
        ({"env": [{"name": "A", "value": 1}]}, "exec.env of 'u' in users: is not a list"),
        (
            {"command": "/gone/login"},
            "exec.command of 'u' in users: the plug-in '/gone/login' does not exist",
        ),
        ({"command": "/"}, "exec.command of 'u' in users: the plug-in '/' cannot be run"),
    ],
)
def test_what_kubectl_refuses_is_refused(
    plugin: Plugin, tmp_path: Path, said: dict[str, Any], words: str
) -> None:
    text = refusal(tmp_path, plugin.user(**said))
    assert words in text
    assert "s3cret" not in text
    assert plugin.runs == 0


def test_the_older_version_may_leave_the_mode_out(plugin: Plugin, tmp_path: Path) -> None:
    plugin.hands_out(token="t", version=V1BETA1)
    assert log_in(tmp_path, plugin.user(apiVersion=V1BETA1, interactiveMode=None)).token == "t"


def test_the_install_hint_is_shown_if_it_is_missing(plugin: Plugin, tmp_path: Path) -> None:
    user = plugin.user(command="not-there", installHint="Get it\nat https://x.example\x1b[31m")
    text = refusal(tmp_path, user)
    assert text.endswith("install it\nGet it\nat https://x.example[31m")


def test_a_failing_plug_in_shows_its_stderr_and_nothing_of_its_stdout(
    plugin: Plugin, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    plugin.fails(status=7)
    text = refusal(tmp_path, plugin.user())
    assert "failed with exit status 7; see its output on stderr" in text
    printed = capfd.readouterr()
    assert "the plug-in says why" in printed.err
    assert "s3cret" not in text + printed.err + printed.out


def test_a_plug_in_that_hangs_is_ended(
    plugin: Plugin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kelery.kube.exec_plugin._SECONDS", 0.2)
    plugin.takes(5)
    assert "did not finish within 0.2 s" in refusal(tmp_path, plugin.user())


PAIR = Authority().pair("me")
STATUS = '{"apiVersion": "%s", "kind": "ExecCredential", "status": %s}'


@pytest.mark.parametrize(
    ("printed", "words"),
    [
        ("", "did not print JSON"),
        ("s3cret", "did not print JSON"),
        ("[]", "did not print an ExecCredential"),
        (STATUS % (V1BETA1, '{"token": "s3cret"}'), f"did not print an ExecCredential of {V1}"),
        (STATUS % (V1, "null"), "printed no status with a token"),
        (STATUS % (V1, "{}"), "printed no status with a token"),
        (STATUS % (V1, '{"token": ["s3cret"]}'), "printed a status with fields that are not strings"),
        (STATUS % (V1, '{"clientKeyData": "s3cret"}'), "printed no status with a token, or a certificate"),
        (STATUS % (V1, '{"token": "s3cret", "clientKeyData": "s3cret"}'), "printed only one of"),
        (
            STATUS % (V1, '{"token": "s3cret", "expirationTimestamp": "tomorrow"}'),
            "printed an expirationTimestamp that is not an RFC 3339 time",
        ),
    ],
)
def test_an_invalid_credential_is_reported_and_not_shown(
    plugin: Plugin, tmp_path: Path, printed: str, words: str
) -> None:
    plugin.prints(printed)
    text = refusal(tmp_path, plugin.user())
    assert words in text
    assert "s3cret" not in text


def test_arguments_that_no_program_accepts_are_reported(tmp_path: Path) -> None:
    user = {"exec": {**Plugin(tmp_path / "plugin").user()["exec"], "args": ["a\x00b"]}}
    assert "cannot be run: fix the characters in args and env" in refusal(tmp_path, user)


def test_an_invalid_certificate_is_reported(plugin: Plugin, tmp_path: Path) -> None:
    plugin.hands_out(clientCertificateData="s3cret", clientKeyData="s3cret")
    with pytest.raises(SettingsError, match="client-certificate of 'u' in users: does not match") as refused:
        log_in(tmp_path, plugin.user())
    assert "s3cret" not in str(refused.value)
    plugin.hands_out(clientCertificateData=PAIR.certificate, clientKeyData=PAIR.private_key)
    assert log_in(tmp_path, plugin.user()).certificate == PAIR.certificate
