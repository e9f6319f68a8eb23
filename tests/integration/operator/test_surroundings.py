"""What the operator needs around it: the CRD, few rights, its settings; and what it serves."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
import urllib.request
from pathlib import Path

import yaml

from kelery_dev.control_plane.control_plane import ControlPlane
from kelery_dev.control_plane.manifests import apply_crds
from tests.integration.operator.conftest import StartOperator
from tests.support.cluster import Cluster
from tests.support.operator_process import OperatorProcess
from tests.support.played_worker import PlayedWorker
from tests.support.polling import poll_until

#: All that the operator may do in a namespace; what the chart gives it.
RULES = [
    {"apiGroups": ["kelery.dev"], "resources": ["taskruns"], "verbs": ["get", "list", "watch", "delete"]},
    {"apiGroups": ["kelery.dev"], "resources": ["taskruns/status"], "verbs": ["patch"]},
]


def test_without_the_crd_it_waits_and_logs_this(
    control_plane: ControlPlane, cluster: Cluster, worker: PlayedWorker, start_operator: StartOperator
) -> None:
    gone = control_plane.kubectl("delete", "crd", "taskruns.kelery.dev", "--wait=true")
    assert gone.returncode == 0, gone.stderr
    try:
        operator = start_operator(ready=False, KELERY_NAMESPACES="")
        poll_until(
            lambda: "install the CRD" in operator.told(), seconds=30, what="the hint", state=operator.told
        )
        assert operator.status("/livez") == 200
        assert operator.status("/readyz") == 503
    finally:
        # Other tests of the session need it, and the admission policy that looks at its objects.
        apply_crds(cluster.access)
        wait_until_guarded(cluster)
    operator.wait_until_ready()
    cluster.create(name="at-last")
    worker.succeed(worker.start_next())
    cluster.wait_for("at-last", phase="Succeeded")
    assert operator.terminate() == 0


def wait_until_guarded(cluster: Cluster) -> None:
    """Until the API server refuses what the CRD forbids, and what the admission policy forbids."""
    # Cancelled at its creation, so no worker gets it.
    guarded = cluster.create(name="guarded", cancel="Graceful")
    numbers = itertools.count(10)

    def refusals() -> tuple[str, str]:
        without_task = {**guarded, "metadata": {"name": "bad"}, "spec": {}}
        created = cluster.access.request("POST", path=f"{cluster.path}?dryRun=All", body=without_task)
        patched = cluster.access.request(
            "PATCH",
            path=f"{cluster.path}/guarded",
            body={"spec": {"args": [next(numbers)]}},
            content_type="application/merge-patch+json",
        )
        return created.message, patched.message

    def both_refuse() -> bool:
        by_crd, by_policy = refusals()
        return "spec.task" in by_crd and "spec.args is immutable" in by_policy

    poll_until(both_refuse, seconds=60, what="CRD and policy to be in force", state=refusals, every=0.1)


def test_a_few_permissions_in_one_namespace_are_enough(
    control_plane: ControlPlane,
    cluster: Cluster,
    worker: PlayedWorker,
    start_operator: StartOperator,
    tmp_path: Path,
) -> None:
    kubeconfig = tmp_path / "restricted"
    kubeconfig.write_text(yaml.safe_dump(restricted(control_plane, cluster)))
    operator = start_operator(KUBECONFIG=str(kubeconfig), KELERY_CLUSTER_ID="this-cluster")
    cluster.create(name="modest", ttlSecondsAfterFinished=0)
    worker.succeed(worker.start_next())
    cluster.wait_gone("modest")
    cluster.create(name="deleted")
    claim = worker.start_next()
    cluster.delete("deleted")
    worker.wait_for_record(claim.uid, cancel_reason="Deleted")
    refused = 'kelery_operator_status_writes_total{answer="403"}'
    assert operator.metric(refused) == 0


def restricted(control_plane: ControlPlane, cluster: Cluster) -> dict[str, object]:
    """A kubeconfig of a service account that has these rules and no others."""
    space = cluster.namespace
    rbac = f"/apis/rbac.authorization.k8s.io/v1/namespaces/{space}"
    accounts = f"/api/v1/namespaces/{space}/serviceaccounts"
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "operator"}
    subject = {"kind": "ServiceAccount", "name": "operator", "namespace": space}
    named = {"metadata": {"name": "operator"}}
    cluster.expect(201, "POST", path=accounts, body=named)
    cluster.expect(201, "POST", path=f"{rbac}/roles", body={**named, "rules": RULES})
    binding = {**named, "roleRef": role, "subjects": [subject]}
    cluster.expect(201, "POST", path=f"{rbac}/rolebindings", body=binding)
    answer = cluster.expect(201, "POST", path=f"{accounts}/operator/token", body={"spec": {}})
    authority = {"server": control_plane.server, "certificate-authority": str(control_plane.certificate)}
    return {
        "current-context": "x",
        "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
        "clusters": [{"name": "c", "cluster": authority}],
        "users": [{"name": "u", "user": {"token": answer["status"]["token"]}}],
    }


def test_without_permission_to_identify_the_cluster_the_error_names_the_setting(
    control_plane: ControlPlane, cluster: Cluster, valkey_url: str, tmp_path: Path
) -> None:
    kubeconfig = tmp_path / "restricted"
    kubeconfig.write_text(yaml.safe_dump(restricted(control_plane, cluster)))
    done = run_to_its_end(KUBECONFIG=str(kubeconfig), KELERY_REDIS_URL=valkey_url)
    assert done.returncode == 2
    assert "KELERY_CLUSTER_ID" in done.stderr


def test_bad_settings_are_one_sentence() -> None:
    done = run_to_its_end(KELERY_REDIS_URL="amqp://rabbit")
    assert done.returncode == 2
    assert done.stderr.splitlines() == [
        "KELERY_REDIS_URL must be the URL of the Redis that Celery's messages go through"
        " (redis://, rediss://, unix://), such as redis://localhost:6379/0"
    ]


def run_to_its_end(**environment: str) -> subprocess.CompletedProcess[str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("KELERY_")}
    return subprocess.run(
        [sys.executable, "-m", "kelery_operator"],
        env={**inherited, "KELERY_OPERATOR_HEALTH_ADDR": "127.0.0.1:0", **environment},
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_its_metrics_have_no_label_per_run(
    cluster: Cluster, worker: PlayedWorker, operator: OperatorProcess
) -> None:
    uid = cluster.create(name="counted")["metadata"]["uid"]
    worker.succeed(worker.start_next())
    cluster.wait_for("counted", phase="Succeeded")
    with urllib.request.urlopen(f"http://127.0.0.1:{operator.port}/metrics", timeout=5) as answer:
        text = answer.read().decode()
    assert 'kelery_operator_status_writes_total{answer="200"}' in text
    assert uid not in text
    assert "counted" not in text
    names = [line.split()[2] for line in text.splitlines() if line.startswith("# TYPE")]
    assert names
    assert all(name.startswith("kelery_operator_") for name in names)
    # Arguments and results stay out of the log, and so does all that goes well.
    assert "demo.add" not in operator.told()
