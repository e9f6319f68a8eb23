"""The benchmark of a cluster against a real API server, operator and worker.

There is no node: `JobPlayer` completes Jobs, and removes the finalizers of deleted ones. `tests/e2e` runs the
benchmark on a real cluster.
"""

from __future__ import annotations

import asyncio
import itertools
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from kelery.kube.sync_session import SyncSession
from kelery_bench.clients import taskruns
from kelery_bench.clients.api_client import connected
from kelery_bench.cluster import jobs
from kelery_bench.cluster.measuring import measure_on_cluster, one_line
from kelery_bench.cluster.placement import Placement
from kelery_bench.cluster.rights import check_kelery_is_there, check_rights
from kelery_bench.cluster.space import Space, bench_space
from kelery_bench.cluster.target import Target
from kelery_bench.cluster.trial import try_jobs, try_task
from kelery_bench.local_stack import LocalStack, local_stack
from kelery_bench.size import Size
from kelery_dev.control_plane.control_plane import ControlPlane
from kelery_dev.errors import DevError
from tests.support.cluster import with_credentials
from tests.support.polling import poll_until
from tests.support.tcp_proxy import TcpProxy

SERVED = "bench-served"
#: Workers of a local stack are named something@bench. On a cluster, this part is the pod's name.
WORKER_POD = "bench"
NODE = "node-1"

_numbers = itertools.count(1)


@pytest.fixture(scope="module")
def stack(control_plane: ControlPlane) -> Iterator[LocalStack]:
    """An operator of one namespace, and a worker with the demo's tasks that looks like a pod."""
    with local_stack(plane=control_plane, app="kelery_worker.demo", operator=False, gateway=False) as stack:
        make_namespace(stack.access, SERVED)
        stack.start_operator(env={"KELERY_NAMESPACES": SERVED})
        make_pod(stack.access, WORKER_POD, labels={}, status={"phase": "Running"})
        yield stack


def make_namespace(access: SyncSession, name: str) -> None:
    answer = access.request("POST", path="/api/v1/namespaces", body={"metadata": {"name": name}})
    assert answer.status == 201, answer.message


def make_pod(access: SyncSession, name: str, *, labels: Mapping[str, str], status: Mapping[str, Any]) -> None:
    path = f"/api/v1/namespaces/{SERVED}/pods"
    spec = {"nodeName": NODE, "containers": [{"name": "worker", "image": "shop:1"}]}
    body = {"metadata": {"name": name, "labels": labels}, "spec": spec}
    assert access.request("POST", path=path, body=body).status == 201
    kind = "application/merge-patch+json"
    patch = {"status": status}
    answer = access.request("PATCH", path=f"{path}/{name}/status", body=patch, content_type=kind)
    assert answer.status == 200, answer.message


@dataclass(kw_only=True)
class JobPlayer:
    """Completes Jobs with these name prefixes, and removes the finalizers of Jobs that are being deleted."""

    access: SyncSession
    completes: tuple[str, ...] = ("trial", "bench")
    seen: list[Mapping[str, Any]] = field(default_factory=list)
    _stopped: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> JobPlayer:
        self._thread = threading.Thread(target=self._play)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self._thread.join()

    def _play(self) -> None:
        while not self._stopped.wait(0.02):
            for job in listed(self.access, jobs.collection(SERVED)):
                path = f"{jobs.collection(SERVED)}/{job['metadata']['name']}"
                if job["metadata"].get("deletionTimestamp"):
                    self._patch(path, {"metadata": {"finalizers": None}})
                elif not job.get("status", {}).get("conditions") and self._is_ours(job):
                    self.seen.append(job)
                    self._patch(f"{path}/status", {"status": COMPLETE})

    def _is_ours(self, job: Mapping[str, Any]) -> bool:
        return str(job["metadata"]["name"]).startswith(self.completes)

    def _patch(self, path: str, body: Mapping[str, Any]) -> None:
        answer = self.access.request(
            "PATCH", path=path, body=body, content_type="application/merge-patch+json"
        )
        assert answer.status in (200, 404), answer.message


COMPLETE = {
    "succeeded": 1,
    "startTime": "2026-01-01T00:00:00Z",
    "completionTime": "2026-01-01T00:00:01Z",
    "conditions": [
        {"type": "SuccessCriteriaMet", "status": "True"},
        {"type": "Complete", "status": "True"},
    ],
}


def listed(access: SyncSession, collection: str) -> list[dict[str, Any]]:
    return list(access.request("GET", path=collection).body["items"])


def names(access: SyncSession, *, namespace: str = SERVED) -> list[str]:
    """The names of all existing TaskRuns and Jobs."""
    collections = (taskruns.collection(namespace), jobs.collection(namespace))
    return [body["metadata"]["name"] for one in collections for body in listed(access, one)]


def silent(line: str) -> None:
    """Ignores a line of the report."""


