"""The service account of a pod, from the files and variables that Kubernetes puts into the pod."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from kelery.errors import SettingsError
from kelery.kube.credentials import Credentials

ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")


def has_service_account(environ: Mapping[str, str], *, account: Path) -> bool:
    """Whether this process runs in a pod with a service account."""
    return bool(environ.get("KUBERNETES_SERVICE_HOST")) and (account / "token").exists()


def from_service_account(environ: Mapping[str, str], *, account: Path) -> Credentials:
    """The credentials. Kubernetes renews the token in the file, so read it again regularly."""
    host = environ["KUBERNETES_SERVICE_HOST"]
    host = f"[{host}]" if ":" in host else host
    port = environ.get("KUBERNETES_SERVICE_PORT_HTTPS") or environ.get("KUBERNETES_SERVICE_PORT") or "443"
    authority = account / "ca.crt"
    return Credentials(
        server=f"https://{host}:{port}",
        authority=_read(authority) if authority.exists() else None,
        token=_read(account / "token").strip(),
    )


def _read(file: Path) -> str:
    try:
        return file.read_text()
    except OSError as error:
        raise SettingsError(f"cannot read {file} of the pod's service account: {error.strerror}") from None
    except UnicodeDecodeError:
        raise SettingsError(f"cannot read {file} of the pod's service account: it is not text") from None
