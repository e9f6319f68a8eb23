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
from kelery.kube.credentials import Credentials
from kelery.kube.kubeconfig import from_kubeconfig
from kelery.kube.login import load_credentials
from tests.support.certificates import Authority
from tests.support.kubeconfigs import SERVER, kubeconfig

AUTHORITY = Authority()
PEM = AUTHORITY.certificate
PAIR, OTHER = AUTHORITY.pair("me"), AUTHORITY.pair("other")
GARBAGE = base64.b64encode(b"no PEM").decode()


def data(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


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


def test_files_are_relative_to_their_kubeconfig_and_data_is_decoded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "ca.pem").write_text(PEM)
    (tmp_path / "key.pem").write_text(PAIR.private_key)
    (tmp_path / "token.txt").write_text(" from-file \n")
    kubeconfig(
        tmp_path / "config",
        cluster={"server": "https://x", "certificate-authority": "ca.pem", "insecure-skip-tls-verify": False},
        user={
            "client-certificate-data": data(PAIR.certificate),
            "client-key": "key.pem",
            "tokenFile": "token.txt",
        },
    )
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    credentials = from_kubeconfig([Path("../config")])
    assert credentials.authority == PEM
    assert (credentials.certificate, credentials.private_key) == (PAIR.certificate, PAIR.private_key)
    assert credentials.token == "from-file"


def test_a_token_file_comes_before_the_token_that_stands_for_it_while_it_is_not_there(tmp_path: Path) -> None:
    path = kubeconfig(tmp_path / "config", user={"token": "inline", "tokenFile": "token"})
    assert from_kubeconfig([path]).token == "inline"
    (tmp_path / "token").write_text("from-file")
    assert from_kubeconfig([path]).token == "from-file"


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


def test_several_kubeconfigs_are_merged_and_the_first_entry_counts(tmp_path: Path) -> None:
    first = kubeconfig(tmp_path / "a" / "config", user={"token": "first"})
    second = kubeconfig(tmp_path / "b" / "config", user={"token": "second"})
    listed = os.pathsep.join([str(tmp_path / "missing"), str(first), str(second)])
    assert load_credentials({"KUBECONFIG": listed}).token == "first"


def test_entries_are_looked_for_in_all_files_and_not_mixed(tmp_path: Path) -> None:
    """As kubectl: an entry is the first one of its name, whole, and its paths start at its own file."""
    first, second = tmp_path / "a" / "config", tmp_path / "b" / "config"
    kubeconfig(first, user={"tokenFile": "token"})
    kubeconfig(second, cluster={"server": "https://second"}, user={"token": "second"})
    content = yaml.safe_load(first.read_text())
    del content["clusters"]
    first.write_text(yaml.safe_dump(content))
    (first.parent / "token").write_text("first")
    found = from_kubeconfig([tmp_path / "missing", first, second])
    assert (found.server, found.token) == ("https://second", "first")
    (tmp_path / "empty").touch()
    assert from_kubeconfig([tmp_path / "empty", second]).token == "second"


def test_another_context_than_the_current_one_can_be_named(tmp_path: Path) -> None:
    file = kubeconfig(tmp_path / "config", user={"token": "t"})
    file.write_text(file.read_text().replace("current-context: here", "current-context: gone"))
    with pytest.raises(SettingsError, match="contexts has no entry named 'gone'"):
        from_kubeconfig([file])
    assert from_kubeconfig([file], context="here").token == "t"


def test_a_user_may_act_as_another(tmp_path: Path) -> None:
    path = kubeconfig(tmp_path / "config", user={"token": "t", "as": "other"})
    headers = {"Authorization": "Bearer t", "Impersonate-User": "other"}
    assert from_kubeconfig([path]).headers() == headers


