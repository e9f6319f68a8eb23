"""A release in a real API server, and what is to be seen of it there."""

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
    """One release by name; nothing waits for pods, since there is nobody who would start them."""

    helm: Helm
    plane: ControlPlane
    name: str
    namespace: str

    def install(
        self, values: Values | None = None, *, chart: Path = CHART, options: Sequence[str] = ()
    ) -> None:
        """Install it; a refusal is a failure."""
        done = self.try_install(values, chart=chart, options=options)
        assert done.returncode == 0, done.stderr

    def try_install(
        self, values: Values | None = None, *, chart: Path = CHART, options: Sequence[str] = ()
    ) -> subprocess.CompletedProcess[str]:
        """Install it; the caller looks at the return code."""
        place = ("--namespace", self.namespace, "--create-namespace")
        return self.helm.run("install", self.name, chart, *place, *options, values=values or {})

    def upgrade(self, values: Values | None = None, *, chart: Path = CHART) -> None:
        """Upgrade it to exactly these values."""
        done = self.helm.run(
            "upgrade", self.name, chart, "--namespace", self.namespace, "--reset-values", values=values or {}
        )
        assert done.returncode == 0, done.stderr

    def rollback(self) -> None:
        """To the revision before."""
        done = self.helm.run("rollback", self.name, "--namespace", self.namespace)
        assert done.returncode == 0, done.stderr

    def uninstall(self) -> None:
        """Remove it."""
        done = self.helm.run("uninstall", self.name, "--namespace", self.namespace)
        assert done.returncode == 0, done.stderr

    def get(self, kind: str, name: str = "") -> list[Manifest]:
        """Objects of a kind, in the release's namespace if they are in any."""
        found = self.plane.kubectl("get", kind, *filter(None, [name]), "-n", self.namespace, "-o", "json")
        if found.returncode != 0:
            assert "not found" in found.stderr or "the server doesn't have" in found.stderr, found.stderr
            return []
        content: dict[str, Any] = json.loads(found.stdout)
        return list(content["items"]) if "items" in content else [content]

    def one(self, kind: str, name: str) -> Manifest:
        """The one of this name."""
        [found] = self.get(kind, name)
        return found

    def remove_leftovers(self) -> None:
        """What was kept on purpose, so that the next test begins with nothing."""
        self.helm.run("uninstall", self.name, "--namespace", self.namespace, "--ignore-not-found")
        self.plane.kubectl("delete", "secret", "--all", "-n", self.namespace)
        remove_cluster_objects(self.plane)


def remove_cluster_objects(plane: ControlPlane) -> None:
    """CRD and policies, whoever made them."""
    policies = "validatingadmissionpolicies,validatingadmissionpolicybindings"
    assert plane.kubectl("delete", policies, "--all").returncode == 0
    gone = plane.kubectl("delete", "crd", "taskruns.kelery.dev", "--ignore-not-found", "--timeout=60s")
    assert gone.returncode == 0, gone.stderr
