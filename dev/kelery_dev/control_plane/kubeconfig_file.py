"""Writes the kubeconfig of the local control plane: one cluster, one administrator, mode 0600."""

import base64
import json
import os
from pathlib import Path


def write_kubeconfig(file: Path, *, server: str, certificate: Path, token: str) -> None:
    """Write a temporary file and rename it, so that no reader sees a partial file."""
    name = "kelery-dev"
    authority = base64.b64encode(certificate.read_bytes()).decode()
    content = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": name, "cluster": {"server": server, "certificate-authority-data": authority}}],
        "users": [{"name": name, "user": {"token": token}}],
        "contexts": [
            {"name": name, "context": {"cluster": name, "user": name, "namespace": "default"}},
        ],
        "current-context": name,
    }
    draft = file.with_name(f".{file.name}.{os.getpid()}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    # JSON is YAML, and needs no library.
    with os.fdopen(descriptor, "w") as stream:
        json.dump(content, stream, indent=2)
        stream.write("\n")
    draft.replace(file)