@pytest.mark.parametrize(
    ("environ", "server", "expected"),
    [
        ({"HTTPS_PROXY": "http://p:1"}, "https://10.0.0.1:6443", "http://p:1"),
        ({"https_proxy": "p:1"}, "https://10.0.0.1", "http://p:1"),
        ({"HTTP_PROXY": "http://p:1"}, "https://10.0.0.1", None),
        ({"HTTP_PROXY": "http://p:1"}, "http://10.0.0.1", "http://p:1"),
        ({"HTTPS_PROXY": "http://p:1"}, "https://127.0.0.1:6443", None),
        ({"HTTPS_PROXY": "http://p:1"}, "https://[::1]:6443", None),
        ({"HTTPS_PROXY": "http://p:1"}, "https://localhost", None),
        ({"HTTPS_PROXY": "http://p:1", "NO_PROXY": "a, *"}, "https://10.0.0.1", None),
        ({"HTTPS_PROXY": "http://p:1", "no_proxy": "10.0.0.0/8"}, "https://10.0.0.1", None),
        ({"HTTPS_PROXY": "http://p:1", "NO_PROXY": "10.1.0.0/16"}, "https://10.0.0.1", "http://p:1"),
        ({"HTTPS_PROXY": "http://p:1", "NO_PROXY": "10.0.0.1:443"}, "https://10.0.0.1", None),
        ({"HTTPS_PROXY": "http://p:1", "NO_PROXY": "10.0.0.1:1"}, "https://10.0.0.1", "http://p:1"),
        ({"HTTPS_PROXY": "http://p:1", "NO_PROXY": "Example.com"}, "https://k.example.com", None),
        ({"HTTPS_PROXY": "http://p:1", "NO_PROXY": ".example.com"}, "https://k.example.com", None),
        ({"HTTPS_PROXY": "http://p:1", "NO_PROXY": "ample.com,,"}, "https://k.example.com", "http://p:1"),
    ],
)
def test_the_environments_proxy_is_the_one_that_kubectl_would_take(
    tmp_path: Path, environ: dict[str, str], server: str, expected: str | None
) -> None:
    path = kubeconfig(tmp_path / "config", cluster={"server": server})
    assert from_kubeconfig([path], environ=environ).proxy_url == expected
    own = kubeconfig(tmp_path / "own", cluster={"server": server, "proxy-url": "http://own:2"})
    assert from_kubeconfig([own], environ=environ).proxy_url == "http://own:2"


def test_an_invalid_proxy_of_the_environment_is_reported_without_its_password(tmp_path: Path) -> None:
    path = kubeconfig(tmp_path / "config")
    with pytest.raises(SettingsError, match=r"HTTPS_PROXY .*NO_PROXY") as refused:
        from_kubeconfig([path], environ={"HTTPS_PROXY": "socks5://me:s3cret@p:1"})
    assert "s3cret" not in str(refused.value)


def test_a_pod_goes_through_no_proxy(tmp_path: Path) -> None:
    environ = {"KUBERNETES_SERVICE_HOST": "10.96.0.1", "HTTPS_PROXY": "http://p:1"}
    assert load_credentials(environ, account=account(tmp_path / "sa")).proxy_url is None