def test_both_sides_are_measured_and_only_what_was_made_is_deleted(stack: LocalStack) -> None:
    somebodys = {
        "apiVersion": "kelery.dev/v1alpha1",
        "kind": "TaskRun",
        "metadata": {"name": "somebodys"},
        "spec": {"task": "demo.hello"},
    }
    path = taskruns.collection(SERVED)
    assert stack.access.request("POST", path=path, body=somebodys).status == 201
    target = Target(access=stack.access, namespace=SERVED)
    with JobPlayer(access=stack.access) as player:
        measured = measure_on_cluster(
            target, chosen=["job-latency"], size=Size.QUICK, rounds=1, report=silent
        )
        assert names(stack.access) == ["somebodys"]
    (result,) = measured.results
    assert result.name == ("job-latency", "p50")
    assert result.goal is not None
    assert 0 < result.comparison.ours[0] < 5_000
    assert 0 < result.comparison.theirs[0] < 5_000
    assert "demo.hello" in result.title
    assert measured.cluster["image"] == "shop:1"
    # This cluster has a pod, but no node.
    assert one_line(measured.cluster).endswith("workers on node-1 (unknown)")
    # One for the trial, two in the warm-up round, two in the measured round.
    assert len(player.seen) == 5
    stack.access.request("DELETE", path=f"{path}/somebodys")


@pytest.fixture
def heeded_interrupts() -> Iterator[None]:
    """Handle SIGINT here. A background script ignores it, and subprocesses inherit that.

    Subprocesses do not inherit a handler, so they have the default for SIGINT again.
    """
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("heeded_interrupts")
def test_control_c_in_the_middle_of_a_measurement_leaves_nothing_behind(stack: LocalStack) -> None:
    argv = [sys.executable, "-m", "kelery", "bench", "--quick", "--namespace", SERVED]
    argv += ["--kubeconfig", str(stack.plane.kubeconfig)]
    with JobPlayer(access=stack.access, completes=("trial",)):
        with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
            try:
                poll_until(
                    lambda: any(name.startswith("bench-") for name in names(stack.access)),
                    seconds=60,
                    what="a measurement that does not end",
                    state=lambda: (process.poll(), names(stack.access)),
                )
                process.send_signal(signal.SIGINT)
                printed, said = process.communicate(timeout=60)
            finally:
                process.kill()
        assert process.returncode == 1
        assert "Aborted!" in said
        assert "deleting the created objects" in said
        assert "Traceback" not in said + printed
        assert names(stack.access) == []


def test_a_namespace_of_its_own_is_made_with_restricted_pods_and_deleted_after_a_failure(
    stack: LocalStack,
) -> None:
    made: list[Space] = []

    def namespace() -> Mapping[str, Any]:
        return stack.access.request("GET", path=f"/api/v1/namespaces/{made[0].namespace}").body

    def measure() -> None:
        with bench_space(Target(access=stack.access), report=silent) as space:
            made.append(space)
            labels = namespace()["metadata"]["labels"]
            assert labels["pod-security.kubernetes.io/enforce"] == "restricted"
            body = taskruns.manifest("own", spec={"task": "demo.hello"}, labels=space.labels)
            path = taskruns.collection(space.namespace)
            assert stack.access.request("POST", path=path, body=body).status == 201
            raise DevError("as a test")

    with pytest.raises(DevError, match="as a test"):
        measure()
    # No controller runs here that would finish the deletion.
    assert namespace()["status"]["phase"] == "Terminating"
    assert names(stack.access, namespace=made[0].namespace) == []


@pytest.mark.parametrize(
    ("target", "said"),
    [
        ({"task": "demo.nothing"}, "the workers have no task demo.nothing"),
        ({"task": "demo.add"}, r"demo.add ended as Failed/TaskError \(TypeError: .*needs no arguments"),
        ({"queue": "nobody"}, "no worker took a run from the queue nobody within 2 s"),
        ({"namespace": "default"}, "no operator handled a TaskRun in the namespace default"),
        ({"queue": "x" * 201}, "the API server rejected the TaskRun in the namespace bench-served: .*queue"),
    ],
)
def test_what_would_not_work_is_said_before_it_is_measured(
    stack: LocalStack, target: dict[str, str], said: str
) -> None:
    wanted = Target(access=stack.access, **{"namespace": SERVED, **target})
    with pytest.raises(DevError, match=said), bench_space(wanted, report=silent) as space:
        try_task(wanted, space, seconds=2)
    assert names(stack.access, namespace=wanted.namespace or "") == []


def test_a_trial_that_works_names_the_worker(stack: LocalStack) -> None:
    target = Target(access=stack.access, namespace=SERVED)
    with bench_space(target, report=silent) as space:
        assert try_task(target, space).endswith(f"@{WORKER_POD}")


