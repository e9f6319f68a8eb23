"""Kubeconfigs as developers have them, and what is said of those that do not serve."""

from pathlib import Path

import pytest
import yaml

from kelery.kube.sync_session import SyncSession
from kelery_dev.errors import DevError


def kubeconfig(folder: Path, *, user: dict[str, object], context: str = "c") -> Path:
    file = folder / "config"
    content = {
        "clusters": [{"name": "k", "cluster": {"server": "https://127.0.0.1:1"}}],
        "users": [{"name": "u", "user": user}],
        "contexts": [{"name": "c", "context": {"cluster": "k", "user": "u"}}],
        "current-context": context,
    }
    file.write_text(yaml.safe_dump(content))
    return file


def test_a_token_becomes_a_header(tmp_path: Path) -> None:
    access = SyncSession.from_kubeconfig(kubeconfig(tmp_path, user={"token": "t"}))
    assert access.headers == {"Authorization": "Bearer t"}
    assert access.server == "https://127.0.0.1:1"


def test_a_token_file_is_found_beside_the_kubeconfig(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("from-file\n")
    access = SyncSession.from_kubeconfig(kubeconfig(tmp_path, user={"tokenFile": "token"}))
    assert access.headers == {"Authorization": "Bearer from-file"}


def test_a_credential_plug_in_is_run(tmp_path: Path) -> None:
    script = tmp_path / "login"
    script.write_text('#!/bin/sh\necho "{\\"status\\": {\\"token\\": \\"$1-$EXTRA\\"}}"\n')
    script.chmod(0o755)
    plugin = {"command": "./login", "args": ["a"], "env": [{"name": "EXTRA", "value": "b"}]}
    access = SyncSession.from_kubeconfig(kubeconfig(tmp_path, user={"exec": plugin}))
    assert access.headers == {"Authorization": "Bearer a-b"}


def test_a_credential_plug_in_that_fails_is_named(tmp_path: Path) -> None:
    with pytest.raises(DevError, match="credential plug-in false failed"):
        SyncSession.from_kubeconfig(kubeconfig(tmp_path, user={"exec": {"command": "false"}}))


def test_credentials_do_not_show(tmp_path: Path) -> None:
    assert "s3cret" not in repr(SyncSession.from_kubeconfig(kubeconfig(tmp_path, user={"token": "s3cret"})))


def test_a_context_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(DevError, match="contexts has no entry named 'other'"):
        SyncSession.from_kubeconfig(kubeconfig(tmp_path, user={}, context="other"))


@pytest.mark.parametrize("content", ["[]", "{", ""])
def test_what_is_no_kubeconfig_is_refused(content: str, tmp_path: Path) -> None:
    (tmp_path / "config").write_text(content)
    with pytest.raises(DevError, match="kubeconfig"):
        SyncSession.from_kubeconfig(tmp_path / "config")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("a: [", "is not YAML, line 1"),
        ("\x00", "is not YAML"),
        ("[]", "is not a kubeconfig"),
        ("contexts: 1\ncurrent-context: c", "is not a usable kubeconfig"),
        ("contexts: [{name: c}]\ncurrent-context: c", "it lacks 'context'"),
        (
            "{current-context: c, contexts: [{name: c, context: {cluster: k, user: u}}],"
            " users: [{name: u}], clusters: [{name: k, cluster: {}}]}",
            "it lacks 'server'",
        ),
        (
            "{current-context: c, contexts: [{name: c, context: {cluster: k, user: u}}], users: [{name: u}],"
            " clusters: [{name: k, cluster: {server: 'https://h', certificate-authority: gone.pem}}]}",
            "gone.pem",
        ),
        (
            "{current-context: c, contexts: [{name: c, context: {cluster: k, user: u}}], users: [{name: u}],"
            " clusters: [{name: k, cluster: {server: 'https://h', certificate-authority-data: AAAA}}]}",
            "is not a usable kubeconfig",
        ),
    ],
)
def test_a_broken_kubeconfig_is_named_in_one_sentence(tmp_path: Path, content: str, words: str) -> None:
    file = tmp_path / "config"
    file.write_text(content)
    with pytest.raises(DevError) as caught:
        SyncSession.from_kubeconfig(file)
    assert words in str(caught.value)
    assert str(file) in str(caught.value)


def test_another_context_than_the_current_one_can_be_named(tmp_path: Path) -> None:
    file = kubeconfig(tmp_path, user={"token": "t"}, context="gone")
    assert SyncSession.from_kubeconfig(file, context="c").headers == {"Authorization": "Bearer t"}
