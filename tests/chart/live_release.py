"""A release in a real API server, and access to its objects."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kelery_dev.control_plane.control_plane import ControlPlane
from tests.support.helm import CHART, Helm, Manifest, Values


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveRelease:
    """One release by name. Nothing waits for pods, because the control plane has no kubelet."""

    helm: Helm
    plane: ControlPlane
    name: str
    namespace: str

    def install(
        self, values: Values | None = None, *, chart: Path = CHART, options: Sequence[str] = ()
    ) -> None:
        """Install the release; a rejection fails the test."""
        done = self.try_install(values, chart=chart, options=options)
        assert done.returncode == 0, done.stderr

    def try_install(
        self, values: Values | None = None, *, chart: Path = CHART, options: Sequence[str] = ()
    ) -> subprocess.CompletedProcess[str]:
        """Install the release; the caller checks the return code."""
        place = ("--namespace", self.namespace, "--create-namespace")
        return self.helm.run("install", self.name, chart, *place, *options, values=values or {})

    def upgrade(self, values: Values | None = None, *, chart: Path = CHART) -> None:
        """Upgrade the release to exactly these values."""
        done = self.helm.run(
            "upgrade", self.name, chart, "--namespace", self.namespace, "--reset-values", values=values or {}
        )
        assert done.returncode == 0, done.stderr

    def rollback(self) -> None:
        """Roll back to the previous revision."""
        done = self.helm.run("rollback", self.name, "--namespace", self.namespace)
        assert done.returncode == 0, done.stderr

    def uninstall(self) -> None:
        """Uninstall the release."""
        done = self.helm.run("uninstall", self.name, "--namespace", self.namespace)
        assert done.returncode == 0, done.stderr

    def get(self, kind: str, name: str = "") -> list[Manifest]:
        """Objects of a kind; of a namespaced kind, those in the release's namespace."""
        found = self.plane.kubectl("get", kind, *filter(None, [name]), "-n", self.namespace, "-o", "json")
        if found.returncode != 0:
            assert "not found" in found.stderr or "the server doesn't have" in found.stderr, found.stderr
            return []
        content: dict[str, Any] = json.loads(found.stdout)
        return list(content["items"]) if "items" in content else [content]

    def one(self, kind: str, name: str) -> Manifest:
        """The object with this name."""
        [found] = self.get(kind, name)
        return found

    def remove_leftovers(self) -> None:
        """Remove what an uninstall keeps, so that the next test starts with an empty cluster."""
        self.helm.run("uninstall", self.name, "--namespace", self.namespace, "--ignore-not-found")
        self.plane.kubectl("delete", "secret", "--all", "-n", self.namespace)
        remove_cluster_objects(self.plane)


def remove_cluster_objects(plane: ControlPlane) -> None:
    """Remove the CRD and the policies, no matter who created them."""
    policies = "validatingadmissionpolicies,validatingadmissionpolicybindings"
    assert plane.kubectl("delete", policies, "--all").returncode == 0
    gone = plane.kubectl("delete", "crd", "taskruns.kelery.dev", "--ignore-not-found", "--timeout=180s")
    assert gone.returncode == 0, gone.stderr
