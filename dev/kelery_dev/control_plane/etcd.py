"""etcd as a service of the local control plane: command line and readiness."""

import urllib.request
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path

from kelery_dev.supervise.child_process import Command
from kelery_dev.supervise.ports import LOOPBACK

# Requests to loopback servers must not go through a proxy of the environment.
_DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))


@dataclass(frozen=True, slots=True, kw_only=True)
class EtcdSettings:
    """etcd's port and folder; if not `durable`, it does not wait for the disk."""

    binary: Path
    port: int
    folder: Path
    durable: bool = True

    @property
    def url(self) -> str:
        return f"http://{LOOPBACK}:{self.port}"


def etcd_command(settings: EtcdSettings) -> Command:
    """The command line of a single member; the kernel picks the unused peer port."""
    flags = {
        "name": "kelery",
        "data-dir": str(settings.folder),
        "listen-client-urls": settings.url,
        "advertise-client-urls": settings.url,
        "listen-peer-urls": f"http://{LOOPBACK}:0",
        "log-level": "warn",
        "quota-backend-bytes": str(1024**3),
    }
    argv = [str(settings.binary), *(f"--{name}={value}" for name, value in flags.items())]
    if not settings.durable:
        argv.append("--unsafe-no-fsync")
    return Command(name="etcd", argv=tuple(argv))


def http_answers(url: str) -> bool:
    """Whether a loopback URL returns 200."""
    try:
        with _DIRECT.open(url, timeout=1) as answer:
            return bool(answer.status == 200)
    except (OSError, HTTPException):
        return False


def etcd_answers(settings: EtcdSettings) -> bool:
    """Whether the member has a leader and serves."""
    return http_answers(f"{settings.url}/health")
