"""Programs that only name a version: scripts in place of kube-apiserver, etcd and kubectl."""

from collections.abc import Callable
from pathlib import Path

import pytest

VERSIONS = {
    "kube-apiserver": "Kubernetes v1.36.2",
    "etcd": "etcd Version: 3.6.1",
    "kubectl": "Client v1.36.2",
}


def program(name: str, *, version: str = "") -> bytes:
    """A script that answers with a version, as the real program does."""
    return f"#!/bin/sh\necho '{version or VERSIONS[name]}'\n".encode()


MakePrograms = Callable[..., Path]


@pytest.fixture
def make_programs() -> MakePrograms:
    """Fill a folder with the three programs; `without` leaves one out."""

    def make(folder: Path, *, without: str = "", **versions: str) -> Path:
        folder.mkdir(parents=True, exist_ok=True)
        for name in VERSIONS:
            if name != without:
                (folder / name).write_bytes(program(name, version=versions.get(name, "")))
                (folder / name).chmod(0o755)
        return folder

    return make
