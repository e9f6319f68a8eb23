"""kube-apiserver as a service of the local control plane: its files, command line and readiness.

It creates its own serving certificate. The one administrator has a random token; RBAC decides for others.
Service account tokens are signed with a generated key, so TokenRequest and TokenReview work as usual. There
is no controller manager: nothing creates default service accounts or finalizes deleted namespaces.
"""

import secrets
import ssl
import time
import urllib.request
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path

from kelery_dev.control_plane.service_account_key import ensure_private_file, new_key_pem
from kelery_dev.supervise.child_process import Command
from kelery_dev.supervise.ports import LOOPBACK

# The server's certificate is valid for one year; it is renewed earlier.
_CERTIFICATE_DAYS = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiServerSettings:
    """The API server's port, its folder, and its etcd."""

    binary: Path
    port: int
    folder: Path
    etcd_url: str

    @property
    def url(self) -> str:
        return f"https://{LOOPBACK}:{self.port}"

    @property
    def certificate(self) -> Path:
        """The serving certificate and its authority, created at the first start."""
        return self.folder / "apiserver.crt"

    @property
    def token(self) -> str:
        """The administrator's token."""
        return (self.folder / "tokens.csv").read_text().split(",", 1)[0]


def prepare(settings: ApiServerSettings) -> None:
    """Create the files that the server needs, once per state directory."""
    settings.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    token = secrets.token_urlsafe(32)
    ensure_private_file(
        settings.folder / "tokens.csv", content=f'{token},kelery-dev,kelery-dev,"system:masters"\n'
    )
    ensure_private_file(settings.folder / "service-account.key", content=new_key_pem())
    certificate = settings.certificate
    if certificate.exists() and time.time() - certificate.stat().st_mtime > _CERTIFICATE_DAYS * 86400:
        certificate.unlink()
        (settings.folder / "apiserver.key").unlink(missing_ok=True)


def api_server_command(settings: ApiServerSettings) -> Command:
    """The server's command line."""
    key = settings.folder / "service-account.key"
    flags = {
        "etcd-servers": settings.etcd_url,
        "bind-address": LOOPBACK,
        "advertise-address": LOOPBACK,
        "secure-port": str(settings.port),
        "cert-dir": str(settings.folder),
        "token-auth-file": str(settings.folder / "tokens.csv"),
        "authorization-mode": "RBAC",
        "service-account-issuer": "https://kubernetes.default.svc.cluster.local",
        "service-account-key-file": str(key),
        "service-account-signing-key-file": str(key),
        "service-cluster-ip-range": "10.96.0.0/16",
        # No node and no controller needs these.
        "disable-admission-plugins": "ServiceAccount",
        "endpoint-reconciler-type": "none",
        "allow-privileged": "true",
        "profiling": "false",
    }
    argv = [str(settings.binary), *(f"--{name}={value}" for name, value in flags.items())]
    return Command(name="apiserver", argv=tuple(argv))


def api_server_answers(settings: ApiServerSettings) -> bool:
    """Whether /readyz returns 200."""
    try:
        trust = ssl.create_default_context(cafile=str(settings.certificate))
        opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=trust)
        )
        request = urllib.request.Request(
            f"{settings.url}/readyz", headers={"Authorization": f"Bearer {settings.token}"}
        )
        with opener.open(request, timeout=2) as answer:
            return bool(answer.status == 200)
    except (OSError, HTTPException):
        return False
