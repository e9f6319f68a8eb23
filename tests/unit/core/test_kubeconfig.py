"""Logging in: from a pod's files and from kubeconfigs, without any client library."""

from __future__ import annotations

import base64
import os
import ssl
from pathlib import Path
from typing import Any

import pytest
import yaml

from kelery.errors import SettingsError
from kelery.kube.kubeconfig import Credentials, accept_plain_authority, from_kubeconfig, load_credentials

PEM = "-----BEGIN CERTIFICATE-----\nabc\n-----END CERTIFICATE-----\n"


def kubeconfig(
    path: Path, *, cluster: dict[str, Any] | None = None, user: dict[str, Any] | None = None
) -> Path:
    content = {
        "current-context": "here",
        "contexts": [{"name": "here", "context": {"cluster": "c", "user": "u"}}],
        "clusters": [{"name": "c", "cluster": cluster or {"server": "https://10.0.0.1:6443/"}}],
        "users": [{"name": "u", "user": user or {}}],
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump(content))
    return path


def account(folder: Path) -> Path:
    folder.mkdir()
    (folder / "token").write_text("pod-token\n")
    (folder / "ca.crt").write_text(PEM)
    return folder


def test_a_pod_logs_in_with_its_service_account(tmp_path: Path) -> None:
    environ = {"KUBERNETES_SERVICE_HOST": "10.96.0.1", "KUBERNETES_SERVICE_PORT": "443"}
    credentials = load_credentials(environ, account=account(tmp_path / "sa"))
    assert credentials == Credentials(server="https://10.96.0.1:443", authority=PEM, token="pod-token")
    assert credentials.headers() == {"Authorization": "Bearer pod-token"}


def test_an_ipv6_service_is_bracketed(tmp_path: Path) -> None:
    environ = {"KUBERNETES_SERVICE_HOST": "fd00::1"}
    assert load_credentials(environ, account=account(tmp_path / "sa")).server == "https://[fd00::1]:443"


def test_a_renewed_token_is_read_again(tmp_path: Path) -> None:
    files = account(tmp_path / "sa")
    environ = {"KUBERNETES_SERVICE_HOST": "10.96.0.1"}
    load_credentials(environ, account=files)
    (files / "token").write_text("renewed")
    assert load_credentials(environ, account=files).token == "renewed"


def test_a_kubeconfig_that_was_named_wins_over_the_pod(tmp_path: Path) -> None:
    named = kubeconfig(tmp_path / "config", user={"token": "t"})
    environ = {"KUBERNETES_SERVICE_HOST": "10.96.0.1", "KUBECONFIG": str(named)}
    assert load_credentials(environ, account=account(tmp_path / "sa")).server == "https://10.0.0.1:6443"


def test_the_users_own_kubeconfig_is_the_last_resort(tmp_path: Path) -> None:
    kubeconfig(tmp_path / ".kube" / "config", user={"token": "t"})
    assert load_credentials({"HOME": str(tmp_path)}, account=tmp_path / "none").token == "t"


def test_nothing_at_all_is_a_clear_error(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="KUBECONFIG"):
        load_credentials({"HOME": str(tmp_path)}, account=tmp_path / "none")


def test_files_are_relative_to_their_kubeconfig_and_data_is_decoded(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text(PEM)
    (tmp_path / "key.pem").write_text("KEY")
    (tmp_path / "token.txt").write_text(" from-file \n")
    path = kubeconfig(
        tmp_path / "config",
        cluster={"server": "https://x", "certificate-authority": "ca.pem", "insecure-skip-tls-verify": False},
        user={
            "client-certificate-data": base64.b64encode(b"CERT").decode(),
            "client-key": "key.pem",
            "tokenFile": "token.txt",
        },
    )
    credentials = from_kubeconfig([path])
    assert (credentials.authority, credentials.certificate, credentials.private_key) == (PEM, "CERT", "KEY")
    assert credentials.token == "from-file"


def test_basic_auth_and_an_unverified_server(tmp_path: Path) -> None:
    path = kubeconfig(
        tmp_path / "config",
        cluster={"server": "https://x", "insecure-skip-tls-verify": True, "proxy-url": "http://proxy:3128"},
        user={"username": "me", "password": "pass"},
    )
    credentials = from_kubeconfig([path])
    assert credentials.headers() == {"Authorization": "Basic " + base64.b64encode(b"me:pass").decode()}
    assert credentials.proxy_url == "http://proxy:3128"
    assert not credentials.trust().check_hostname


def test_several_kubeconfigs_are_merged_and_the_first_word_counts(tmp_path: Path) -> None:
    first = kubeconfig(tmp_path / "a" / "config", user={"token": "first"})
    second = kubeconfig(tmp_path / "b" / "config", user={"token": "second"})
    listed = os.pathsep.join([str(tmp_path / "missing"), str(first), str(second)])
    assert load_credentials({"KUBECONFIG": listed}).token == "first"


@pytest.mark.parametrize(
    ("cluster", "user", "words"),
    [
        (None, {"exec": {"command": "aws"}}, "plug-in"),
        (None, {"auth-provider": {"name": "gcp"}}, "plug-in"),
        ({"server": "https://x", "tls-server-name": "y"}, {}, "tls-server-name"),
        ({"insecure-skip-tls-verify": True}, {}, "server"),
        ({"server": "https://x", "certificate-authority": "/none"}, {}, "/none"),
        (None, {"client-key-data": "%%%"}, "client-key-data"),
    ],
)
def test_what_it_cannot_use_is_said(
    tmp_path: Path, cluster: dict[str, Any] | None, user: dict[str, Any], words: str
) -> None:
    path = kubeconfig(tmp_path / "config", cluster=cluster, user=user)
    with pytest.raises(SettingsError, match=words):
        from_kubeconfig([path])


@pytest.mark.parametrize("content", ["- a list", "]", "current-context: nowhere\n", "{}"])
def test_what_is_no_kubeconfig_is_said(tmp_path: Path, content: str) -> None:
    path = tmp_path / "config"
    path.write_text(content)
    with pytest.raises(SettingsError):
        from_kubeconfig([path])


def test_no_secret_is_shown() -> None:
    credentials = Credentials(
        server="https://x",
        token="s3",
        username="s3",
        password="s3",
        certificate="s3",
        private_key="s3",
        proxy_url="http://s3@proxy",
    )
    assert "s3" not in repr(credentials)


def test_an_authority_without_the_newest_extensions_is_trusted_and_still_verified() -> None:
    # Python 3.13 refuses the certificate authorities of many clusters by default.
    context = accept_plain_authority(ssl.create_default_context())
    assert not context.verify_flags & ssl.VERIFY_X509_STRICT
    assert (context.verify_mode, context.check_hostname) == (ssl.CERT_REQUIRED, True)
