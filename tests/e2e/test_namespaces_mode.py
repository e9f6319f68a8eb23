"""A release with rights in its own namespace only, and with its app's source in the values."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from kelery.kube.sync_session import SyncSession
from tests.e2e.kubectl import Kubectl
from tests.e2e.release import Release
from tests.e2e.settings import Settings
from tests.support.cluster import Cluster

_NAMESPACE = "kelery-e2e-team"
_APP = """
from celery import Celery
app = Celery("notes")

@app.task(name="notes.shout")
def shout(text):
    return text.upper()
"""


@pytest.fixture
def team(release: Release, kubectl: Kubectl, settings: Settings) -> Iterator[Release]:
    """A second release, which uses the CRD of the cluster-wide release."""
    team = Release(
        helm=release.helm,
        kubectl=kubectl,
        namespace=_NAMESPACE,
        name="team",
        values={
            "image": settings.image.values,
            "redis": {"image": settings.valkey_image.values, "persistence": {"enabled": False}},
            "scope": {"mode": "namespaces"},
            "crds": {"enabled": False},
            "policy": {"enabled": False},
            "gateway": {"enabled": False},
            "workerDefaults": {"terminationGracePeriodSeconds": 20},
            "workers": {
                "default": {"app": "notes", "concurrency": 1, "code": {"inline": {"notes.py": _APP}}}
            },
            "tests": {"task": "notes.shout", "args": ["hello"]},
        },
    )
    yield team
    if team.is_installed():
        team.uninstall()
    kubectl.run("delete", "namespace", _NAMESPACE, "--ignore-not-found", "--timeout=90s", timeout=100)
    release.ensure()


def test_without_any_right_of_the_cluster(
    team: Release, release: Release, kubectl: Kubectl, settings: Settings
) -> None:
    # The cluster-wide operator would take these runs too, and they would run twice.
    release.upgrade({"operator": {"enabled": False}})
    team.install()
    granted = kubectl.items("clusterroles,clusterrolebindings", "-l", "app.kubernetes.io/instance=team")
    assert granted == []
    runs = Cluster(SyncSession.from_kubeconfig(settings.kubeconfig), namespace=_NAMESPACE)
    runs.create(name="shout", task="notes.shout", args=["who is there"])
    status = runs.wait_for("shout", seconds=30, phase="Succeeded")
    assert status["result"]["value"] == "WHO IS THERE"
    assert "Kubernetes: Succeeded" in team.test()
    [operator] = team.pods("operator")
    logs = kubectl.run("logs", operator["metadata"]["name"], "-n", _NAMESPACE)
    assert "forbidden" not in logs.lower()
