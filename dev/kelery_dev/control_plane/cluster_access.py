"""Talking to an API server named by a kubeconfig, with the standard library alone.

Understands what developers' kubeconfigs hold: authority and client certificate as file or data, token, token
file, basic auth and exec plug-ins. Credentials are kept in memory and never shown.
"""

import base64
import json
import os
import ssl
import subprocess
import tempfile
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from kelery.kube.kubeconfig import accept_plain_authority
from kelery_dev.errors import DevError

_EXEC_SECONDS = 60
_REQUEST_SECONDS = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What the API server said."""

    status: int
    body: Mapping[str, Any]

    @property
    def message(self) -> str:
        """The server's own words about an error."""
        return str(self.body.get("message", f"HTTP {self.status}"))


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterAccess:
    """An address and the right to use it."""

    server: str
    trust: ssl.SSLContext
    headers: Mapping[str, str] = field(repr=False)

    def request(
        self, method: str, *, path: str, body: object = None, content_type: str = "application/json"
    ) -> Answer:
        """One request; an answer of any status is an `Answer`, no answer is a `DevError`."""
        request = urllib.request.Request(
            self.server.rstrip("/") + path,
            method=method,
            headers={**self.headers, "Accept": "application/json", "Content-Type": content_type},
            data=None if body is None else json.dumps(body).encode(),
        )
        try:
            with self._opener().open(request, timeout=_REQUEST_SECONDS) as answer:
                return Answer(status=answer.status, body=_json_object(answer.read()))
        except urllib.error.HTTPError as error:
            with error:
                return Answer(status=error.code, body=_json_object(error.read()))
        except OSError as error:
            raise DevError(f"the API server at {self.server} does not answer: {error}") from error

    def _opener(self) -> urllib.request.OpenerDirector:
        handlers: list[urllib.request.BaseHandler] = [urllib.request.HTTPSHandler(context=self.trust)]
        if urllib.parse.urlsplit(self.server).hostname in ("127.0.0.1", "::1", "localhost"):
            handlers.append(urllib.request.ProxyHandler({}))
        return urllib.request.build_opener(*handlers)


def cluster_access(kubeconfig: Path, *, context: str | None = None) -> ClusterAccess:
    """The access that a context of a kubeconfig gives, the current one unless another is named."""
    try:
        return _access(kubeconfig, context_name=context)
    except KeyError as error:
        raise DevError(f"{kubeconfig} is not a usable kubeconfig: it lacks {error.args[0]!r}") from error
    except OSError as error:
        # A file that it names, or a certificate in it; neither error quotes what is in there.
        raise DevError(f"{kubeconfig} is not a usable kubeconfig: {error}") from error
    except (AttributeError, TypeError, ValueError) as error:
        raise DevError(
            f"{kubeconfig} is not a usable kubeconfig ({type(error).__name__});"
            " kubectl config view --kubeconfig FILE shows what is wrong with it"
        ) from error


def _access(kubeconfig: Path, *, context_name: str | None) -> ClusterAccess:
    content = _load(kubeconfig)
    wanted = context_name or content.get("current-context")
    context = _named(content, list_name="contexts", name=wanted, file=kubeconfig)["context"]
    cluster = _named(content, list_name="clusters", name=context.get("cluster"), file=kubeconfig)["cluster"]
    user = _named(content, list_name="users", name=context.get("user"), file=kubeconfig).get("user") or {}
    if "exec" in user:
        user = {**user, **_exec_credential(user["exec"], folder=kubeconfig.parent)}
    folder = kubeconfig.parent
    return ClusterAccess(
        server=cluster["server"],
        trust=_trust(cluster, user=user, folder=folder),
        headers=_authorization(user, folder=folder),
    )


