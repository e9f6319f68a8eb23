"""Scripts that only print a version, in place of kube-apiserver, etcd and kubectl."""

from collections.abc import Callable
from pathlib import Path

VERSIONS = {
    "kube-apiserver": "Kubernetes v1.36.2",
    "etcd": "etcd Version: 3.6.1",
    "kubectl": "Client v1.36.2",
}


def program(name: str, *, version: str = "") -> bytes:
    """A script that prints a version as the real program does."""
    return f"#!/bin/sh\necho '{version or VERSIONS[name]}'\n".encode()


MakePrograms = Callable[..., Path]
