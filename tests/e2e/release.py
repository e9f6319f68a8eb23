"""The release under test: its Helm commands and its pods."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.e2e.kubectl import Kubectl, Object
from tests.e2e.settings import Settings
from tests.support.helm import CHART, Helm
from tests.support.polling import poll_until

NAME = "kelery"
NAMESPACE = "kelery-e2e"
#: The volume claim for the journal of the guests' tasks.
SHELVES = "shelves"
#: When a pod of the guests' workers is stopped, its runs have this long to end ...
DRAIN_SECONDS = 12
#: ... and the pod has this long.
GRACE_SECONDS = 30
_WAIT_SECONDS = 150

Values = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """One named release, installed or not."""

    helm: Helm
    kubectl: Kubectl
    values: Values
    namespace: str = NAMESPACE
    name: str = NAME

    def install(self) -> None:
        """Install it, and wait with `--wait` until all pods are ready."""
        self._helm("install", self.name, CHART, "--create-namespace", *_WAIT, values=self.values)

    def ensure(self) -> None:
        """Make sure that it is installed with the tests' values, and ready."""
        self._helm("upgrade", self.name, CHART, "--install", "--create-namespace", *_WAIT, values=self.values)

    def upgrade(self, changes: Values) -> None:
        """Upgrade to the tests' values with these changes."""
        self._helm("upgrade", self.name, CHART, *_WAIT, values=merged(self.values, changes))

    def rollback(self) -> None:
        """Roll back to the previous revision."""
        self._helm("rollback", self.name, *_WAIT)

    def uninstall(self) -> None:
        """Uninstall, and wait until Helm reports that all is deleted."""
        self._helm("uninstall", self.name, *_WAIT)

    def test(self) -> str:
        """Run `helm test`; its pod's output."""
        return self._helm("test", self.name, "--logs")

    def notes(self) -> str:
        """The notes that Helm prints after an installation."""
        return self._helm("get", "notes", self.name)

    def is_installed(self) -> bool:
        done = self.helm.run("status", self.name, "--namespace", self.namespace)
        return done.returncode == 0

    def pods(self, component: str = "", *, pool: str = "") -> list[Object]:
        """Its pods that are not being deleted: all, or those of a component."""
        wanted = {
            "app.kubernetes.io/instance": self.name,
            **({"app.kubernetes.io/component": component} if component else {}),
            **({"kelery.dev/pool": pool} if pool else {}),
        }
        selector = ",".join(f"{key}={value}" for key, value in wanted.items())
        pods = self.kubectl.items("pods", "-n", self.namespace, "-l", selector)
        return [pod for pod in pods if "deletionTimestamp" not in pod["metadata"]]

    def await_ready(self, *, seconds: float = 90) -> None:
        """Wait until every expected pod is ready."""
        poll_until(self._is_ready, seconds=seconds, what="ready pods", state=self._states, every=0.5)

    @contextmanager
    def forwarded(self) -> Iterator[str]:
        """Forward a local port to the gateway's Service; its URL."""
        forward = self.kubectl.start(
            "port-forward", "-n", self.namespace, f"service/{self.name}-api", ":80", "--address=127.0.0.1"
        )
        try:
            assert forward.stdout
            first = forward.stdout.readline()
            assert first.startswith("Forwarding from 127.0.0.1:"), first
            yield f"http://127.0.0.1:{first.split(':')[1].split()[0]}"
        finally:
            forward.terminate()
            forward.communicate(timeout=10)

    def _is_ready(self) -> bool:
        selector = ("-n", self.namespace, "-l", f"app.kubernetes.io/instance={self.name}")
        parts = self.kubectl.items("deployments,statefulsets", *selector)
        return bool(parts) and all(
            part["status"].get("observedGeneration") == part["metadata"]["generation"]
            and part["status"].get("updatedReplicas", 0)
            == part["status"].get("readyReplicas", 0)
            == part["status"].get("replicas", 0)
            == part["spec"]["replicas"]
            for part in parts
        )

    def _states(self) -> list[tuple[str, object]]:
        return [(pod["metadata"]["name"], pod["status"].get("conditions")) for pod in self.pods()]

    def _helm(self, command: str, *arguments: str | Path, values: Values | None = None) -> str:
        done: subprocess.CompletedProcess[str] = self.helm.run(
            command, *arguments, "--namespace", self.namespace, values=values
        )
        assert done.returncode == 0, f"helm {command}: {done.stderr}\n{done.stdout}"
        return done.stdout


_WAIT: Sequence[str] = ("--wait", f"--timeout={_WAIT_SECONDS}s")


def merged(base: Values, changes: Values) -> dict[str, Any]:
    """Merge values as Helm does: maps by key, everything else is replaced."""
    result = dict(base)
    for key, value in changes.items():
        old = result.get(key)
        if isinstance(old, Mapping) and isinstance(value, Mapping):
            result[key] = merged(old, value)
        else:
            result[key] = value
    return result


def values_of(settings: Settings) -> dict[str, Any]:
    """The tests' values: the demo's pool, and a pool with a guest's image whose pods share a folder."""
    shelves = {"name": "shelves", "persistentVolumeClaim": {"claimName": SHELVES}}
    return {
        "image": settings.image.values,
        "redis": {"image": settings.valkey_image.values, "persistence": {"size": "1Gi"}},
        "workerDefaults": {"drainSeconds": DRAIN_SECONDS, "terminationGracePeriodSeconds": GRACE_SECONDS},
        "workers": {
            "warehouse": {
                "app": "warehouse",
                "image": settings.guest_image.values,
                "python": "/srv/venv/bin/python",
                "podSecurityContext": {"runAsUser": 1000, "runAsGroup": 1000},
                "queues": ["warehouse"],
                "replicas": 2,
                "concurrency": 3,
                "extraVolumes": [shelves],
                "extraVolumeMounts": [{"name": "shelves", "mountPath": "/shelves"}],
            }
        },
    }


def write_values(values: Values, file: Path) -> Path:
    """Write the values to a file for a command line."""
    file.write_text(json.dumps(values))
    return file
