"""The one reader of kubeconfigs: returns the `Credentials` of a context.

It follows kubectl's rules. A feature of kubectl that it does not support is an error, and never ignored.
`kelery operator`, `api`, `dev` and `bench` all use it.
"""

from __future__ import annotations

import base64
import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from kelery.kube.credentials import Credentials
from kelery.kube.exec_plugin import exec_plugin
from kelery.kube.kubeconfig_entries import Entries, Entry
from kelery.kube.proxies import WHICH, environment_proxy, is_http_proxy

_EXEC_EXTENSION = "client.authentication.k8s.io/exec"
#: Not supported. To ignore one of them would mean to act as another user than intended.
_NOT_DONE = {
    "auth-provider": "Kubernetes has removed it; use an exec plug-in, which your cluster's tools set up",
    "as-uid": "is not supported; remove it, or log in as that user",
    "as-groups": "is not supported; remove it, or log in as that user",
    "as-user-extra": "is not supported; remove it, or log in as that user",
}


def from_kubeconfig(
    files: Sequence[Path],
    *,
    context: str | None = None,
    environ: Mapping[str, str] | None = None,
    unattended: bool = False,
) -> Credentials:
    """The credentials of `context`, or of the current context; runs its plug-in, if there is one.

    With `unattended`, a plug-in that needs a terminal is refused. Raises SettingsError.
    """
    variables = os.environ if environ is None else environ
    entries = Entries(files)
    chosen = entries.context(context)
    if not chosen.text("cluster"):
        raise chosen.fault("cluster", "is missing; give the name of an entry in clusters")
    cluster = entries.named("clusters", chosen.text("cluster"))
    user = Entry(file=cluster.file, kind="users", name="", content={})
    if chosen.text("user"):
        user = entries.named("users", chosen.text("user"))
    proxy = cluster.text("proxy-url")
    server = _credentials(cluster, proxy=proxy, environ=variables)
    credentials = _logged_in(server, user)
    plugin = exec_plugin(user, cluster=_cluster_for_plugin(cluster, server, proxy=proxy))
    # Like kubectl: other credentials of the user come first.
    if plugin and not (credentials.token or credentials.username or credentials.certificate):
        found = plugin.run(variables, unattended=unattended)
        credentials = replace(
            credentials,
            token=found.token,
            certificate=found.certificate,
            private_key=found.private_key,
            expires_at=found.expires_at,
        )
    for field, value in (("token", credentials.token), ("as", credentials.impersonate)):
        if value and not (value.isascii() and value.isprintable()):
            # The HTTP client would show the value in its own error.
            raise user.fault(field, "has characters that an HTTP header cannot carry; log in again")
    _look_at_certificates(credentials, cluster=cluster, user=user)
    return credentials


def _credentials(cluster: Entry, *, proxy: str, environ: Mapping[str, str]) -> Credentials:
    """The address and the trusted authority."""
    server = cluster.text("server").rstrip("/")
    if not _is_address(server):
        raise cluster.fault("server", "is missing or not a URL; give an address like https://10.0.0.1:6443")
    if proxy and not is_http_proxy(proxy):
        raise cluster.fault("proxy-url", f"is not an http:// URL; {WHICH}")
    return Credentials(
        server=server,
        authority=cluster.pem("certificate-authority"),
        insecure=cluster.flag("insecure-skip-tls-verify"),
        tls_server_name=cluster.text("tls-server-name") or None,
        proxy_url=proxy or environment_proxy(server, environ),
    )


def _logged_in(server: Credentials, user: Entry) -> Credentials:
    """The same with the credentials in the user's entry."""
    for name, problem in _NOT_DONE.items():
        if user.content.get(name):
            raise user.fault(name, problem)
    certificate, private_key = user.pem("client-certificate"), user.pem("client-key")
    if bool(certificate) != bool(private_key):
        raise user.fault("client-certificate", "must be set together with client-key; give both")
    return replace(
        server,
        token=_token(user),
        username=user.text("username") or None,
        password=user.text("password") or None,
        certificate=certificate,
        private_key=private_key,
        impersonate=user.text("as") or None,
    )


def _token(user: Entry) -> str | None:
    """The token. A file comes first, because it is renewed; the inline token replaces a missing file."""
    token, file = user.text("token").strip(), user.text("tokenFile")
    if file and not (token and not user.path(file).exists()):
        return user.read("tokenFile").strip() or token or None
    return token or None


def _cluster_for_plugin(cluster: Entry, server: Credentials, *, proxy: str) -> dict[str, Any]:
    """The field `cluster` of an ExecCredential."""
    authority = base64.b64encode(server.authority.encode()).decode() if server.authority else None
    extensions = cluster.content.get("extensions")
    config = [
        one.get("extension")
        for one in (extensions if isinstance(extensions, list) else ())
        if isinstance(one, dict) and one.get("name") == _EXEC_EXTENSION
    ]
    shown = {
        "server": server.server,
        "tls-server-name": server.tls_server_name,
        "insecure-skip-tls-verify": server.insecure,
        "certificate-authority-data": authority,
        "proxy-url": proxy,
        "config": config[0] if config else None,
    }
    return {name: value for name, value in shown.items() if value}


def _look_at_certificates(credentials: Credentials, *, cluster: Entry, user: Entry) -> None:
    """Check the certificates now, to name the field at fault. OpenSSL would not."""
    try:
        if credentials.authority:
            replace(credentials, certificate=None).trust()
    except (OSError, ValueError):
        problem = "has no valid PEM certificate; copy it from the cluster again"
        raise cluster.fault("certificate-authority", problem) from None
    try:
        if credentials.certificate:
            credentials.trust()
    except (OSError, ValueError):
        problem = "does not match client-key, is not PEM, or its key is encrypted; log in again"
        raise user.fault("client-certificate", problem) from None


def _is_address(server: str) -> bool:
    try:
        parts = urlsplit(server)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False