def _load(kubeconfig: Path) -> dict[str, Any]:
    try:
        content = yaml.safe_load(kubeconfig.read_text())
    except OSError as error:
        raise DevError(f"cannot read the kubeconfig {kubeconfig}: {error.strerror}") from error
    except (UnicodeDecodeError, yaml.YAMLError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f", line {mark.line + 1}" if mark else ""
        raise DevError(f"cannot read the kubeconfig {kubeconfig}: it is not YAML{where}") from error
    if not isinstance(content, dict):
        raise DevError(f"{kubeconfig} is not a kubeconfig")
    return content


def _named(content: Mapping[str, Any], *, list_name: str, name: object, file: Path) -> dict[str, Any]:
    """The entry of that name, or a sentence that says what is missing where."""
    for entry in content.get(list_name) or ():
        if entry.get("name") == name:
            return dict(entry)
    raise DevError(
        f"{file}: {list_name} has no entry named {name!r}; choose one with kubectl config use-context"
    )


def _trust(cluster: Mapping[str, Any], *, user: Mapping[str, Any], folder: Path) -> ssl.SSLContext:
    """TLS settings: whom we trust and the certificate that we show."""
    authority = _bytes_of(cluster, name="certificate-authority", folder=folder)
    trust = accept_plain_authority(
        ssl.create_default_context(cadata=authority.decode() if authority else None)
    )
    if cluster.get("insecure-skip-tls-verify"):
        trust.check_hostname = False
        trust.verify_mode = ssl.CERT_NONE
    certificate = _bytes_of(user, name="client-certificate", folder=folder)
    key = _bytes_of(user, name="client-key", folder=folder)
    if certificate and key:
        # The ssl module takes a client certificate from a file only; a temporary file is private.
        with tempfile.NamedTemporaryFile() as pem:
            pem.write(certificate + b"\n" + key)
            pem.flush()
            trust.load_cert_chain(pem.name)
    return trust


def _bytes_of(entry: Mapping[str, Any], *, name: str, folder: Path) -> bytes | None:
    """A value that a kubeconfig holds inline (`name-data`) or names as a file relative to itself."""
    data, file = entry.get(f"{name}-data"), entry.get(name)
    if data:
        return base64.b64decode(data)
    return (folder / file).read_bytes() if file else None


def _authorization(user: Mapping[str, Any], *, folder: Path) -> dict[str, str]:
    token = user.get("token")
    if not token and user.get("tokenFile"):
        token = (folder / user["tokenFile"]).read_text().strip()
    if token:
        return {"Authorization": f"Bearer {token}"}
    if user.get("username"):
        pair = f"{user['username']}:{user.get('password', '')}"
        return {"Authorization": "Basic " + base64.b64encode(pair.encode()).decode()}
    return {}


def _exec_credential(plugin: Mapping[str, Any], *, folder: Path) -> dict[str, Any]:
    """Run a credential plug-in (cloud clusters use them) and take its answer in kubeconfig's own terms."""
    version = plugin.get("apiVersion", "client.authentication.k8s.io/v1")
    info = {"apiVersion": version, "kind": "ExecCredential", "spec": {"interactive": False}}
    extra = {entry["name"]: entry["value"] for entry in plugin.get("env") or ()}
    command = str(plugin["command"])
    program = str(folder / command) if os.sep in command else command
    try:
        done = subprocess.run(
            [program, *(plugin.get("args") or ())],
            env={**os.environ, **extra, "KUBERNETES_EXEC_INFO": json.dumps(info)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            timeout=_EXEC_SECONDS,
            check=True,
        )
        status = json.loads(done.stdout)["status"]
    except (OSError, subprocess.SubprocessError, ValueError, KeyError) as error:
        raise DevError(
            f"the kubeconfig's credential plug-in {command} failed: {type(error).__name__}"
        ) from error
    credential: dict[str, Any] = {"token": status.get("token")}
    for ours, theirs in (
        ("client-certificate-data", "clientCertificateData"),
        ("client-key-data", "clientKeyData"),
    ):
        if status.get(theirs):
            credential[ours] = base64.b64encode(status[theirs].encode()).decode()
    return credential


def _json_object(raw: bytes) -> dict[str, Any]:
    """The body as an object; plain text (health checks, proxies) as its message."""
    try:
        content = json.loads(raw)
    except ValueError:
        return {"message": raw[:500].decode(errors="replace")}
    return content if isinstance(content, dict) else {"items": content}