@pytest.mark.parametrize(
    ("cluster", "user", "words"),
    [
        ({}, {"auth-provider": {"name": "gcp"}}, "auth-provider of 'u' in users: Kubernetes has removed it"),
        ({}, {"token": "s3cret", "as-groups": ["g"]}, "as-groups of 'u' in users: is not supported"),
        ({"server": ""}, {}, "server of 'c' in clusters: is missing or not a URL"),
        ({"server": "10.0.0.1:6443"}, {}, "server of 'c' in clusters: is missing or not a URL"),
        ({"server": "https://x:port"}, {}, "server of 'c' in clusters: is missing or not a URL"),
        (
            {"certificate-authority": "/none"},
            {},
            "certificate-authority of 'c' in clusters: cannot read /none",
        ),
        (
            {"certificate-authority-data": GARBAGE},
            {},
            "certificate-authority of 'c' in clusters: has no valid PEM cert",
        ),
        ({"certificate-authority-data": "AAAA"}, {}, "certificate-authority"),
        (
            {"insecure-skip-tls-verify": "yes"},
            {},
            "insecure-skip-tls-verify of 'c' in clusters: must be true or false",
        ),
        ({"proxy-url": "socks5://me:s3cret@p"}, {}, "proxy-url of 'c' in clusters: is not an http:// URL"),
        ({"proxy-url": "https://p"}, {}, "proxy-url of 'c' in clusters: is not an http:// URL"),
        ({}, {"client-key-data": "%%%"}, "client-key-data of 'u' in users: is not base64"),
        (
            {},
            {"client-certificate-data": data(PEM)},
            "client-certificate of 'u' in users: must be set together with client-key",
        ),
        (
            {},
            {"client-certificate-data": data(PAIR.certificate), "client-key-data": data(OTHER.private_key)},
            "client-certificate of 'u' in users: does not match client-key",
        ),
        ({}, {"token": 12345}, "token of 'u' in users: is not a string"),
        (
            {},
            {"token": "s3cret\nX-Other: 1"},
            "token of 'u' in users: has characters that an HTTP header cannot",
        ),
        (
            {},
            {"token": "t", "as": "s3cret\n"},
            "as of 'u' in users: has characters that an HTTP header cannot",
        ),
        ({}, {"tokenFile": "gone"}, "tokenFile of 'u' in users: cannot read"),
    ],
)
def test_an_invalid_entry_is_reported_with_the_file_and_the_field(
    tmp_path: Path, cluster: dict[str, Any], user: dict[str, Any], words: str
) -> None:
    path = kubeconfig(tmp_path / "config", cluster={"server": SERVER, **cluster}, user=user)
    with pytest.raises(SettingsError) as refused:
        from_kubeconfig([path])
    said = str(refused.value)
    assert said.startswith(f"{path}: ")
    assert words in said
    assert "s3cret" not in said
    assert "12345" not in said


def test_a_token_may_end_with_its_line(tmp_path: Path) -> None:
    path = kubeconfig(tmp_path / "config", user={"token": "s3cret\n"})
    assert from_kubeconfig([path]).headers() == {"Authorization": "Bearer s3cret"}


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("a: [", "is not YAML, line 1"),
        ("\x00", "is not YAML"),
        ("]", "is not YAML"),
        ("- a list", "is not a kubeconfig"),
        ("[]", "is not a kubeconfig"),
        ("{}", "the kubeconfig has no current-context"),
        ("", "the kubeconfig has no current-context"),
        ("current-context: nowhere\n", "contexts has no entry named 'nowhere'"),
        ("contexts: 1\ncurrent-context: c", "is not a valid kubeconfig: contexts is not a list"),
        ("contexts: [{context: {}}]\ncurrent-context: c", "contexts[0] has no name"),
        (
            "contexts: [{name: c, context: 1}]\ncurrent-context: c",
            "context of 'c' in contexts is not a mapping",
        ),
        ("contexts: [{name: c}]\ncurrent-context: c", "cluster of 'c' in contexts: is missing"),
        (
            "{current-context: c, contexts: [{name: c, context: {cluster: k}}]}",
            "clusters has no entry named 'k'",
        ),
        (
            "{current-context: c, contexts: [{name: c, context: {cluster: k, user: u}}], users: [{name: u}],"
            " clusters: [{name: k, cluster: {}}]}",
            "server of 'k' in clusters: is missing",
        ),
        (
            "{current-context: c, contexts: [{name: c, context: {cluster: k, user: u}}],"
            " clusters: [{name: k, cluster: {server: 'https://h'}}]}",
            "users has no entry named 'u'",
        ),
    ],
)
def test_a_broken_kubeconfig_is_named_in_one_sentence(tmp_path: Path, content: str, words: str) -> None:
    path = tmp_path / "config"
    path.write_text(content)
    with pytest.raises(SettingsError) as refused:
        from_kubeconfig([path])
    assert words in str(refused.value)
    assert str(path) in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_kubeconfig_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=f"{tmp_path}/gone: .* does not exist; set KUBECONFIG"):
        load_credentials({"KUBECONFIG": str(tmp_path / "gone")})


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
    context = Credentials(server="https://x", authority=PEM).trust()
    assert not context.verify_flags & ssl.VERIFY_X509_STRICT
    assert (context.verify_mode, context.check_hostname) == (ssl.CERT_REQUIRED, True)
    assert len(context.get_ca_certs()) == 1
    assert Credentials(server="https://x").trust().verify_mode is ssl.CERT_REQUIRED
