"""A run through each API of an installed release, with a user's own image."""

from __future__ import annotations

from tests.e2e.client import Client
from tests.e2e.conftest import RUNS
from tests.e2e.kubectl import Kubectl
from tests.e2e.release import NAMESPACE, Release
from tests.support.cluster import Cluster

_MANIFEST = """
apiVersion: kelery.dev/v1alpha1
kind: TaskRun
metadata: {name: with-kubectl}
spec: {task: demo.hello, kwargs: {name: Ada}}
"""


def test_a_run_by_kubectl(release: Release, kubectl: Kubectl) -> None:
    kubectl.run("apply", "-n", RUNS, "-f", "-", input=_MANIFEST)
    finished = "--for=condition=Finished"
    kubectl.run("wait", "taskrun/with-kubectl", "-n", RUNS, finished, "--timeout=30s", timeout=40)
    shown = kubectl.run("get", "taskrun/with-kubectl", "-n", RUNS, "-o", "jsonpath={.status.result.value}")
    assert shown == "Hello, Ada!"


def test_a_run_by_http_through_the_service(release: Release, client: Client) -> None:
    with release.forwarded() as url:
        run = client.ask(url, "POST", "?wait=30s", {"spec": {"task": "demo.add", "args": [1, 2]}})
    assert run["status"]["phase"] == "Succeeded"
    assert run["status"]["result"]["value"] == 3


def test_an_unmodified_image_with_a_python_and_a_user_of_its_own(
    release: Release, runs: Cluster, kubectl: Kubectl
) -> None:
    runs.create(name="who", task="warehouse.who", args=[], queue="warehouse")
    status = runs.wait_for("who", seconds=30, phase="Succeeded")
    assert status["result"]["value"] == {"uid": 1000, "python": "/srv/venv/bin/python"}
    [pod, _] = [pod["metadata"]["name"] for pod in release.pods("worker", pool="warehouse")]
    # -I ignores PYTHONPATH, with which the chart adds the plug-in.
    inside = ("exec", pod, "-n", NAMESPACE, "-c", "worker", "--", "/srv/venv/bin/python")
    found = kubectl.attempt(*inside, "-I", "-c", "import kelery_worker")
    assert "ModuleNotFoundError" in found.stderr
