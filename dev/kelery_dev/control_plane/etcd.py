"""etcd as a service of the local control plane: its command line and its readiness."""

import urllib.request
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path

from kelery_dev.supervise.child_process import Command
from kelery_dev.supervise.ports import LOOPBACK

# A proxy of the environment must never see a request to our own loopback servers.
_DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))


@dataclass(frozen=True, slots=True, kw_only=True)
class EtcdSettings:
    """Where etcd listens and keeps its data; a throw-away one need not wait for the disk."""

    binary: Path
    port: int
    folder: Path
    durable: bool = True

    @property
    def url(self) -> str:
        return f"http://{LOOPBACK}:{self.port}"


def etcd_command(settings: EtcdSettings) -> Command:
    """A single member; the peer port is never used, so the kernel picks one."""
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
    """Whether a loopback URL answers 200."""
    try:
        with _DIRECT.open(url, timeout=1) as answer:
            return bool(answer.status == 200)
    except (OSError, HTTPException):
        return False


def etcd_answers(settings: EtcdSettings) -> bool:
    """Whether the member has a leader and serves."""
    return http_answers(f"{settings.url}/health")
