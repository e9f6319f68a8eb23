"""How to reach the API server and who we are: from the pod's service account or from a kubeconfig.

Read with the standard library and a YAML parser; no Kubernetes client is needed. Invariant: no secret is
part of a message or a repr.
"""

from __future__ import annotations

import base64
import binascii
import os
import ssl
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from kelery.errors import SettingsError

_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """An address and the right to use it; PEM data as text."""

    server: str
    authority: str | None = field(default=None, repr=False)
    insecure: bool = False
    token: str | None = field(default=None, repr=False)
    username: str | None = field(default=None, repr=False)
    password: str | None = field(default=None, repr=False)
    certificate: str | None = field(default=None, repr=False)
    private_key: str | None = field(default=None, repr=False)
    proxy_url: str | None = field(default=None, repr=False)

    def headers(self) -> dict[str, str]:
        """The Authorization header, if there is one."""
        if self.token:
            return {"Authorization": f"Bearer {self.token}"}
        if self.username and self.password:
            pair = base64.b64encode(f"{self.username}:{self.password}".encode()).decode()
            return {"Authorization": f"Basic {pair}"}
        return {}

    def trust(self) -> ssl.SSLContext:
        """Whom we trust and the certificate that we show."""
        context = accept_plain_authority(ssl.create_default_context(cadata=self.authority))
        if self.insecure:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        if self.certificate and self.private_key:
            # The ssl module takes a client certificate from a file only; this one is private and short-lived.
            with tempfile.NamedTemporaryFile("w") as pem:
                pem.write(f"{self.certificate}\n{self.private_key}\n")
                pem.flush()
                context.load_cert_chain(pem.name)
        return context


def accept_plain_authority(context: ssl.SSLContext) -> ssl.SSLContext:
    """Since Python 3.13 a CA's certificate must name its key and its purpose; that of many a cluster does not
    (EKS). Chain, host name and dates are verified all the same.
    """
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    return context


def load_credentials(environ: Mapping[str, str], *, account: Path = _ACCOUNT) -> Credentials:
    """A kubeconfig that was named wins; then the pod's service account; then the user's own kubeconfig."""
    named = [Path(part) for part in environ.get("KUBECONFIG", "").split(os.pathsep) if part]
    if named:
        return from_kubeconfig(named)
    if environ.get("KUBERNETES_SERVICE_HOST") and (account / "token").exists():
        return from_service_account(environ, account=account)
    own = Path(environ.get("HOME", "~")).expanduser() / ".kube" / "config"
    if own.exists():
        return from_kubeconfig([own])
    raise SettingsError("no cluster to talk to: run in a pod with a service account, or set KUBECONFIG")


def from_service_account(environ: Mapping[str, str], *, account: Path = _ACCOUNT) -> Credentials:
    """The files that Kubernetes mounts into a pod; the token in them is renewed, so read them again."""
    host = environ["KUBERNETES_SERVICE_HOST"]
    host = f"[{host}]" if ":" in host else host
    port = environ.get("KUBERNETES_SERVICE_PORT_HTTPS") or environ.get("KUBERNETES_SERVICE_PORT") or "443"
    authority = account / "ca.crt"
    return Credentials(
        server=f"https://{host}:{port}",
        authority=_read(authority) if authority.exists() else None,
        token=_read(account / "token").strip(),
    )


def from_kubeconfig(paths: list[Path]) -> Credentials:
    """The current context of a kubeconfig, or of several merged as kubectl does: the first word counts."""
    merged = _Merged()
    for path in paths:
        if path.exists():
            merged.add(path)
    names = os.pathsep.join(str(path) for path in paths)
    if not any(path.exists() for path in paths):
        raise SettingsError(f"{names}: there is no such file; set KUBECONFIG to one that is there")
    if not merged.context_name:
        raise SettingsError(
            f"{names}: no current-context; choose one with kubectl config use-context, or set KUBECONFIG"
        )
    context, _ = merged.entry("contexts", merged.context_name)
    cluster, cluster_folder = merged.entry("clusters", context.get("cluster"))
    user: Mapping[str, Any] = {}
    user_folder = cluster_folder
    if context.get("user"):
        user, user_folder = merged.entry("users", context.get("user"))
    _refuse_what_we_cannot(cluster, user=user)
    token = user.get("token")
    if not token and user.get("tokenFile"):
        token = _read(user_folder / str(user["tokenFile"])).strip()
    return Credentials(
        server=str(cluster.get("server") or "").rstrip("/"),
        authority=_pem(cluster, "certificate-authority", folder=cluster_folder),
        insecure=bool(cluster.get("insecure-skip-tls-verify")),
        token=token or None,
        username=user.get("username") or None,
        password=user.get("password") or None,
        certificate=_pem(user, "client-certificate", folder=user_folder),
        private_key=_pem(user, "client-key", folder=user_folder),
        proxy_url=cluster.get("proxy-url") or None,
    )


class _Merged:
    """Named entries of kubeconfigs, each with the folder that its relative paths start from."""

    def __init__(self) -> None:
        self.context_name = ""
        self._entries: dict[tuple[str, str], tuple[Mapping[str, Any], Path]] = {}

    def add(self, path: Path) -> None:
        content = _load(path)
        self.context_name = self.context_name or str(content.get("current-context") or "")
        for kind, inner in (("contexts", "context"), ("clusters", "cluster"), ("users", "user")):
            for entry in content.get(kind) or ():
                if isinstance(entry, dict) and isinstance(entry.get("name"), str):
                    value = entry.get(inner)
                    self._entries.setdefault(
                        (kind, entry["name"]), (value if isinstance(value, dict) else {}, path.parent)
                    )

    def entry(self, kind: str, name: object) -> tuple[Mapping[str, Any], Path]:
        found = self._entries.get((kind, str(name)))
        if found is None:
            raise SettingsError(f"the kubeconfig has no entry named {name!r} in {kind}")
        return found


def _refuse_what_we_cannot(cluster: Mapping[str, Any], *, user: Mapping[str, Any]) -> None:
    for unusable in ("exec", "auth-provider"):
        if user.get(unusable):
            raise SettingsError(
                f"the kubeconfig's user logs in by a plug-in ({unusable}), which is not run here;"
                " give it a token, a tokenFile or a client certificate"
            )
    if not cluster.get("server"):
        raise SettingsError("the kubeconfig's cluster has no server")
    if cluster.get("tls-server-name"):
        raise SettingsError(
            "the kubeconfig's tls-server-name is not supported; use the name in the server's certificate"
        )


def _load(path: Path) -> Mapping[str, Any]:
    try:
        content = yaml.safe_load(_read(path))
    except yaml.YAMLError:
        raise SettingsError(f"the kubeconfig {path} is not YAML") from None
    if not isinstance(content, dict):
        raise SettingsError(f"{path} is not a kubeconfig")
    return content


def _pem(entry: Mapping[str, Any], name: str, *, folder: Path) -> str | None:
    """A value that a kubeconfig holds inline (`name-data`) or names as a file, relative to itself."""
    data, file = entry.get(f"{name}-data"), entry.get(name)
    if data:
        try:
            return base64.b64decode("".join(str(data).split()), validate=True).decode()
        except (binascii.Error, ValueError):
            raise SettingsError(f"the kubeconfig's {name}-data is not base64 of PEM text") from None
    return _read(folder / str(file)) if file else None


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError as error:
        raise SettingsError(f"cannot read {path}: {error.strerror}") from None
