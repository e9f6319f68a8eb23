"""The end-to-end tests' settings for the cluster, from environment variables."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

_HINT = (
    "make e2e needs a cluster of one node that may be filled and broken: KUBECONFIG, and the images in it, "
    "KELERY_E2E_IMAGE (of ./Dockerfile) and KELERY_E2E_GUEST_IMAGE (of tests/e2e/guest)"
)


class SettingsError(Exception):
    """A setting is missing or wrong."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """An image reference, in the parts that the chart needs."""

    registry: str
    repository: str
    tag: str

    @classmethod
    def parse(cls, reference: str) -> Image:
        """Parse `registry/repository:tag`. The registry is required: nodes complete names differently."""
        name, colon, tag = reference.rpartition(":")
        registry, slash, repository = name.partition("/")
        if not colon or not slash or "/" in tag or not (set(".:") & set(registry) or registry == "localhost"):
            raise SettingsError(f"an image must be registry/repository:tag, not {reference!r}")
        return cls(registry=registry, repository=repository, tag=tag)

    @property
    def reference(self) -> str:
        return f"{self.registry}/{self.repository}:{self.tag}"

    @property
    def values(self) -> dict[str, str]:
        return {"registry": self.registry, "repository": self.repository, "tag": self.tag}


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """All settings. `logs`: the folder for logs of failures. `audit_log`: the API server's, if readable."""

    kubeconfig: Path
    image: Image
    guest_image: Image
    valkey_image: Image
    logs: Path
    audit_log: Path | None

    @classmethod
    def read(cls, environment: Mapping[str, str] = os.environ) -> Settings:
        missing = [
            name
            for name in ("KUBECONFIG", "KELERY_E2E_IMAGE", "KELERY_E2E_GUEST_IMAGE")
            if not environment.get(name)
        ]
        if missing:
            raise SettingsError(f"{_HINT}. Not set: {', '.join(missing)}")
        audit_log = environment.get("KELERY_E2E_AUDIT_LOG")
        return cls(
            kubeconfig=Path(environment["KUBECONFIG"]),
            image=Image.parse(environment["KELERY_E2E_IMAGE"]),
            guest_image=Image.parse(environment["KELERY_E2E_GUEST_IMAGE"]),
            valkey_image=Image.parse(
                environment.get("KELERY_E2E_VALKEY_IMAGE") or "docker.io/valkey/valkey:8.1"
            ),
            logs=logs_folder(environment),
            audit_log=Path(audit_log) if audit_log else None,
        )


def logs_folder(environment: Mapping[str, str] = os.environ) -> Path:
    """The folder for logs of failures. It is known even if other settings are wrong."""
    return Path(environment.get("KELERY_E2E_LOGS") or ".e2e-logs")