def test_a_job_that_cannot_start_is_told_by_its_pod_at_once(stack: LocalStack) -> None:
    placement = Placement(nodes=(NODE,), image="shop:0", python="python3", security={})
    waiting = {"reason": "ImagePullBackOff", "message": "no such image"}
    container = {"name": "noop", "image": "shop:0", "imageID": "", "ready": False, "restartCount": 0}

    def attempt() -> None:
        with (
            JobPlayer(access=stack.access, completes=()),
            bench_space(Target(access=stack.access, namespace=SERVED), report=silent) as space,
        ):
            labels = {"batch.kubernetes.io/job-name": f"trial-{space.run}-1"}
            status = {"containerStatuses": [{**container, "state": {"waiting": waiting}}]}
            make_pod(stack.access, "trial", labels=labels, status=status)
            try_jobs(placement, space, seconds=30)

    began = time.monotonic()
    said = "image shop:0 did not complete on the node node-1: ImagePullBackOff: no such image"
    with pytest.raises(DevError, match=said):
        attempt()
    # It failed at once, not at the Job's timeout.
    assert time.monotonic() - began < 30


def test_a_job_that_gets_no_pod_is_told_by_its_events(stack: LocalStack) -> None:
    placement = Placement(nodes=(NODE,), image="shop:0", python="python3", security={})

    def attempt() -> None:
        with (
            JobPlayer(access=stack.access, completes=()),
            bench_space(Target(access=stack.access, namespace=SERVED), report=silent) as space,
        ):
            job = {"kind": "Job", "name": f"trial-{space.run}-1", "namespace": SERVED}
            body = {"metadata": {"name": "refused"}, "involvedObject": job, "message": "exceeded quota"}
            path = f"/api/v1/namespaces/{SERVED}/events"
            assert stack.access.request("POST", path=path, body=body).status == 201
            try_jobs(placement, space, seconds=0.5)

    with pytest.raises(DevError, match="did not complete on the node node-1: exceeded quota"):
        attempt()


def test_an_api_server_that_serves_no_taskruns_is_told_from_one_that_does(
    control_plane: ControlPlane,
) -> None:
    access = control_plane.access()
    check_kelery_is_there(access)
    with pytest.raises(DevError, match="has no TaskRuns: install Kelery there"):
        check_kelery_is_there(with_credentials(access, server=f"{access.server}/without"))


def test_credentials_that_are_not_accepted_are_told(control_plane: ControlPlane) -> None:
    access = with_credentials(control_plane.access(), token="old")
    with pytest.raises(DevError, match="rejects the kubeconfig's credentials"):
        check_kelery_is_there(access)


def test_rights_that_are_missing_are_named_with_what_would_help(control_plane: ControlPlane) -> None:
    access = control_plane.access()
    somebody = with_credentials(access, impersonate="somebody")

    def refusal(target: Target, *, namespace: str) -> str:
        with pytest.raises(DevError) as refused:
            check_rights(target, namespace=namespace)
        return str(refused.value)

    said = refusal(Target(access=somebody), namespace="new")
    assert "create namespaces, delete namespaces: choose an existing namespace with --namespace" in said
    said = refusal(Target(access=somebody, namespace="default"), namespace="default")
    assert "create taskruns.kelery.dev" in said
    assert "deletecollection jobs.batch" in said
    rule = {"apiGroups": ["batch", "kelery.dev"], "resources": ["jobs", "taskruns"], "verbs": ["*"]}
    grant(access, rule, to="somebody")
    said = refusal(Target(access=somebody, namespace="default"), namespace="default")
    assert "list the pods of all namespaces" in said
    assert "--worker-namespace" in said
    missing = refusal(Target(access=access, namespace="not-there"), namespace="not-there")
    assert "there is no namespace not-there" in missing


def grant(access: SyncSession, rule: Mapping[str, Any], *, to: str) -> None:
    path = "/apis/rbac.authorization.k8s.io/v1/namespaces/default"
    metadata = {"name": f"bench-{next(_numbers)}"}
    role = {"metadata": metadata, "rules": [rule]}
    binding = {
        "metadata": metadata,
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": metadata["name"]},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": to}],
    }
    assert access.request("POST", path=f"{path}/roles", body=role).status == 201
    assert access.request("POST", path=f"{path}/rolebindings", body=binding).status == 201


def test_a_watch_whose_connection_breaks_is_taken_up_where_it_stopped(control_plane: ControlPlane) -> None:
    direct = control_plane.access()
    namespace = f"bench-watch-{next(_numbers)}"
    make_namespace(direct, namespace)

    async def play() -> None:
        async with TcpProxy(to=control_plane.settings.api_server.port) as proxy, connected(direct) as api:
            through_proxy = with_credentials(direct, server=f"https://127.0.0.1:{proxy.port}")
            async with taskruns.watched_runs(through_proxy, namespace) as ends:
                for name in ("one", "two", "three"):
                    spec = {"task": "demo.hello"}
                    await api.send(taskruns.creation(direct, namespace=namespace, name=name, spec=spec))
                    status = {"phase": "Succeeded"}
                    proxy.cut()
                    await api.send(
                        taskruns.status_write(direct, namespace=namespace, name=name, status=status)
                    )
                    await asyncio.wait_for(ends.moment(name), timeout=10)
            assert proxy.cuts >= 3

    asyncio.run(play())
